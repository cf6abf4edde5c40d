"""One record a score: all that tables, plots, comparisons, files and the page know of it.

A score belongs to a metric family, has a unit, a range and a direction, and is mostly read off a
curve. Nothing else keeps a list of scores: what needs one asks the records, in their order, which
is the order of tables. `docs/scores.md` says what each one means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "LEVELS",
    "MAX_BOX_ACC_KEYS",
    "SCORES",
    "Better",
    "Read",
    "Score",
    "Unit",
    "curve_names",
    "ends_text",
    "in_order",
    "level_key",
    "localization_key",
]

LEVELS = 256
"""Thresholds of a curve over levels, 0 to 255 (paper, section 3.1)."""


class Unit(str, Enum):
    """What the number of a score is, and so how it is printed."""

    FRACTION = "fraction"
    """Printed as percent."""
    LEVEL = "level"
    """A threshold 0..255, a whole number."""
    SHARE = "share"
    """A threshold as a share of the range, where a protocol has finer ones than levels."""
    NUMBER = "number"
    """Printed as it is."""


class Read(str, Enum):
    """How a score is read off its curve."""

    NOT = "not"
    """It is no point of a curve."""
    MAXIMUM = "maximum"
    ARGMAX = "argmax"
    """The lowest threshold of the maximum."""
    THRESHOLD = "threshold"
    """The value at the threshold that the result chose for the score's family."""
    AREA = "area"
    """The area under precision against recall."""


