"""The methods that can be trained, their settings, and the settings of training; no PyTorch here.

Source of the settings: the papers named in `METHODS`, and the released code of these methods where
the papers are silent (docs/training.md says which).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from math import inf
from types import MappingProxyType
from typing import Any

from ..errors import WsolbenchError, meant, one_of, require_choice

__all__ = [
    "METHODS",
    "PRECISIONS",
    "AcolSettings",
    "AdlSettings",
    "CamSettings",
    "CutMixSettings",
    "HasSettings",
    "MethodRecord",
    "Recipe",
    "Schedule",
    "Settings",
    "SpgSettings",
    "as_tuples",
    "as_values",
    "choice",
    "count",
    "fraction",
    "method_record",
    "positive",
    "recipe_for",
    "recipe_from",
    "setting",
    "settings_from",
]

_Check = Callable[[Any], bool]


def setting(default: Any, words: str, expected: str, check: _Check, but: str = "") -> Any:
    """A field of `Settings`.

    Args:
        default: its value if none is given, whose type all values must have.
        words: what it is, as a help text without its full stop.
        expected: which values are possible, for messages.
        check: whether a value is possible.
        but: where the default is another, e.g. "; 64 for mini".
    """
    told = {"help": words, "expected": expected, "check": check, "but": but}
    return field(default=default, metadata=told)


def fraction(default: float, words: str, but: str = "") -> Any:
    """A field: a number from 0 to 1."""
    return setting(default, words, "a number from 0 to 1", lambda own: 0 <= own <= 1, but)


def positive(default: float, words: str, but: str = "") -> Any:
    """A field: a number above 0."""
    return setting(default, words, "a number above 0", lambda own: 0 < own < inf, but)


def choice(default: str, words: str, names: Collection[str]) -> Any:
    """A field: one of a few names."""
    return setting(default, words, one_of(names), lambda own: own in names)


def count(default: int, words: str, least: int = 1, but: str = "") -> Any:
    """A field: an integer of at least `least`."""
    return setting(default, words, f"an integer of at least {least}", lambda own: own >= least, but)


@dataclass(frozen=True)
class Settings:
    """Named numbers, checked when they are made.

    Raises:
        WsolbenchError: a number is out of range, or NaN.
    """

    def __post_init__(self) -> None:
        for own in fields(self):
            value = _plain(getattr(self, own.name))
            object.__setattr__(self, own.name, value)
            if not _is_like(value, _default(own)) or not own.metadata["check"](value):
                raise WsolbenchError(
                    own.name,
                    found=str(value),
                    expected=own.metadata["expected"],
                    cure=f"the default is {_default(own)}",
                )


def _plain(value: Any) -> Any:
    """The value, or Python's own number for one of NumPy, which a checkpoint must not hold."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value.item() if hasattr(value, "item") else value


