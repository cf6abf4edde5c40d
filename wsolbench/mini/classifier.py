"""The embedded benchmark's classifier: the backbone "mini" with the weights in the package.

`train` computed the weights from class labels only. Photos of 128 give maps of 32x32.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

import numpy as np
from torch import Tensor

from ..baselines.backbones import ClassMapModel, feature_layers
from ..baselines.networks import PaperNetwork, PooledNetwork, build_network
from ..baselines.small import SIZE, normalise, preprocess
from ..baselines.weights import fill, read_state_dict
from ..files import replacing, sha256_of
from .scenes import CLASSES

__all__ = [
    "SIZE",
    "WEIGHTS",
    "load",
    "normalise",
    "preprocess",
    "read_weights",
    "write_weights",
]

WEIGHTS = Path(__file__).with_name("classifier.npz")
"""The weights included in the package."""


def load(weights: str | os.PathLike[str] | None = None) -> ClassMapModel:
    """The classifier, ready to predict on the CPU.

    Args:
        weights: a file written by `train`; by default the one in the package.

    Raises:
        WsolbenchError: the file is missing or contains something else.
    """
    file = WEIGHTS if weights is None else Path(weights)
    network = build_network("mini", len(CLASSES), seed=0)
    read_weights(file, network)
    return ClassMapModel(
        name="mini",
        module=network.eval(),
        preprocess=preprocess,
        provenance=MappingProxyType({"weights": file.name, "weights_sha256": sha256_of(file)}),
        feature_layers=feature_layers("mini"),
    )


def write_weights(file: str | os.PathLike[str], network: PaperNetwork | PooledNetwork) -> None:
    """Write weights to an .npz file, kernels as float16 and the others as float32."""
    arrays = {
        name: tensor.detach().numpy().astype(np.float16 if tensor.ndim == 4 else np.float32)
        for name, tensor in _kept(network).items()
    }
    with replacing(file) as temporary, open(temporary, "wb") as opened:
        np.savez_compressed(opened, allow_pickle=False, **arrays)


def read_weights(file: str | os.PathLike[str], network: PaperNetwork | PooledNetwork) -> None:
    """Fill a network in place from a file of `write_weights`.

    Raises:
        WsolbenchError: the file is missing or damaged, or its names or shapes differ.
    """
    fill(
        network,
        read_state_dict(file)[0],
        file,
        skipped=(),
        cure=lambda: "create the file with python -m wsolbench.mini.train",
    )


def _kept(network: PaperNetwork | PooledNetwork) -> dict[str, Tensor]:
    state = network.state_dict()
    return {name: state[name] for name in state if not name.endswith("num_batches_tracked")}
