"""Which maps `predict` makes of a network's outputs, and how a submission describes them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from .. import __version__
from ..errors import WsolbenchError, meant, one_of, require_choice
from ..maps.normalisations import normalisation_named
from .any_networks import has_cam
from .backbones import ClassMapModel
from .class_map import ClassMap
from .explainer_records import explainer_named, is_explainer
from .explainers import Explaining, require_explainer
from .sem import PAPER_SEEDS
from .window import window_words

__all__ = [
    "METHODS",
    "OWN_FEATURES",
    "MapKind",
    "Out",
    "described",
    "kinds_of",
    "normalisation_words",
    "require_features",
    "require_sources",
]

Out = (
    str
    | os.PathLike[str]
    | Mapping[str, str | os.PathLike[str]]
    | Mapping[str, str]
    | Mapping[str, Path]
    | Mapping["MapKind", Path]
)
"""A submission; or several, by normalisation or by kind of map."""


OWN_FEATURES = ("feat5",)
"""The input of the last classification layer."""


@dataclass(frozen=True)
class _Method:
    """The description of a method in a submission."""

    name: str
    paper: str


METHODS: Mapping[str, _Method] = MappingProxyType(
    {
        "cam": _Method(
            "CAM",
            "Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016",
        ),
        "sem": _Method(
            "SEM",
            "Zhang et al., Rethinking Localization Map: Towards Accurate Object Perception with "
            "Self-Enhancement Maps, 2020",
        ),
    }
)
"""The methods, which need no training beyond the classifier's."""


@dataclass(frozen=True)
class MapKind:
    """One way to turn a network's outputs into maps.

    Attributes:
        method: "cam" for the method's own map, "sem" for SEM on it, or an explainer (a key of
            `explainer_records.EXPLAINERS`, or "MODULE:FUNCTION").
        seeds: the seeds of "sem": a count, or as a float a fraction of the map's positions.
        features: the features of "sem", of `backbones.FEATURES`; several are concatenated, resized
            to the class maps where they differ in size.
        normalisation: a name of `normalisations.NORMALISATIONS`.
        start: the method from whose map "sem" starts: "cam" or an explainer.
        layer: the submodule that an explainer explains; None for the last one that influences the
            logits (`traced`).
        channels: number of channels that Score-CAM scores; None for all.
    """

    method: str = "cam"
    seeds: int | float = PAPER_SEEDS
    features: tuple[str, ...] = OWN_FEATURES
    normalisation: str = "min-max"
    start: str = "cam"
    layer: str | None = None
    channels: int | None = None

    @property
    def source(self) -> str:
        """The method that makes the map before SEM: "cam" or an explainer."""
        return self.start if self.method == "sem" else self.method

    @property
    def explained(self) -> MapKind:
        """The kind of the source's own map, the same for all kinds that start from it."""
        return MapKind(self.source, layer=self.layer, channels=self.channels)


_MIN_MAX = "min-max"
_MIN_MAX_WORDS = "min-max of each map at feature size, a constant map is zero"


def kinds_of(
    model: ClassMapModel,
    out: Out,
    usual: MapKind,
) -> dict[MapKind, str | os.PathLike[str]]:
    """The submissions to write, by the kind of their maps."""
    if not isinstance(out, Mapping):
        kinds: dict[MapKind, str | os.PathLike[str]] = {usual: out}
    else:
        kinds = {
            kind if isinstance(kind, MapKind) else replace(usual, normalisation=kind): path
            for kind, path in out.items()
        }
    for kind in kinds:
        if kind.method not in METHODS and not is_explainer(kind.method):
            require_choice("method", kind.method, METHODS)
        if kind.source != "cam":
            require_explainer(kind.source)
        _require_used(kind)
        require_features(model, kind.features)
    return kinds


def _require_used(kind: MapKind) -> None:
    """Raise if a kind has a setting that its source does not read."""
    reads_layer = kind.source != "cam" and explainer_named(kind.source).reads_layer
    for name, given, used, readers in (
        ("--layer (layer=)", kind.layer, reads_layer, "a method that explains one layer"),
        ("--channels (channels=)", kind.channels, kind.source == "scorecam", "scorecam"),
    ):
        if given is not None and not used:
            raise WsolbenchError(
                name,
                found=f"{given} for {kind.source}",
                expected=f"it only for {readers}",
                cure="leave it out",
            )


