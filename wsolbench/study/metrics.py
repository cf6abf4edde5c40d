"""Are the scores any good? What each does under known damage, and how stably it ranks methods.

Drawn masks of several sizes (`damage`) have maps that fit, which are made worse step by step. A
score is good if it falls with each step; if it is not moved by brightness, when that should not
count; if its chance level is known; and if few images settle the order of methods.

The methods that are ranked are maps with one damage each, of which every image has a different
amount. Kendall's W takes images as judges: 1 if all rank the methods alike. Split halves: the mean
of Kendall's tau-a between the orders that two halves of the images give.

Scores are those of single images that follow from the histograms of levels: the explanation scores,
the best IoU of each image (`iou_shape`) and AP (`ap_image_mean`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..metrics import explain, pixel
from ..progress import Progress
from ..scores import SCORES, Better
from ..tables import csv_text, grid
from .damage import AMOUNTS, DAMAGES, drawn_mask, map_of

__all__ = [
    "BRIGHTNESS",
    "METHODS",
    "SHARES",
    "SHOWN",
    "MetricStudy",
    "ScoreReport",
    "metric_study_table",
    "ranking_stability",
    "seen",
    "study_metrics",
]

FORMAT = "wsolbench-metric-study"

SHARES = (0.05, 0.15, 0.35)
"""Shares of the picture that objects cover."""

METHODS: Mapping[str, tuple[str, float, float]] = {
    "as it is": ("shift", 0.0, 0.0),
    "shifted": ("shift", 0.1, 0.5),
    "shrunk": ("erode", 0.05, 0.2),
    "grown": ("dilate", 0.1, 0.5),
    "blurred": ("blur", 0.3, 1.5),
    "noisy": ("noise", 0.05, 0.5),
}
"""What is ranked: a damage, and its least and greatest amount over the images."""

_WRONG = ("shift", "erode", "dilate", "blur", "noise", "inversion")
"""Damages that make a map worse; plateaus and gamma change how it says the same."""

SHOWN, BRIGHTNESS = (*_WRONG, "plateaus"), "gamma moves"
"""Columns of tables and pictures."""

_Truth = tuple[NDArray[np.bool_], NDArray[np.float64]]
"""A mask and the map that fits it."""

_SPLITS, _RESAMPLES = 100, 200
_SETTLED = 0.95
_STILL = 0.005
"""A change of so small a part of the span between the intact map and chance is none."""


@dataclass(frozen=True)
class ScoreReport:
    """What one score did.

    Attributes:
        chance: its chance level for intact maps by size; empty where it has none.
        values: by damage and size, its mean at each of `AMOUNTS`.
        lost: by damage, what part of the distance from the intact map to chance the greatest
            amount loses, the mean of the sizes; of a score without chance level, of its value.
        falls: by damage, whether it falls with the damage at every size: it never rises from one
            amount to the next, and is lower at the last.
        brightness: the largest part of that distance by which a gamma moves it.
        halves: the mean of Kendall's tau between the orders of two halves of the images.
        kendall_w: the agreement of the images on the order, 0 to 1.
        settles: the fewest images, by doubling, of which 95 % of the resamples order the methods
            as all images do; None if all of them are not enough.
    """

    chance: Mapping[str, float]
    values: Mapping[str, Mapping[str, Sequence[float]]]
    lost: Mapping[str, float]
    falls: Mapping[str, bool]
    brightness: float
    halves: float
    kendall_w: float
    settles: int | None


@dataclass(frozen=True)
class MetricStudy:
    """All scores.

    Attributes:
        images: of each size.
        seed: of masks, damage and resamples.
        shares: the sizes of the objects, shares of the picture.
        amounts: of each damage.
        methods: that were ranked.
        scores: by key.
    """

    images: int
    seed: int
    shares: tuple[float, ...]
    amounts: Mapping[str, Sequence[float]]
    methods: tuple[str, ...]
    scores: Mapping[str, ScoreReport]

    def to_json(self) -> str:
        """The study as JSON: sorted keys, a final newline, no NaN."""
        content = {**asdict(self), "format": FORMAT, "format_version": 1}
        return json.dumps(content, sort_keys=True, allow_nan=False, indent=1) + "\n"


def study_metrics(images: int = 24, seed: int = 0, progress: Progress | None = None) -> MetricStudy:
    """Run the study.

    Args:
        images: masks of each size, 4 or more.
        seed: of all that is drawn.
        progress: called with (damages and methods done, all of them).

    Raises:
        WsolbenchError: too few images.
    """
    if images < 4:
        raise WsolbenchError(
            "images", found=str(images), expected="4 or more", cure="draw more masks of each size"
        )
    rng = np.random.default_rng(seed)
    masks = {f"{share:g}": [_drawn(share, rng) for _ in range(images)] for share in SHARES}
    steps, done = len(DAMAGES) * len(masks) + len(METHODS), 0
    of_damage: dict[str, dict[str, list[dict[str, float]]]] = {}
    for name in DAMAGES:
        of_damage[name] = {}
        for size, drawn in masks.items():
            of_damage[name][size] = [
                _means(_scores(drawn, name, [amount] * images, rng)) for amount in AMOUNTS[name]
            ]
            done += 1
            if progress:
                progress(done, steps)
    every = [pair for drawn in masks.values() for pair in drawn]
    of_methods = []
    for damage, least, most in METHODS.values():
        amounts = rng.uniform(least, most, size=len(every)).tolist()
        of_methods.append(_scores(every, damage, amounts, rng))
        done += 1
        if progress:
            progress(done, steps)
    scores = {}
    for key in of_methods[0]:
        if SCORES[key].is_chance:
            continue
        table = np.stack([own[key] for own in of_methods], axis=1)
        table = -table if SCORES[key].better is Better.LOWER else table
        scores[key] = _report(key, of_damage, ranking_stability(table, np.random.default_rng(seed)))
    amounts_of = {name: list(own) for name, own in AMOUNTS.items()}
    return MetricStudy(images, seed, SHARES, amounts_of, tuple(METHODS), scores)


def ranking_stability(
    values: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float, int | None]:
    """How stably a score ranks methods by its mean over images.

    Args:
        values: (images, methods), two or more of each; higher is better.
        rng: of the halves and resamples.

    Returns:
        Kendall's tau-a between the orders of halves, the mean of 100 divisions; Kendall's W of the
        images as judges, corrected for ties; and the fewest images, by doubling, of which 95 % of
        200 resamples give the order of all of them, None if as many as there are do not.
    """
    images = len(values)
    halves = []
    for _ in range(_SPLITS):
        order = rng.permutation(images)
        one, other = (values[part].mean(axis=0) for part in np.array_split(order, 2))
        halves.append(_tau(one, other))
    whole = np.argsort(-values.mean(axis=0), kind="stable")
    count, settles = 2, None
    while count <= images and settles is None:
        drawn = rng.integers(images, size=(_RESAMPLES, count))
        means = values[drawn].mean(axis=1)[:, whole]
        if (np.diff(means, axis=1) < 0).all(axis=1).mean() >= _SETTLED:
            settles = count
        count *= 2
    return float(np.mean(halves)), _kendall_w(values), settles


def _tau(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    pairs = list(combinations(range(len(one)), 2))
    agree = [np.sign(one[a] - one[b]) * np.sign(other[a] - other[b]) for a, b in pairs]
    return float(np.mean(agree))


def _kendall_w(values: NDArray[np.float64]) -> float:
    """Kendall's W of judges (rows) on items (columns): mean ranks of ties, and their correction.

    Source: Kendall and Babington Smith, The problem of m rankings (1939).
    """
    judges, items = values.shape
    below = (values[:, :, None] > values[:, None, :]).sum(axis=2)
    equal = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    ranks = below + (equal + 1) / 2
    spread = ((ranks.sum(axis=0) - judges * (items + 1) / 2) ** 2).sum()
    # Each group of t ties has t members that count t^2 - 1 each.
    ties = (equal**2 - 1).sum()
    most = judges**2 * (items**3 - items) - judges * ties
    return float(12 * spread / most) if most > 0 else 0.0


def _drawn(share: float, rng: np.random.Generator) -> _Truth:
    mask = drawn_mask(share, rng)
    return mask, map_of(mask)


def _scores(
    truth: Sequence[_Truth],
    damage: str,
    amounts: Sequence[float],
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """Every score of each image, its map damaged by its own amount: float64 (n,) by key."""
    counts = []
    for (mask, intact), amount in zip(truth, amounts, strict=True):
        value = DAMAGES[damage](intact, mask, amount, rng) if amount else intact
        levels = np.floor(255 * np.clip(value, 0, 1)).astype(np.int64)
        places = (levels + 256 * mask).ravel()
        counts.append(np.bincount(places, minlength=512).reshape(2, 256))
    stacked = np.stack(counts)
    return {
        "ap_image_mean": pixel.average_precision(stacked),
        "iou_shape": pixel.iou(stacked).max(axis=1),
        **explain.image_scores(stacked),
    }


def _means(scores: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    return {key: float(values.mean()) for key, values in scores.items()}


def _report(
    key: str,
    of_damage: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]],
    stability: tuple[float, float, int | None],
) -> ScoreReport:
    score = SCORES[key]
    sign = -1 if score.better is Better.LOWER else 1
    values = {
        name: {size: [step[key] for step in steps] for size, steps in sizes.items()}
        for name, sizes in of_damage.items()
    }
    chance = {}
    if score.chance is not None or key in _BY_AREA:
        level = score.chance if key not in _BY_AREA else "object_share"
        for size, steps in of_damage["gamma"].items():
            chance[size] = steps[0][level] if isinstance(level, str) else float(level or 0)

    def parts(name: str, size: str) -> NDArray[np.float64]:
        """The score at each amount: 1 as intact, 0 at chance."""
        own, base = np.array(values[name][size]), chance.get(size, 0.0)
        return np.asarray((own - base) / (own[0] - base))

    moved = {
        name: {size: parts(name, size) * (sign if not chance else 1) for size in sizes}
        for name, sizes in of_damage.items()
    }
    return ScoreReport(
        chance,
        values,
        {
            name: float(np.mean([1 - own[-1] for own in sizes.values()]))
            for name, sizes in moved.items()
        },
        {
            name: all(
                bool((np.diff(own) <= _STILL).all() and own[-1] < 1 - _STILL)
                for own in sizes.values()
            )
            for name, sizes in moved.items()
        },
        float(max(np.abs(own - 1).max() for own in moved["gamma"].values())),
        *stability,
    )


def seen(report: ScoreReport, damage: str) -> bool:
    """Whether a score falls with a damage that makes maps worse."""
    return damage not in _WRONG or report.falls[damage]


_BY_AREA = ("iou_shape", "ap_image_mean")
"""Scores whose chance level is the object's share of the image, which their records do not say."""