def _is_like(value: object, default: object) -> bool:
    """Whether a value has the type of a default; integers are numbers, booleans are not."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(type(part) is int for part in value)
    kinds = (int, float) if isinstance(default, float) else type(default)
    return isinstance(value, kinds) and not isinstance(value, bool)


def _default(own: Any) -> object:
    return own.default if own.default is not MISSING else own.default_factory()


@dataclass(frozen=True)
class CamSettings(Settings):
    """CAM changes nothing in training."""


@dataclass(frozen=True)
class HasSettings(Settings):
    """Hide-and-Seek."""

    patch_sizes: tuple[int, ...] = setting(
        (0, 16, 32, 44, 56),
        "Sides of the patches in pixels, one drawn for each image; 0 hides nothing",
        "integers of at least 0",
        lambda own: len(own) > 0 and all(size >= 0 for size in own),
    )
    hide_rate: float = fraction(0.5, "Probability with which a patch is hidden")


@dataclass(frozen=True)
class AcolSettings(Settings):
    """ACoL."""

    delta: float = fraction(0.6, "Level of the first class map from which the features are erased")


@dataclass(frozen=True)
class CutMixSettings(Settings):
    """CutMix."""

    alpha: float = positive(1.0, "Both parameters of the Beta distribution of lambda")
    mix_rate: float = fraction(1.0, "Probability with which a batch is mixed")


@dataclass(frozen=True)
class SpgSettings(Settings):
    """SPG: (high, low) of the seeds of each branch, and its size."""

    width: int = count(512, "Channels of the branches", but="; 64 for mini")
    b2_high: float = fraction(0.7, "Level of the class map above which B2 learns foreground")
    b2_low: float = fraction(0.05, "Level of the class map below which B2 learns background")
    b1_high: float = fraction(0.5, "Level of B2 above which B1 learns foreground")
    b1_low: float = fraction(0.05, "Level of B2 below which B1 learns background")
    c_high: float = fraction(0.7, "Level of the mean of B1 and B2 above which C learns foreground")
    c_low: float = fraction(0.1, "Level of the mean of B1 and B2 below which C learns background")

    def __post_init__(self) -> None:
        super().__post_init__()
        for branch in ("b2", "b1", "c"):
            high, low = getattr(self, f"{branch}_high"), getattr(self, f"{branch}_low")
            if low > high:
                raise WsolbenchError(
                    f"{branch}_low",
                    found=f"{low} above {branch}_high {high}",
                    expected="a low level that is not above the high one",
                    cure="exchange them",
                )


@dataclass(frozen=True)
class AdlSettings(Settings):
    """ADL."""

    gamma: float = fraction(
        0.8,
        "Share of an image's highest attention from which positions are dropped",
        "; 0.9 for ResNets",
    )
    drop_rate: float = fraction(0.75, "Probability of the drop mask, else the importance map")


@dataclass(frozen=True)
class MethodRecord:
    """A method: its name in tables, its paper, the type of its settings."""

    title: str
    paper: str
    settings: type[Settings]


METHODS: Mapping[str, MethodRecord] = MappingProxyType(
    {
        "cam": MethodRecord(
            "CAM",
            "Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016",
            CamSettings,
        ),
        "has": MethodRecord(
            "HaS",
            "Singh and Lee, Hide-and-Seek: Forcing a Network to be Meticulous for "
            "Weakly-supervised Object and Action Localization, ICCV 2017",
            HasSettings,
        ),
        "acol": MethodRecord(
            "ACoL",
            "Zhang et al., Adversarial Complementary Learning for Weakly Supervised Object "
            "Localization, CVPR 2018",
            AcolSettings,
        ),
        "cutmix": MethodRecord(
            "CutMix",
            "Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with "
            "Localizable Features, ICCV 2019",
            CutMixSettings,
        ),
        "spg": MethodRecord(
            "SPG",
            "Zhang et al., Self-produced Guidance for Weakly-supervised Object Localization, ECCV "
            "2018",
            SpgSettings,
        ),
        "adl": MethodRecord(
            "ADL",
            "Choe and Shim, Attention-based Dropout Layer for Weakly Supervised Object "
            "Localization, CVPR 2019",
            AdlSettings,
        ),
    }
)
"""The methods by the names that the command line takes, in the order of the paper's Table 1."""


def method_record(name: str) -> MethodRecord:
    """The record of a method.

    Raises:
        WsolbenchError: the name is unknown.
    """
    require_choice("method", name, METHODS)
    return METHODS[name]


def settings_from(name: str, values: Mapping[str, Any], backbone: str = "") -> Settings:
    """The settings of a method, with its defaults for what is not given.

    Args:
        name: a key of `METHODS`.
        values: settings by name.
        backbone: ADL's gamma is 0.9 for ResNets, 0.8 for others; SPG's width is 64 for "mini",
            whose features are narrow, 512 for others.

    Raises:
        WsolbenchError: a setting is unknown or out of range.
    """
    kind = method_record(name).settings
    known = [own.name for own in fields(kind)]
    for given in values:
        if given not in known:
            raise WsolbenchError(
                f"settings of {METHODS[name].title}",
                found=f"{given!r}",
                expected=one_of(known) if known else "none, because it has no settings",
                cure=meant([given], known, "name one of these") if known else "leave it out",
            )
    defaults: dict[str, Any] = {}
    if name == "adl" and backbone.startswith("res"):
        defaults = {"gamma": 0.9}
    if name == "spg" and backbone == "mini":
        defaults = {"width": 64}
    return kind(**{**defaults, **as_tuples(values)})