class Better(str, Enum):
    """Which direction is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True)
class Score:
    """What is known of one score.

    Attributes:
        key: in result files.
        title: in tables and plots.
        family: the metric family that forms it.
        unit: what the number is.
        low: the lowest value there is; None for no bound.
        high: the highest value; None for no bound.
        better: which direction is better.
        curve: key of the curve that it is a point of, for maps of the true class; empty for none.
        read: how it is read off the curve.
        rank: 1 ranks tables; 2 ranks those without any score of rank 1, and so on; 0 for none.
        shown: whether tables with little room have it.
        grouped: whether groups of images have it.
        drawn: its place among the few scores that plots show; 0 for none.
        brief: whether tables of groups have it on a terminal.
        chance: what a map scores that knows nothing of the object: a number, or the key of the
            score that says it; None where no such level is defined.
        is_chance: whether it is such a level itself, which no method is better or worse for.

    Examples:
        >>> wsolbench.SCORES["peak_iou"].text(0.6212), wsolbench.SCORES["peak_threshold"].text(48)
        ('62.12', '48')
    """

    key: str
    title: str
    family: str
    unit: Unit = Unit.FRACTION
    low: float | None = 0.0
    high: float | None = 1.0
    better: Better = Better.HIGHER
    curve: str = ""
    read: Read = Read.NOT
    rank: int = 0
    shown: bool = False
    grouped: bool = False
    drawn: int = 0
    brief: bool = False
    chance: float | str | None = None
    is_chance: bool = False

    @property
    def is_threshold(self) -> bool:
        """Whether it is a threshold, which no difference or gain is formed of."""
        return self.unit in (Unit.LEVEL, Unit.SHARE)

    @property
    def is_compared(self) -> bool:
        """Whether a difference of two methods means something: it is no threshold and no chance."""
        return not self.is_threshold and not self.is_chance

    @property
    def axis(self) -> str:
        """Its title on the axis of a plot."""
        return f"{self.title} (%)" if self.unit is Unit.FRACTION else self.title

    @property
    def superlative(self) -> str:
        """What the best value is, e.g. "Highest"."""
        return "Lowest" if self.better is Better.LOWER else "Highest"

    def text(self, value: float | int, decimals: int = 2, *, signed: bool = False) -> str:
        """The value as tables print it: fractions as percent.

        Args:
            value: of this score, or a difference of two.
            decimals: of percents and plain numbers.
            signed: whether a plus sign is printed too.
        """
        sign = "+" if signed else ""
        if self.unit is Unit.LEVEL:
            return f"{value:{sign}}"
        if self.unit is Unit.SHARE:
            return f"{value:{sign}.3f}"
        return f"{self.scaled(value):{sign}.{decimals}f}"

    def scaled(self, value: float | int) -> float:
        """The value as plots and tables show it: fractions as percent."""
        return 100 * value if self.unit is Unit.FRACTION else value

    def is_legal(self, value: object) -> bool:
        """Whether a value from a file can be of this score: its type and its range."""
        kinds = int if self.unit is Unit.LEVEL else (int, float)
        return (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
        )

    def order(self, value: float | int | None) -> float:
        """A number by which the best value comes first; a missing one comes last."""
        if value is None:
            return float("inf")
        return float(value) if self.better is Better.LOWER else -float(value)


def _level(
    key: str, title: str, family: str, curve: str, *, shown: bool = False, grouped: bool = False
) -> Score:
    return Score(
        key,
        title,
        family,
        Unit.LEVEL,
        high=LEVELS - 1,
        better=Better.NEITHER,
        curve=curve,
        read=Read.ARGMAX,
        shown=shown,
        grouped=grouped,
    )


def _share(key: str, title: str, family: str, curve: str) -> Score:
    unit, better = Unit.SHARE, Better.NEITHER
    return Score(key, title, family, unit, better=better, curve=curve, read=Read.ARGMAX)


def _boundary(
    key: str, title: str, high: float = 1.0, *, shown: bool = True, brief: bool = False
) -> Score:
    return Score(key, title, "boundary", high=high, shown=shown, grouped=True, brief=brief)


def _explain(
    key: str,
    title: str,
    chance: float | str | None = None,
    *,
    unit: Unit = Unit.FRACTION,
    low: float | None = 0.0,
    high: float | None = 1.0,
    better: Better = Better.HIGHER,
    drawn: int = 0,
    brief: bool = False,
) -> Score:
    return Score(
        key,
        title,
        "explain",
        unit,
        low,
        high,
        better,
        grouped=True,
        drawn=drawn,
        brief=brief,
        chance=chance,
    )


def _chance(of: str, title: str, unit: Unit = Unit.FRACTION, high: float | None = 1.0) -> Score:
    """The record of the chance level of one score."""
    return Score(
        f"{of}_chance" if of else "object_share",
        f"{title}, chance" if of else title,
        "explain",
        unit,
        high=high,
        better=Better.NEITHER,
        grouped=True,
        is_chance=True,
    )


_RECORDS = (
    Score(
        "peak_iou",
        "Peak-IoU",
        "pixel",
        curve="iou",
        read=Read.MAXIMUM,
        rank=1,
        shown=True,
        grouped=True,
    ),
    _level("peak_threshold", "Peak-T", "pixel", "iou", shown=True, grouped=True),
    _share("peak_threshold_fraction", "Peak-T (fraction)", "pixel", "iou"),
    Score(
        "ap",
        "AP",
        "pixel",
        curve="precision",
        read=Read.AREA,
        shown=True,
        grouped=True,
        drawn=2,
        brief=True,
    ),
    Score(
        "peak_iou_image_mean",
        "Peak-IoU (image mean)",
        "pixel",
        curve="iou_image_mean",
        read=Read.MAXIMUM,
    ),
    _level(
        "peak_threshold_image_mean",
        "Peak-T (image mean)",
        "pixel",
        "iou_image_mean",
    ),
    Score("ap_image_mean", "AP (image mean)", "pixel", grouped=True),
    Score(
        "iou_at_threshold",
        "IoU at T",
        "pixel",
        curve="iou",
        read=Read.THRESHOLD,
        shown=True,
        grouped=True,
        drawn=1,
        brief=True,
    ),
    Score(
        "iou_at_threshold_image_mean",
        "IoU at T (image mean)",
        "pixel",
        curve="iou_image_mean",
        read=Read.THRESHOLD,
        grouped=True,
    ),
    Score(
        "gt_known_loc",
        "GT-known",
        "box",
        curve="gt_known_loc",
        read=Read.THRESHOLD,
        rank=2,
        shown=True,
        grouped=True,
        drawn=3,
        brief=True,
    ),
    Score(
        "predicted_loc",
        "Predicted-class loc",
        "box",
        curve="predicted_loc",
        read=Read.THRESHOLD,
        shown=True,
        grouped=True,
        drawn=4,
        brief=True,
    ),
    Score(
        "top1_loc",
        "Top-1 loc",
        "box",
        curve="top1_loc",
        read=Read.THRESHOLD,
        shown=True,
        grouped=True,
        brief=True,
    ),
    Score(
        "top5_loc",
        "Top-5 loc",
        "box",
        curve="top5_loc",
        read=Read.THRESHOLD,
        shown=True,
        grouped=True,
    ),
    _level("box_threshold", "Box-T", "box", "gt_known_loc"),
    _share("box_threshold_fraction", "Box-T (fraction)", "box", "gt_known_loc"),
    Score("max_box_acc", "MaxBoxAcc .5", "box", curve="gt_known_loc", read=Read.MAXIMUM),
    Score("max_box_acc_30", "MaxBoxAcc .3", "box", curve="box_acc_30", read=Read.MAXIMUM),
    Score("max_box_acc_70", "MaxBoxAcc .7", "box", curve="box_acc_70", read=Read.MAXIMUM),
    Score("max_box_acc_v2", "MaxBoxAcc mean", "box", shown=True),
    Score("top1_cls", "Top-1 class", "class", shown=True, grouped=True),
    Score("top5_cls", "Top-5 class", "class", grouped=True),
    _boundary("boundary_ods", "Boundary ODS", brief=True),
    Score(
        "boundary_threshold",
        "Boundary T (fraction)",
        "boundary",
        Unit.SHARE,
        better=Better.NEITHER,
    ),
    _boundary("boundary_ois", "Boundary OIS"),
    # The toolbox sums precision at 101 recalls and divides by 100.
    _boundary("boundary_ap", "Boundary AP", high=1.01),
    _boundary("boundary_ap_full", "Boundary AP (full)"),
    _boundary("boundary_r50", "Boundary R50", shown=False),
    Score("iou_shape", "Shape (own best IoU)", "shape", grouped=True, brief=True),
    # Never above 0 where all images share the threshold.
    Score("iou_calibration", "Calibration", "shape", low=-1.0),
    _explain("pointing_game", "Pointing game", "object_share", drawn=5, brief=True),
    _explain("pointing_game_any_tie", "Pointing game (any tie)", "pointing_game_any_tie_chance"),
    _explain("relevance_mass", "Relevance mass", "object_share", drawn=6, brief=True),
    _explain("rank_accuracy", "Rank accuracy", "object_share"),
    _explain("top_1000_pixels", "Top 1000 pixels", "object_share"),
    _explain("top_15_percent", "Top 15 %", "object_share"),
    _explain("top_20_percent", "Top 20 %", "object_share"),
    _explain("roc_auc", "ROC-AUC", 0.5, brief=True),
    _explain("auc_iou", "AUC-IoU", "auc_iou_chance"),
    _explain("iou_otsu", "IoU at Otsu's T", "iou_otsu_chance", brief=True),
    _explain("iou_mean_level", "IoU at the mean", "iou_mean_level_chance"),
    _explain("iou_half_maximum", "IoU at half of maximum", "iou_half_maximum_chance"),
    _explain("iou_true_area", "IoU at the true area", "iou_true_area_chance"),
    _explain("nss", "NSS", 0.0, unit=Unit.NUMBER, low=None, high=None),
    _explain("pearson", "Pearson", 0.0, unit=Unit.NUMBER, low=-1.0),
    _explain(
        "kl_divergence",
        "KL divergence",
        "kl_divergence_chance",
        unit=Unit.NUMBER,
        high=None,
        better=Better.LOWER,
    ),
    # No mask is needed for these: neither end of them points at an object.
    _explain("complexity", "Complexity", unit=Unit.NUMBER, high=None, better=Better.NEITHER),
    _explain("sparseness", "Sparseness", better=Better.NEITHER),
    _chance("", "Object / image"),
    _chance("pointing_game_any_tie", "Pointing game (any tie)"),
    _chance("auc_iou", "AUC-IoU"),
    _chance("iou_otsu", "IoU at Otsu's T"),
    _chance("iou_mean_level", "IoU at the mean"),
    _chance("iou_half_maximum", "IoU at half of maximum"),
    _chance("iou_true_area", "IoU at the true area"),
    _chance("kl_divergence", "KL divergence", Unit.NUMBER, None),
)

SCORES: dict[str, Score] = {score.key: score for score in _RECORDS}
"""Every score by its key, in the order of tables.

