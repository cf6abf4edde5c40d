"""Paired comparison: which of several methods is ahead on the same images, and how surely.

All methods are scored on the same images, of which each has a map, and on the same resamples, so
that what images have in common (easy ones are easy for all) cancels in the differences. Under the
rule "max" every method chooses its own thresholds in each resample; carried and fixed ones stay.

Source: the paired bootstrap, as Koehn, Statistical Significance Tests for Machine Translation
Evaluation (EMNLP 2004), uses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, counted, printable, require_items, require_type, some
from ..formats.names import telling, told_apart
from ..formats.report import boundary_text, threshold_text
from ..formats.result import Bootstrap, Result
from ..formats.seeds import SeedGroup, seed_groups, seed_notes
from ..formats.submission.rules import SubmissionHeader, is_class_agnostic
from ..metrics import shape
from ..metrics.bootstrap import draw_weights, percentile_interval
from ..progress import Progress
from ..protocols import versioned
from ..scores import SCORES, ends_text, in_order
from ..tables import html_table
from .checks import check_bootstrap
from .counts import Counts
from .pairs import (
    Pair,
    Tally,
    compared_pairs,
    judged,
    pair_of,
    repeated_scores,
    resolution_fault,
    tally,
)
from .shared_images import shared_images
from .split import Split, split_of
from .statistics import Scoring, part

__all__ = [
    "FORMAT",
    "Comparison",
    "Pair",
    "check_alike",
    "compare",
    "require_methods",
    "signature",
]

FORMAT = "wsolbench-comparison"
FORMAT_VERSION = 1

_T = TypeVar("_T")

MOST = 12
"""Methods in one comparison: 66 pairs."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Several methods on the images that all of them have maps of.

    Attributes:
        names: of the methods; equal names get a parameter in which they differ.
        thresholds: how each chose its thresholds, in words.
        normalisations: of each one's maps, in words.
        dataset: the data set's name.
        split: the split's name.
        label: "gt" or "predicted": whose class's maps they are; "gt and predicted" of methods that
            are all class-agnostic.
        protocol: its fields and their hash.
        annotations_sha256: of the annotations' content.
        submissions: SHA-256 of each one's maps.
        images: that all hold.
        of: images that each was scored on, before those without maps were left aside.
        maps: images that each has a map of; others than `images` only with `common`.
        limit: the fewest images that one of them was tried on; None where none is a trial.
        bootstrap: how resamples were drawn.
        boundary: how boundaries were scored; empty if they were not.
        scores: by key the score of each method on these images.
        intervals: by key [low, high] of each.
        pairs: of every two methods, or of each with the first, every score.
        left_out: scores that some have and others not.
        seeds: mean and deviation over runs of one method with different seeds, on these images.
        seed_notes: why runs of one method are not counted there, or should not be.
        repeated: by key of a score the key of another that is the same number everywhere; it is
            no comparison of its own.
        comparisons: how many Holm's correction counts; those of other protocols too, where
            several were judged together.
        iou_split: the image-mean IoU as shape and calibration; None where there is none.
        backbones: of the methods, empty where one states none.

    Examples:
        >>> files = ["demo/cam-val.h5", "demo/sem-val.h5"]
        >>> found = wsolbench.compare_files(files, wsolbench.Bootstrap(200), "demo/mini.h5")
        >>> found.names, found.images
        (('CAM mini', 'SEM mini'), 120)
    """

    names: tuple[str, ...]
    thresholds: tuple[str, ...]
    normalisations: tuple[str, ...]
    dataset: str
    split: str
    label: str
    protocol: Mapping[str, Any]
    annotations_sha256: str
    submissions: tuple[str, ...]
    images: int
    of: tuple[int, ...]
    maps: tuple[int, ...]
    limit: int | None
    bootstrap: Bootstrap
    boundary: Mapping[str, Any]
    scores: Mapping[str, Sequence[float]]
    intervals: Mapping[str, Sequence[tuple[float, float]]]
    pairs: Sequence[Pair]
    left_out: tuple[str, ...]
    seeds: Sequence[SeedGroup]
    seed_notes: tuple[str, ...]
    repeated: Mapping[str, str] = field(default_factory=dict)
    comparisons: int = 0
    iou_split: Split | None = None
    backbones: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Comparison({' beside '.join(self.names)}: {signature(self)})"

    def _repr_html_(self) -> str:
        """The differences as a table, for notebooks."""
        rows = [
            [
                f"{SCORES[pair.score].title}: {self.names[pair.second]} - {self.names[pair.first]}",
                SCORES[pair.score].text(pair.difference, signed=True),
                ends_text(SCORES[pair.score], pair.interval, signed=True),
            ]
            for pair in self.pairs
        ]
        return html_table(rows, f"percentage points; {signature(self)}")

    @property
    def tallies(self) -> list[Tally]:
        """In how many scores each second method is surely ahead of the first, a pair each."""
        places = dict.fromkeys((pair.first, pair.second) for pair in self.pairs)
        return [tally(self.pairs, self.repeated, *own) for own in places]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        verdicts = [{**asdict(own), "standing": own.standing} for own in self.tallies]
        return {
            **asdict(self),
            "verdicts": verdicts,
            "resolution": resolution_fault(self.comparisons, self.bootstrap, self.images),
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
        }

    def to_json(self) -> str:
        """The comparison as JSON: sorted keys, a final newline, no NaN."""
        content = self.as_dict()
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
        return text + "\n"


def compare(
    compared: Sequence[Counts],
    bootstrap: Bootstrap,
    progress: Progress | None = None,
    *,
    against_first: bool = False,
    common: bool = False,
    prior: Counts | None = None,
) -> Comparison:
    """Compare methods in pairs.

    Args:
        compared: two or more, of the same images, annotations, protocol, label and kind of
            threshold. Methods that are all class-agnostic may have different labels.
        bootstrap: how many resamples, and their seed; all methods are scored on the same ones.
        progress: called with (resamples scored, resamples of all methods).
        against_first: pair each with the first alone, not every two.
        common: compare methods with maps of different images on those that all have.
        prior: what any method has anyway, e.g. a network-free centred Gaussian: it is in
            `Comparison.iou_split` alone, and needs maps of the same images.

    Raises:
        WsolbenchError: fewer than two or more than `MOST`; results that differ in what decides what
            a score means, saying in what; the same maps twice; without `common`, methods that lack
            maps of images which others have; fewer than two images that all hold, or one whose
            pixels on and off the object are not as many in all; no score that all have.

    Examples:
        >>> requests = [
        ...     wsolbench.Request(f"demo/{name}-val.h5", "demo/mini.h5", counts=True)
        ...     for name in ("cam", "sem")
        ... ]
        >>> counts = [wsolbench.run(request).counts[0] for request in requests]
        >>> found = wsolbench.compare(counts, wsolbench.Bootstrap(1000))
        >>> cam, sem = found.scores["peak_iou"]
        >>> sem > cam
        True
    """
    check_bootstrap(bootstrap)
    require_items("compared", compared, (object,), "a list of Counts")
    strange = [type(counts).__name__ for counts in compared if not isinstance(counts, Counts)]
    if strange:
        raise WsolbenchError(
            "compared",
            found=f"{some(strange)}",
            expected="a list of Counts",
            cure="pass run(Request(..., counts=True)).counts[0], or use compare_files",
        )
    check_alike([counts.result for counts in compared])
    if prior is not None:
        require_type("prior", prior, (Counts,), "the Counts of a result")
        check_alike([compared[0].result, prior.result])
    labels = sorted({counts.result.label for counts in compared})
    if len(labels) > 1:
        compared = [_as_gt(counts) for counts in compared]
    results = [counts.result for counts in compared]
    _check_different(results)
    every = [*compared, *([] if prior is None else [prior])]
    titles = [f"method {place} ({own.name})" for place, own in enumerate(results, start=1)]
    titles += [] if prior is None else [f"prior ({prior.result.name})"]
    held = [counts.held_ids for counts in every]
    kept = shared_images(titles, held, common=common)
    images = [image_id for image_id in compared[0].image_ids if image_id in kept]
    weights = draw_weights(len(images), bootstrap.resamples, np.random.default_rng(bootstrap.seed))
    scored, drawn = _scores(every, images, weights, progress)
    wanted = [
        pair for pair in combinations(range(len(compared)), 2) if pair[0] == 0 or not against_first
    ]
    named = "" if prior is None else prior.result.name
    iou_split = split_of(scored, drawn, wanted, bootstrap.level, named)
    scored = [_requested(own, counts) for own, counts in zip(scored, compared, strict=False)]
    drawn = [_requested(own, counts) for own, counts in zip(drawn, compared, strict=False)]
    found = in_order({key for scores in scored for key in scores})
    known = [key for key in found if SCORES[key].is_compared]
    keys = [key for key in known if all(key in scores for scores in scored)]
    if not keys:
        raise WsolbenchError(
            "results", found="no score that all methods have", cure="evaluate with the same metrics"
        )
    repeated = repeated_scores(keys, scored, drawn)
    pairs = [
        pair_of(key, first, second, scored, drawn, bootstrap.level, len(images))
        for key in keys
        for first, second in wanted
    ]
    first_result = results[0]
    # All are scored on the same images here, whatever they were scored on before.
    runs = [
        replace(own, scores={key: scores[key] for key in keys}, images=0, counts={}, limit=None)
        for own, scores in zip(results, scored, strict=True)
    ]
    return Comparison(
        names=_names(results),
        thresholds=tuple(
            threshold_text(counts.result) + ("; own boxes" if counts.scoring.boxed else "")
            for counts in compared
        ),
        normalisations=tuple(result.normalisation for result in results),
        dataset=first_result.dataset,
        split=first_result.split,
        label=" and ".join(labels),
        protocol=first_result.protocol,
        annotations_sha256=first_result.annotations_sha256,
        submissions=tuple(result.submission_sha256 for result in results),
        images=len(images),
        of=tuple(result.images for result in results),
        maps=tuple(len(own) for own in held[: len(compared)]),
        limit=min((own.limit for own in results if own.limit is not None), default=None),
        bootstrap=bootstrap,
        boundary=next((own.boundary for own in results if own.boundary), {}),
        scores={key: [float(scores[key]) for scores in scored] for key in keys},
        intervals={
            key: [percentile_interval(own[key], bootstrap.level) for own in drawn] for key in keys
        },
        pairs=judged([pairs], [repeated], bootstrap)[0],
        left_out=tuple(key for key in known if key not in keys),
        seeds=seed_groups(runs),
        seed_notes=tuple(seed_notes(runs)),
        repeated=repeated,
        comparisons=len(compared_pairs([pairs], [repeated])),
        iou_split=iou_split,
        backbones=tuple(str(own.method.get("backbone", "")) for own in results),
    )


def _with_shape(scoring: Scoring) -> Scoring:
    """The same with shape and calibration, where they can be had of pixel scores."""
    families = scoring.families
    if "pixel" in families and "shape" not in families and shape.fits(scoring.protocol):
        return replace(scoring, families=(*families, "shape"))
    return scoring


def _requested(found: Mapping[str, _T], counts: Counts) -> dict[str, _T]:
    """Scores by key without those of shape, where its family was not requested."""
    kept = "shape" in counts.scoring.families
    return {key: own for key, own in found.items() if kept or SCORES[key].family != "shape"}


def _as_gt(counts: Counts) -> Counts:
    """A class-agnostic method under the label gt, so that box accuracy has one name for all."""
    result = replace(counts.result, label="gt")
    return replace(counts, result=result, scoring=replace(counts.scoring, label="gt"))


def _scores(
    compared: Sequence[Counts],
    images: Sequence[str],
    weights: NDArray[np.uint16],
    progress: Progress | None,
) -> tuple[list[dict[str, float | int]], list[dict[str, NDArray[Any]]]]:
    """The scores of each method on the shared images, and those of each resample of these."""
    scored, drawn = [], []
    pixels: NDArray[np.int64] | None = None
    for done, counts in enumerate(compared):
        places = {image_id: place for place, image_id in enumerate(counts.image_ids)}
        kept = part(counts.kept, np.array([places[image_id] for image_id in images]))
        if "pixels" in kept:
            own_pixels = kept["pixels"].sum(axis=2, dtype=np.int64)
            pixels = own_pixels if pixels is None else pixels
            _check_pixels(own_pixels, pixels, counts.result, images)

        def step(own: int, resamples: int, done: int = done) -> None:
            if progress:
                progress(done * resamples + own, len(compared) * resamples)

        threshold, scoring = counts.result.threshold, _with_shape(counts.scoring)
        scored.append(scoring.scored(scoring.sums(kept), threshold)[0])
        drawn.append(scoring.resampled(kept, weights, threshold, step))
    return scored, drawn


def signature(comparison: Comparison) -> str:
    """What the numbers rest on, in one line."""
    drawn, protocol = comparison.bootstrap, comparison.protocol
    images = f"{comparison.images} shared by all"
    if set(comparison.of) != {comparison.images}:
        images += f" of {', '.join(map(str, comparison.of))}"
    if set(comparison.maps) != {comparison.images}:
        images += f" (common images only; maps of {', '.join(map(str, comparison.maps))})"
    agnostic = " (class-agnostic)" if " and " in comparison.label else ""
    parts = {
        "protocol": versioned(protocol),
        "hash": str(protocol["sha256"])[:8],
        "annotations": f"{comparison.dataset}/{comparison.split}/"
        f"{comparison.annotations_sha256[:8]}",
        "images": images,
        "maps": f"{comparison.label}{agnostic}",
        "intervals": f"{100 * drawn.level:g} % of {drawn.resamples} paired resamples of images, "
        f"seed {drawn.seed}",
    }
    if comparison.boundary:
        parts["boundaries"] = boundary_text(comparison.boundary)
    if comparison.left_out:
        parts["not shared"] = ", ".join(SCORES[key].title for key in comparison.left_out)
    if comparison.limit is not None:
        parts["TRIAL"] = f"first {comparison.limit} images only"
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def require_methods(count: int) -> None:
    """Raise unless there are as many methods as one comparison takes."""
    if not 2 <= count <= MOST:
        raise WsolbenchError(
            "comparison",
            found=counted(count, "method"),
            expected=f"2 to {MOST}",
            cure="name the ones to compare",
        )


def check_alike(compared: Sequence[Result | SubmissionHeader]) -> None:
    """Refuse what differs in what decides the meaning of a score, before submissions are scored.

    Where all methods are class-agnostic, the label decides nothing.

    Raises:
        WsolbenchError: fewer than two or more than `MOST`; two that differ, naming the field.
    """
    require_methods(len(compared))
    agnostic = all(is_class_agnostic(item.method) for item in compared)
    places = range(len(compared))
    of_results = [place for place in places if isinstance(compared[place], Result)]
    for here, there in [(0, place) for place in places] + [
        (of_results[0], place) for place in of_results
    ]:
        first, other = compared[here], compared[there]
        fields: dict[str, tuple[object, object]] = {
            "data set": (first.dataset, other.dataset),
            "split": (first.split, other.split),
            "label": ("any", "any") if agnostic else (first.label, other.label),
        }
        if isinstance(first, Result) and isinstance(other, Result):
            mine, theirs = first.protocol, other.protocol
            fields |= {
                "protocol": (versioned(mine), versioned(theirs)),
                **{
                    f"protocol's {key}": (mine.get(key), theirs.get(key))
                    for key in {**mine, **theirs}
                },
                "annotations": (first.annotations_sha256[:8], other.annotations_sha256[:8]),
                "threshold": (first.threshold.kind, other.threshold.kind),
            }
            if first.boundary and other.boundary:
                fields["boundary rule"] = (
                    boundary_text(first.boundary),
                    boundary_text(other.boundary),
                )
        differing = [name for name, (ours, own) in fields.items() if ours != own]
        if differing:
            name = differing[0]
            more = f" (and {some(differing[1:])})" if differing[1:] else ""
            raise WsolbenchError(
                f"method {there + 1} ({_name(other)}) beside method {here + 1} ({_name(first)})",
                found=f"another {name}{more}: {_short(fields[name][1])}",
                expected=_short(fields[name][0]),
                cure=_CURES.get(name, _CURES["protocol"]),
            )


_CURES = {
    "data set": "name methods that were scored on one data set",
    "split": "name methods that were scored on one split",
    "label": "make both with the same --label; only methods that are all class-agnostic, like "
    "trivial:NAME, may differ in it",
    "protocol": "evaluate both under the same --protocol",
    "annotations": "evaluate both with the same --annotations",
    "boundary rule": "evaluate both with the same --no-nms, --boundary-truth and "
    "--boundary-distance",
    "threshold": "evaluate both with --threshold-from, both with the same --threshold, or both "
    "without",
}
"""What to do about a difference, by its field."""


def _check_different(results: Sequence[Result]) -> None:
    """Refuse the same maps at the same thresholds, which have no difference."""
    for (here, first), (there, other) in combinations(enumerate(results, start=1), 2):
        same = first.submission_sha256 == other.submission_sha256
        if first.submission_sha256 and same and first.threshold == other.threshold:
            raise WsolbenchError(
                f"method {there} ({_name(other)})",
                found=f"the same maps as method {here}",
                expected="other maps, or other thresholds",
                cure="name each once",
            )


def _name(item: Result | SubmissionHeader) -> str:
    return item.name if isinstance(item, Result) else printable(str(item.method.get("name")))


def _short(value: object) -> str:
    return printable(str(value))[:80]


def _check_pixels(
    own: NDArray[np.int64], first: NDArray[np.int64], result: Result, images: Sequence[str]
) -> None:
    """Refuse counts whose ids stand at other images: (n, 2) pixels off and on the object."""
    rows = np.flatnonzero((own != first).any(axis=1)).tolist()
    differing = [images[row] for row in rows]
    if differing:
        raise WsolbenchError(
            f"counts of {result.name}",
            found=f"another number of pixels in {len(differing)} images: {some(differing)}",
            expected="the same photos and masks under the same ids",
            cure="evaluate again with --counts",
        )


def _names(results: Sequence[Result]) -> tuple[str, ...]:
    names = [result.name + (result.part and f", {result.part}") for result in results]
    return tuple(told_apart(names, [*map(telling, results)], numbered=True))
