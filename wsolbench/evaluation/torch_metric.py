"""Scores of maps as a torchmetrics `Metric`, for training loops that use torchmetrics or Lightning.

The aim: the scores of `Evaluator`, bit for bit, of batches of maps and masks in memory. The state
is one vector of integers, the sums that `Evaluator` forms scores of (`statistics`), laid end to
end: 6 kB for pixel scores under `sem`, whatever the number of images. Sums add up, so that
processes, merged metrics and checkpoints give the scores of one run over the same images. Means
over images are sums too (`metrics.family`). Intervals and groups need the statistics of each image,
which this metric does not keep: write a submission and evaluate it with a bootstrap.

Conventions: masks have the size at which maps are scored; give them at the photo's size for the
scores that `Evaluator` gives, since a resized mask is another mask.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import WsolbenchError, meant, one_of, require_choice, require_type, some
from ..formats.result import Threshold
from ..formats.submission.rules import TOP5_RULE, bad_boxes, bad_top5
from ..masks import encode
from ..metrics.choices import BoundaryRule
from ..metrics.family import Sums
from ..metrics.map_values import array_of
from ..metrics.packed import Packed
from ..protocols import Protocol, as_protocol
from ..protocols.block import Block
from ..protocols.record import Averaging
from ..protocols.truth import Truth
from ..scores import SCORES, Unit
from .checks import (
    MOST_CLASSES,
    bad_row,
    check_options,
    checked_map,
    checked_rows,
    checked_threshold,
)
from .families import ALWAYS, EDGES, FAMILIES, LEVELS_ALONE, fitting
from .statistics import Scoring

try:
    from torchmetrics import Metric
except ImportError as error:
    raise WsolbenchError(
        "LocalizationMetric",
        found="torchmetrics not installed",
        expected="it for a metric of torchmetrics",
        cure="pip install 'wsolbench[torchmetrics]', or use wsolbench.Evaluator",
    ) from error

__all__ = ["LocalizationMetric"]

_MARKS = 1 << 20
"""The settings of a metric are marked by a number below this one."""


class LocalizationMetric(Metric):
    """Localization scores of batches of maps and masks.

    Args:
        metrics: names of metric families, in any order; not "boundary".
        protocol: a protocol's name, or a protocol of your own.
        label: "gt" or "predicted": whose class's maps they are.
        threshold: T of pixel and box scores, 0..255, or a `Threshold` with one for each; None for
            the best T of the images seen.
        top5: whether `update` is given class predictions, for Top-1 and Top-5 scores.
        classes: how many classes there are, under a protocol that averages over classes.

    Attributes:
        sums: int64 (k,), the state; added up by processes and merges, and part of `state_dict`.

    Raises:
        WsolbenchError: no such protocol or metric family, or one that the protocol does not define;
            a threshold or number of classes that does not go with the protocol.

    Examples:
        >>> import torch
        >>> metric = wsolbench.LocalizationMetric(metrics=["pixel"])
        >>> metric.update(torch.rand(2, 7, 7), torch.ones(2, 28, 28, dtype=torch.bool))
        >>> metric.compute()["peak_iou"].item()
        1.0
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    sums: Tensor

    def __init__(
        self,
        metrics: Sequence[str] = ("pixel",),
        protocol: str | Protocol = "sem",
        *,
        label: str = "gt",
        threshold: int | Threshold | None = None,
        top5: bool = False,
        classes: int = 0,
    ) -> None:
        # The scores take milliseconds, and a cached value would outlive a merge or a checkpoint.
        super().__init__(compute_with_cache=False)
        rules = as_protocol(protocol)
        require_choice("label", label, ("gt", "predicted"))
        families = _families(metrics, rules)
        ranked = top5 and FAMILIES[ALWAYS].fits(rules)
        if top5 and not (ranked or "box" in families):
            raise WsolbenchError(
                "top5",
                found=f"class predictions for {some(families)} scores",
                expected=f"scores that read them, which protocol {rules.name} does not have",
                cure="leave it out",
            )
        if ranked:
            families = (*families, ALWAYS)
        self.scoring = Scoring(rules, families, label, ranked, False, _classes(classes, rules))
        self.threshold = _threshold(threshold, rules, families)
        self.top5 = top5
        columns = self.scoring.columns(self.scoring.empty())
        self._shapes = {name: own.shape[1:] for name, own in columns.items()}
        self._mark = _mark(self.scoring)
        # The last number is the mark of the settings times the images.
        self._length = sum(int(np.prod(shape)) for shape in self._shapes.values()) + 1
        self.add_state(
            "sums",
            torch.zeros(self._length, dtype=torch.int64),
            dist_reduce_fx="sum",
            persistent=True,
        )

    @property
    def images(self) -> int:
        """How many images the state holds; of this process alone, unless it is synchronised."""
        return int(self._unpacked()["images"].sum())

    @property
    def update_called(self) -> bool:
        """Whether the state holds an image, also one of a checkpoint or of a merged metric."""
        return bool((self.sums != 0).any())

    def update(
        self,
        maps: Tensor | Sequence[Any],
        masks: Tensor | Sequence[Any],
        *,
        boxes: Tensor | Sequence[Any] | None = None,
        ignored: Tensor | Sequence[Any] | None = None,
        class_indices: Tensor | Sequence[int] | None = None,
        top5: Tensor | None = None,
    ) -> None:
        """Score a batch; it is measured on the CPU and added to the state on the metric's device.

        Args:
            maps: n maps (h, w) or (1, h, w), as a tensor or a list of maps of any sizes; uint8
                (value / 255), bool, or floats in [0, 1].
            masks: n masks (height, width) or (1, height, width) of the same images, bool, or
                numbers that are 0 or 1.
            boxes: n arrays of integers (m, 4), the true boxes of each image, half-open x0, y0, x1,
                y1 in pixels of the mask; a tensor (n, 4) is one box an image. Needed by box scores.
            ignored: n masks like `masks`, of pixels that count nowhere; None if all count.
            class_indices: int (n,), the true classes, -1 where unknown; needed by class scores and
                by protocols that average over classes.
            top5: int (n, 5), predicted classes, best first; needed where the metric was made with
                `top5=True`.

        Raises:
            WsolbenchError: lengths or shapes that differ, values that are not legal, an argument
                that the metric needs or that has no effect. The state is then as it was before.
        """
        self._check_length()
        for argument, given in (("maps", maps), ("masks", masks)):
            if given is None:
                raise _missing(argument, "those of the batch")
        truth = self._truth(masks, boxes, ignored, class_indices)
        if len(maps) != len(truth):
            raise _lengths("maps", len(maps), len(truth))
        planes = [checked_map(name, map_) for name, map_ in zip(truth.names, maps, strict=True)]
        block = Block(
            self.scoring.protocol,
            truth,
            planes,
            self._predicted(top5, truth),
            with_boxes="box" in self.scoring.families,
            boundary=BoundaryRule(),
        )
        if not len(truth):
            return
        found = self.scoring.sums(self.scoring.measure(block))
        marks = np.array([len(truth) * self._mark])
        packed = np.concatenate([*(found[name].ravel() for name in self._shapes), marks])
        # Not in place: a state_dict made before shares the tensor's memory.
        self.sums = self.sums + torch.from_numpy(packed).to(self.sums.device)

    def compute(self) -> dict[str, Tensor]:
        """Every score of all images by key: float64 scalars, on the CPU, as `Evaluator` has them.

        Thresholds are levels 0..255, all other scores are in the unit of their record
        (`scores.SCORES`).

        Raises:
            WsolbenchError: no image, or a state that another metric or protocol left.
        """
        scores, _ = self.scoring.scored(self._sums(), self.threshold)
        return {key: torch.tensor(value, dtype=torch.float64) for key, value in scores.items()}

    def curves(self) -> dict[str, list[float]]:
        """Every curve of all images of this process: values by key, as results hold them.

        Raises:
            WsolbenchError: see `compute`.
        """
        return self.scoring.scored(self._sums(), self.threshold)[1]

    def plot(
        self,
        val: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]] | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw the scores that are fractions: a point each, or a line each over several `compute`.

        Scores in other units, such as thresholds, are left out: they share no axis with these.

        Args:
            val: what `compute` returned, or a list of it in the order of time; None for now.
            ax: matplotlib Axes to draw on; None for a new figure.

        Returns:
            The figure and its axes, as other metrics of torchmetrics do.

        Raises:
            WsolbenchError: see `compute`; a score that wsolbench does not know; no matplotlib.
        """
        if find_spec("matplotlib") is None:
            raise WsolbenchError(
                "LocalizationMetric.plot",
                found="it needs matplotlib, which is not installed",
                cure="pip install 'wsolbench[plots]'",
            )
        given = self.compute() if val is None else val
        if isinstance(given, Mapping):
            return self._plot(_fractions(given), ax)
        return self._plot([_fractions(own) for own in given], ax)

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add what another metric with the same settings, or its `metric_state`, has seen.

        Raises:
            WsolbenchError: a state of other settings.
        """
        state = incoming_state if isinstance(incoming_state, dict) else incoming_state.metric_state
        sums = state.get("sums")
        if not isinstance(sums, Tensor) or not self._is_own(sums) or not self._is_own(self.sums):
            raise self._other_state()
        self.sums = self.sums + sums.to(self.sums.device)

    def set_dtype(self, dst_type: str | torch.dtype) -> LocalizationMetric:
        """Keep the integers: pixels that are counted in another type would be rounded."""
        return self

    def _sums(self) -> Sums:
        """The state by name, once it is known to be of these settings and not empty."""
        if not self._is_own(self.sums):
            raise self._other_state()
        found = self._unpacked()
        if not found["images"].sum():
            raise WsolbenchError(
                "LocalizationMetric",
                found="no image",
                expected="one or more",
                cure="call update before compute",
            )
        return found

    def _unpacked(self) -> Sums:
        values, start, found = self.sums.cpu().numpy(), 0, {}
        for name, shape in self._shapes.items():
            length = int(np.prod(shape))
            found[name] = values[start : start + length].reshape(shape)
            start += length
        return found

    def _is_own(self, sums: Tensor) -> bool:
        """Whether sums were formed with these settings: their mark is counted with each image."""
        if sums.dtype != torch.int64 or len(sums) != self._length:
            return False
        classes = int(np.prod(self._shapes["images"]))
        return int(sums[-1]) == int(sums[:classes].sum()) * self._mark

    def _check_length(self) -> None:
        if len(self.sums) != self._length:
            raise self._other_state()

    def _other_state(self) -> WsolbenchError:
        own = f"{self.scoring.protocol.label}, metrics {', '.join(self.scoring.families)}"
        return WsolbenchError(
            "LocalizationMetric",
            found="a state of other settings",
            expected=f"the sums of {own}",
            cure="make both metrics with the same arguments, or reset this one",
        )

    def _truth(self, masks: Any, boxes: Any, ignored: Any, class_indices: Any) -> Truth:
        """What is known of the images of a batch."""
        names = [f"image {place} of the batch" for place in range(len(masks))]
        pictures = [_mask(name, mask) for name, mask in zip(names, masks, strict=True)]
        sizes = np.array([mask.shape for mask in pictures], np.int64).reshape(-1, 2)
        hidden: list[NDArray[np.bool_]] = []
        if ignored is not None:
            if len(ignored) != len(names):
                raise _lengths("ignored", len(ignored), len(names))
            hidden = [_mask(name, mask) for name, mask in zip(names, ignored, strict=True)]
            for name, mask, ignore in zip(names, pictures, hidden, strict=True):
                if mask.shape != ignore.shape:
                    raise WsolbenchError(
                        f"ignored of {name}",
                        found=f"shape {ignore.shape}",
                        expected=f"{mask.shape} as the mask has",
                        cure="bring both to the same size",
                    )
        return Truth(
            names,
            sizes,
            _run_lengths(pictures),
            _run_lengths(hidden) if hidden else _run_lengths([], len(names)),
            self._boxes(boxes, names, sizes),
            self._class_indices(class_indices, len(names)),
        )

    def _boxes(self, boxes: Any, names: Sequence[str], sizes: NDArray[np.int64]) -> Packed:
        nothing = np.empty((0, 4), np.int32)
        if "box" not in self.scoring.families:
            _refuse("boxes", boxes, 'box scores, which metrics=("pixel", "box") gives')
            return Packed.of([nothing] * len(names), nothing)
        if boxes is None:
            raise _missing("boxes", "the true boxes of each image")
        if len(boxes) != len(names):
            raise _lengths("boxes", len(boxes), len(names))
        parts = []
        for name, own, (height, width) in zip(names, boxes, sizes.tolist(), strict=True):
            rows = np.atleast_2d(array_of(own))
            rows = checked_rows(f"boxes of {name}", rows, len(rows), 4)
            wrong = bad_boxes(rows)
            beyond = np.flatnonzero((rows[:, 2] > width) | (rows[:, 3] > height)).tolist()
            if len(rows) == 0 or wrong or beyond:
                row = rows[[*wrong, *beyond][0]] if len(rows) else rows
                expected = f"0 <= x0 < x1 <= {width}, 0 <= y0 < y1 <= {height}, one box or more"
                raise bad_row("boxes", name, row, expected)
            parts.append(rows.astype(np.int32))
        return Packed.of(parts, nothing)

    def _class_indices(self, class_indices: Any, count: int) -> NDArray[np.int32]:
        classes = self.scoring.classes
        needed = bool(classes) or ALWAYS in self.scoring.families
        if class_indices is None and needed:
            raise _missing("class_indices", "the true class of each image")
        if class_indices is None:
            return np.full(count, -1, np.int32)
        found = array_of(class_indices)
        if found.shape != (count,) or found.dtype.kind not in "iu":
            raise WsolbenchError(
                "class_indices",
                found=f"{found.dtype} of shape {found.shape}",
                expected=f"integers ({count},)",
                cure="pass one class an image",
            )
        least = 0 if needed else -1
        if count and (found.min() < least or (classes and found.max() >= classes)):
            raise WsolbenchError(
                "class_indices",
                found=f"classes from {found.min()} to {found.max()}",
                expected=f"from {least}" + (f" to {classes - 1}" if classes else ""),
                cure="pass the class of each image",
            )
        return found.astype(np.int32)

    def _predicted(self, top5: Tensor | None, truth: Truth) -> NDArray[np.integer[Any]] | None:
        if not self.top5:
            _refuse("top5", top5, "class predictions, which LocalizationMetric(top5=True) takes")
            return None
        if top5 is None:
            raise _missing("top5", "the predicted classes")
        rows = checked_rows("top5", array_of(top5), len(truth), 5)
        if wrong := bad_top5(rows):
            raise bad_row("top5", truth.names[wrong[0]], rows[wrong[0]], TOP5_RULE)
        return rows