def require_sources(model: ClassMapModel, kinds: Sequence[MapKind], *, classifies: bool) -> None:
    """Raise unless a model has the class maps and the classes that maps of these kinds need."""
    sources = {kind.source for kind in kinds}
    if "cam" in sources and not has_cam(model):
        raise WsolbenchError(
            f"CAM of {model.name}",
            found="a network whose logits are not a linear layer over the mean of its features, so "
            "that it has no class maps",
            cure="use another method (position-score, attention-gradient, gradcam; see `wsolbench "
            "predict list`), also as the start of SEM (--start)",
        )
    wanting = sorted(own for own in sources - {"cam"} if explainer_named(own).per_class)
    if not classifies and (wanting or "cam" in sources):
        raise WsolbenchError(
            model.name,
            found="a network without a classifier",
            expected=f"classes, which {wanting[0] if wanting else 'cam'} explains",
            cure="use a method without classes: attention-rollout, attention, eigencam",
        )


def require_features(model: ClassMapModel, names: Sequence[str]) -> None:
    """Raise unless the model has features of all these names, one or more."""
    known = (*model.feature_layers, *OWN_FEATURES)
    unknown = [name for name in names if name not in known or names.count(name) > 1]
    if unknown or not names:
        raise WsolbenchError(
            f"features of {model.name}",
            found=", ".join(unknown) or "none",
            expected=one_of(known),
            cure=meant(unknown, known, "name one or several of these, each once"),
        )


def normalisation_words(kind: MapKind) -> str:
    """How maps of a kind are brought into [0, 1], as a submission says it."""
    if kind.normalisation == _MIN_MAX:
        return _MIN_MAX_WORDS
    return f"{normalisation_named(kind.normalisation).words}, at feature size"


def _titled(explainer: Explaining | None, kind: MapKind) -> tuple[str, str]:
    """The name and paper of an explainer."""
    record = explainer.record if explainer is not None else explainer_named(kind.source)
    few = f" ({kind.channels} channels)" if kind.channels and kind.source == "scorecam" else ""
    return f"{record.title}{few}", record.paper


def _explained(kind: MapKind, explainer: Explaining) -> dict[str, object]:
    """What a submission records of an explainer."""
    parameters: dict[str, object] = {"explainer": kind.source}
    if explainer.packages:
        parameters["explainer_package"] = explainer.packages
    if explainer.layer:
        bare = explainer.layer.removeprefix("module.").removeprefix("network.")
        parameters["layer"] = bare
    if kind.channels is not None and kind.source == "scorecam":
        parameters["channels"] = kind.channels
    return parameters


def described(
    model: ClassMapModel,
    kind: MapKind,
    explainer: Explaining | None,
    size: int,
    label: str,
    joined: ClassMap,
    exif: str,
    several: bool,
    metadata: Mapping[str, object],
) -> dict[str, object]:
    """The `method` of a submission; `explainer` is that of the kind's source, if it is one."""
    provenance = dict(model.provenance)
    if kind.method in METHODS:
        name, paper = METHODS[kind.method].name, METHODS[kind.method].paper
    else:
        name, paper = _titled(explainer, kind)
    if explainer is not None and kind.method == "sem":
        name = f"{_titled(explainer, kind)[0]} + {name}"
    if explainer is not None and "trained_method" in provenance:
        name = f"{provenance.pop('trained_method')} + {name}"
        provenance.pop("trained_paper", None)
    if trained := provenance.pop("trained_method", ""):
        name = f"{trained} + {name}" if kind.method == "sem" else str(trained)
        paper = paper if kind.method == "sem" else str(provenance.pop("trained_paper"))
        provenance.pop("trained_paper", None)
    parameters: dict[str, object] = {"size": size}
    if kind.method == "sem":
        parameters["seeds"] = kind.seeds
    if explainer is not None:
        parameters |= _explained(kind, explainer)
    if kind.method == "sem" and kind.features != OWN_FEATURES:
        parameters["features"] = " + ".join(kind.features)
    if several or kind.normalisation != _MIN_MAX:
        parameters["normalisation"] = kind.normalisation
    if model.class_dependent:
        parameters["erased_by"] = "ground-truth class" if label == "gt" else "predicted class"
    parameters |= joined.described()
    if exif != "ignore":
        parameters["exif"] = exif
    if words := window_words(model):
        parameters["window"] = words
    described: dict[str, object] = {
        "name": name,
        "backbone": model.name,
        **({"paper": paper} if paper else {}),
        "code": f"wsolbench {__version__}",
        "parameters": parameters,
    }
    if explainer is not None and not explainer.record.per_class:
        described["class_agnostic"] = True
    for own in ("preprocessing", "training"):
        if own in provenance:
            parameters[own] = provenance.pop(own)
    if "random_weights_seed" in provenance:
        described["seed"] = provenance.pop("random_weights_seed")
        described["random_weights"] = True
    if "training_seed" in provenance:
        described["seed"] = provenance.pop("training_seed")
    return {**described, **provenance, **metadata}