def metric_study_table(study: MetricStudy, form: str = "text") -> str:
    """The study as a table, a row a score: what part of the way to chance each damage loses, in
    percent, with `*` where the score does not fall with it at every step and size.

    Args:
        study: of `study_metrics`.
        form: "text", "md", "latex" or "csv".
    """
    rows: list[list[str]] = []
    for key, own in study.scores.items():
        chance = " / ".join(f"{SCORES[key].text(level)}" for level in own.chance.values())
        same = len(set(own.chance.values())) == 1
        lost = [
            str(round(100 * own.lost[name])) + ("" if seen(own, name) else "*") for name in SHOWN
        ]
        settles = "-" if own.settles is None else str(own.settles)
        rows.append(
            [
                SCORES[key].title,
                SCORES[key].text(next(iter(own.chance.values()))) if same else chance or "-",
                *lost,
                str(round(100 * own.brightness)),
                f"{own.halves:.2f}",
                f"{own.kendall_w:.2f}",
                settles,
            ]
        )
    sizes = ", ".join(f"{100 * share:g}" for share in study.shares)
    head = [f"Objects of {sizes} %", "chance", *SHOWN, BRIGHTNESS, "halves", "W", "settles at"]
    return csv_text(head, rows) if form == "csv" else grid(rows, head, form, "lr")
