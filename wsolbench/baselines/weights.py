"""State dicts from files: `torch.save` without code, or safetensors."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import WsolbenchError
from ..files import require_file

__all__ = ["read_state_dict"]


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read named tensors from a file of `torch.save` or of safetensors (suffix .safetensors).

    A dict under the key "state_dict" is unwrapped, and a prefix "module." of all names
    (`DataParallel`) is removed. Code in the file is never run (`weights_only=True`).

    Raises:
        WsolbenchError: the file is missing or cannot be read safely.
    """
    file = require_file(path, "a state dict")
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickled(file)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    ):
        raise WsolbenchError(
            file,
            found=f"a {type(content).__name__} that is not a dict of named tensors",
            expected="a state dict",
            cure="save it with torch.save(model.state_dict(), FILE)",
        )
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {name[len(prefix) :]: tensor for name, tensor in content.items()}


def _read_pickled(file: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise almost anything
        raise WsolbenchError(
            file,
            found=f"a file that cannot be read safely ({type(error).__name__})",
            expected="a state dict of torch.save that contains only tensors",
            cure="save it with torch.save(model.state_dict(), FILE)",
        ) from error


def _read_safetensors(file: Path) -> object:
    try:
        reader = importlib.import_module("safetensors.torch")
    except ModuleNotFoundError as error:
        raise WsolbenchError(
            file,
            found="reading it needs safetensors, which is not installed",
            cure="pip install safetensors, or save the weights with torch.save",
        ) from error
    try:
        return reader.load_file(file)
    except Exception as error:
        raise WsolbenchError(
            file, found=f"not a safetensors file ({error})", cure="download it again"
        ) from error