def _fractions(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The scores of a metric that are fractions."""
    if unknown := [key for key in scores if key not in SCORES]:
        raise WsolbenchError(
            "val",
            found=f"scores {some(unknown)}",
            expected="what compute returned",
            cure="pass that, or a list of it",
        )
    return {key: own for key, own in scores.items() if SCORES[key].unit is Unit.FRACTION}


def _families(metrics: Sequence[str], rules: Protocol) -> tuple[str, ...]:
    """The metric families in the order of tables."""
    defined = [name for name in fitting(rules) if name not in (EDGES, LEVELS_ALONE)]
    asked = [metrics] if isinstance(metrics, str) else list(metrics)
    others = [name for name in asked if name not in defined]
    if others or not asked:
        raise WsolbenchError(
            "metrics",
            found=some(others) or "none",
            expected=f"{one_of(defined)} under protocol {rules.name}",
            cure=meant(
                others,
                defined,
                "name one or more of these, or score edges with wsolbench.Evaluator",
            ),
        )
    return tuple(name for name in defined if name in asked)


def _classes(classes: int, rules: Protocol) -> int:
    averaged = rules.averaging is Averaging.CLASSES
    if type(classes) is not int or not 0 <= classes <= MOST_CLASSES or averaged != bool(classes):
        expected = f"1 to {MOST_CLASSES}" if averaged else "0"
        raise WsolbenchError(
            "classes",
            found=repr(classes),
            expected=f"{expected} under protocol {rules.name}",
            cure="pass the number of classes where the protocol averages over them, else leave "
            "it out",
        )
    return classes


def _threshold(
    threshold: int | Threshold | None, rules: Protocol, families: Sequence[str]
) -> Threshold:
    if threshold is None:
        return Threshold("max" if rules.fixed_threshold is None else "fixed")
    check_options([rules], threshold=True)
    require_type("threshold", threshold, (int, Threshold), "a level from 0 to 255 or a Threshold")
    needed = [name for name in ("pixel", "box") if name in families]
    own = isinstance(threshold, Threshold) and (
        threshold.rule == "per_image" or threshold.per_image is not None
    )
    if own or not needed:
        raise WsolbenchError(
            "threshold",
            found="a rule for each image" if own else f"a threshold for {some(families)} scores",
            expected="one level for all images" if own else "pixel or box scores, which have one",
            cure="use wsolbench.evaluate or wsolbench.Evaluator" if own else "leave it out",
        )
    if isinstance(threshold, int):
        threshold = Threshold("fixed", pixel=threshold, box=threshold)
    return checked_threshold(threshold, needed)


def _mark(scoring: Scoring) -> int:
    """A number for the settings that decide which sums there are."""
    settings = [scoring.protocol.as_dict(), scoring.families, scoring.label, scoring.classes]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % (_MARKS - 1)


def _mask(name: str, mask: Any) -> NDArray[np.bool_]:
    """A mask from memory as bool (height, width)."""
    plane = array_of(mask)
    if plane.ndim == 3 and len(plane) == 1:
        plane = plane[0]
    if plane.ndim != 2 or not plane.size:
        raise WsolbenchError(
            f"mask of {name}",
            found=f"shape {plane.shape}",
            expected="(height, width)",
            cure="pass one mask an image",
        )
    if plane.dtype != np.bool_ and not np.isin(plane, (0, 1)).all():
        raise WsolbenchError(
            f"mask of {name}",
            found=f"values other than 0 and 1, up to {plane.max()}",
            expected="bool, or 0 and 1",
            cure="compare with a threshold first, e.g. mask > 128",
        )
    return plane.astype(np.bool_)


def _run_lengths(masks: Sequence[NDArray[np.bool_]], empty: int = 0) -> Packed:
    """Masks as compressed run lengths, or `empty` parts without any."""
    nothing = np.empty(0, np.uint8)
    parts = [np.frombuffer(encode(mask).counts, np.uint8) for mask in masks]
    return Packed.of([*parts, *([nothing] * empty)], nothing)


def _lengths(name: str, found: int, images: int) -> WsolbenchError:
    return WsolbenchError(
        name, found=f"{found} for {images} masks", expected="as many", cure="pass one an image"
    )


def _missing(name: str, expected: str) -> WsolbenchError:
    return WsolbenchError("update", found=f"no {name}", expected=expected, cure=f"pass {name}=...")


def _refuse(name: str, given: Any, needs: str) -> None:
    """Refuse an argument that would have no effect."""
    if given is not None:
        raise WsolbenchError(
            "update", found=name, expected=f"it only for {needs}", cure="leave it out"
        )