PRECISIONS = ("float32", "bfloat16", "float16")
"""Types of the numbers in which a network is trained; the two short ones by autocast."""


@dataclass(frozen=True)
class Schedule(Settings):
    """The settings of a training loop; the defaults are those of the paper (section 4.1.3).

    The paper gives the learning rates, their drop after the second epoch and the five epochs.
    Momentum and weight decay are those of ACoL and SPG, whose training it follows; the batch size
    is ours.

    Attributes:
        epochs: passes over the images.
        learning_rate: at the start.
        drop_after: epochs after which learning rates are multiplied by `drop_factor`.
        batch_size: images a step, over all processes together.
        precision: one of `PRECISIONS`.
        seed: of everything that is drawn.
    """

    epochs: int = count(5, "Number of passes over the images")
    learning_rate: float = positive(0.001, "Learning rate")
    drop_after: tuple[int, ...] = setting(
        (2,),
        "Epochs after which the learning rate drops, separated by commas",
        "rising integers of at least 1",
        lambda own: list(own) == sorted(set(own)) and all(epoch >= 1 for epoch in own),
    )
    drop_factor: float = positive(0.1, "Factor of that drop")
    momentum: float = fraction(0.9, "Nesterov momentum; 0 for none")
    weight_decay: float = setting(
        0.0005, "Weight decay", "a number of at least 0", lambda own: 0 <= own < inf
    )
    batch_size: int = count(32, "Number of photos a step, over all processes together")
    precision: str = choice("float32", "Numbers in training", PRECISIONS)
    seed: int = setting(
        0, "Random seed", "an integer from 0 to 2**63 - 1", lambda own: 0 <= own < 2**63
    )


@dataclass(frozen=True)
class Recipe(Schedule):
    """The settings of the training of a classifier; see `Schedule`.

    Attributes:
        learning_rate: of the trunk.
        head_factor: the learning rate of all other parameters is higher by this factor.
        resize: side in pixels to which photos are resized before the crop.
        size: side of the random crop, which is the input; it is mirrored with probability 0.5.
        seed: of the head's weights, order, crops, and everything that the methods draw.
    """

    learning_rate: float = positive(0.001, "Learning rate of the trunk")
    head_factor: float = positive(10.0, "Factor by which the head's learning rate is higher")
    resize: int = count(256, "Side in pixels to which photos are resized", 8, "; 144 for mini")
    size: int = count(224, "Side in pixels of the random crop", 8, "; 128 for mini")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size > self.resize:
            raise WsolbenchError(
                "size",
                found=f"a crop of {self.size} from photos of {self.resize}",
                expected="a crop that is not larger than the photo",
                cure=f"use a smaller size, or resize={self.size}",
            )


def recipe_for(backbone: str, values: Mapping[str, Any]) -> Recipe:
    """The settings of training of a backbone, with its defaults for what is not given.

    Raises:
        WsolbenchError: a value is out of range.
    """
    usual = {"resize": 144, "size": 128} if backbone == "mini" else {}
    known = [own.name for own in fields(Recipe)]
    for given in values:
        require_choice("recipe", given, known)
    return Recipe(**{**usual, **as_tuples(values)})


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    """A recipe from a checkpoint's values.

    Raises:
        WsolbenchError: a value is missing, unknown or out of range.
    """
    known = {own.name for own in fields(Recipe)}
    if set(values) != known:
        raise WsolbenchError(
            "recipe",
            found=f"the settings {', '.join(sorted(values))}",
            expected=", ".join(sorted(known)),
            cure="use a checkpoint of this version of wsolbench",
        )
    return Recipe(**as_tuples(values))


def as_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a checkpoint or command line, with tuples for lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


def as_values(settings: Settings) -> dict[str, Any]:
    """Settings as plain values, lists for tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(settings).items()
    }