Examples:
    >>> wsolbench.SCORES["peak_iou"].title
    'Peak-IoU'
    >>> [key for key, score in wsolbench.SCORES.items() if score.better.value == "lower"]
    ['kl_divergence']
"""

MAX_BOX_ACC_KEYS = {0.5: "max_box_acc", 0.3: "max_box_acc_30", 0.7: "max_box_acc_70"}
"""The keys of MaxBoxAcc, by the IoU that a correct box needs."""


def localization_key(label: str) -> str:
    """The key of box accuracy, score and curve alike, for maps of the class that `label` names.

    Args:
        label: "gt" for maps of the true class, "predicted" for those of the method's own; empty
            where a paper does not say.
    """
    return {"gt": "gt_known_loc", "predicted": "predicted_loc", "": "gt_known_loc"}[label]


def level_key(family: str) -> str:
    """The key of the score that is a family's best level, e.g. "peak_threshold"."""
    levels = (score for score in SCORES.values() if score.unit is Unit.LEVEL)
    return next(score.key for score in levels if score.family == family)


def in_order(keys: Collection[str]) -> list[str]:
    """Those of the keys that are of scores, in the order of tables."""
    return [key for key in SCORES if key in keys]


def curve_names() -> list[str]:
    """Every curve that some score is read off, recall with precision, in the order of scores."""
    names: list[str] = []
    for score in SCORES.values():
        names += ["precision", "recall"] if score.curve == "precision" else [score.curve]
    return [name for name in dict.fromkeys(names) if name]


def ends_text(score: Score, ends: Iterable[float | int], *, signed: bool = False) -> str:
    """An interval as tables print it: [low, high]."""
    return f"[{', '.join(score.text(end, signed=signed) for end in ends)}]"
