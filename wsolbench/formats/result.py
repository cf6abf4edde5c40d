"""The result file: what one submission scored on one split, and under which protocol.

JSON with sorted keys, UTF-8, a final newline, no NaN. Scores are as their records say
(`scores.SCORES`), most of them fractions in [0, 1]; percent exists only where text is printed. A
score that cannot be computed is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..errors import WsolbenchError, printable, some
from ..files import require_file, strict_json, write_text
from ..metrics.own_thresholds import OwnRule, own_rule
from ..protocols import label_of, versioned
from ..scores import SCORES, ends_text, in_order, level_key
from ..tables import html_table
from .result_checks import GROUPS, contradictions, value_faults
from .untrusted.contents import read_bytes

__all__ = [
    "CONFIDENCE",
    "COUNTS_SUFFIX",
    "GROUPS",
    "Bootstrap",
    "Group",
    "Result",
    "Subset",
    "Threshold",
    "fault_of",
    "levels_read",
    "read_result",
]

FORMAT = "wsolbench-result"
FORMAT_VERSION = 1

COUNTS_SUFFIX = ".counts.npz"
"""Suffix of the file next to r.json that holds per-image statistics (`evaluation.counts`)."""

MAX_BYTES = 16 << 20
"""Largest result file that is read: 50 kB with all curves, and 2 kB for each group of images, of
which 1,000 classes make 2 MB."""

CONFIDENCE = 0.95
"""Confidence level of intervals: the share of the resamples within one."""

_OPTIONAL = {
    *("ids", "limit", "submission_sha256", "intervals", "bootstrap", "breakdowns", "boundary"),
    "content_sha256",
}


_HASH = "content_sha256"  # optional as well, since files of older versions have none


@dataclass(frozen=True)
class Threshold:
    """How the thresholds of box and carried pixel scores were chosen.

    Attributes:
        rule: "max" (the best on this very split), "carried" (from another result), "fixed" or
            "per_image" (each map's own, without annotation).
        pixel: T of `iou_at_threshold`; absent under "max", and where the protocol fixes it.
        box: T of the localization scores; absent under "max", where `box_threshold` tells, and
            where the protocol fixes it.
        source: of a carried one: the other result's method, split and submission hash.
        per_image: how each map gives its own threshold (`metrics.own_thresholds`): "otsu", "mean",
            "max:F" or "area:F"; absent under other rules.

    Examples:
        >>> carried = wsolbench.read_result("demo/sem-test.json").threshold
        >>> carried.rule, carried.source["split"]
        ('carried', 'val')
        >>> otsu = wsolbench.Threshold("per_image", per_image="otsu")
        >>> wsolbench.evaluate("demo/mini.h5", "demo/sem-val.h5", threshold=otsu).threshold.kind
        'otsu'
    """

    rule: str
    pixel: int | None = None
    box: int | None = None
    source: Mapping[str, Any] | None = None
    per_image: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As files hold it: without what is absent."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @property
    def own(self) -> OwnRule | None:
        """The rule by which each map gives its own threshold; None under other rules."""
        return None if self.per_image is None else own_rule(self.per_image)

    @property
    def kind(self) -> str:
        """What two results must have in common to be compared: the rule, without levels."""
        return self.rule if self.per_image is None else self.per_image


@dataclass(frozen=True)
class Bootstrap:
    """How intervals were drawn: percentiles over resamples of the images.

    Attributes:
        resamples: how many; 1,000 settle a 95 % interval to about a tenth of its width.
        seed: of the draws.
        level: share of the resamples that lie within an interval.

    Examples:
        >>> drawn = wsolbench.Bootstrap(200, seed=1)
        >>> result = wsolbench.evaluate("demo/mini.h5", "demo/sem-val.h5", bootstrap=drawn)
        >>> low, high = result.intervals["peak_iou"]
        >>> low < result.scores["peak_iou"] < high
        True
    """

    resamples: int
    seed: int = 0
    level: float = CONFIDENCE


@dataclass(frozen=True)
class Subset:
    """Images of a split that were chosen by their ids.

    Attributes:
        count: how many.
        sha256: of their ids, sorted, each followed by a line feed.
    """

    count: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.count} images of list {self.sha256[:8]}"


@dataclass(frozen=True)
class Group:
    """Scores of a subset of the images, read at the thresholds chosen on the whole split.

    Attributes:
        name: which images, in words.
        images: how many.
        scores: by key (see `scores.SCORES`).
        intervals: [low, high] by key, over the resamples of the result.

    Examples:
        >>> result = wsolbench.evaluate("demo/mini.h5", "demo/sem-val.h5", by=["boxes"])
        >>> {group.name: group.images for group in result.breakdowns["boxes"]}
        {'1': 89, '2': 28, '3': 3}
    """

    name: str
    images: int
    scores: Mapping[str, float | int]
    intervals: Mapping[str, Sequence[float | int]] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Result:
    """What one submission scored.

    Attributes:
        method: as the submission states it.
        dataset: the data set's name.
        split: the split's name.
        label: "gt" or "predicted": whose class's maps they are.
        normalisation: the writer's, in words.
        images: how many were scored.
        protocol: every field of the protocol, and their hash.
        annotations_sha256: of the annotations' logical content.
        submission_sha256: of the submission file; empty where maps came from memory.
        wsolbench: the version that scored.
        threshold: how thresholds were chosen.
        intervals: [low, high] by key of the scores, with `bootstrap`.
        bootstrap: how the intervals were drawn; None where there are none.
        limit: of a trial on the first images: how many; None for the whole split.
        ids: which images were chosen by a list of ids; None for the whole split.
        scores: by key (see `scores.SCORES`).
        curves: lists by key, as long as `threshold` among them: 256 under `sem`; those of
            boundaries, whose keys start so, as long as `boundary_threshold`.
        counts: of images, by what is worth knowing about them.
        breakdowns: scores of groups of images, by kind of group: "area", "boxes", "class".
        boundary: how boundaries were scored (`metrics.boundary.BoundaryRule`); empty if they were
            not.

    Examples:
        >>> result = wsolbench.read_result("demo/sem-val.json")
        >>> result.images, len(result.curves["iou"]), f"{result.scores['peak_iou']:.2f}"
        (120, 256, '0.53')
    """

    method: Mapping[str, Any]
    dataset: str
    split: str
    label: str
    normalisation: str
    images: int
    protocol: Mapping[str, Any]
    annotations_sha256: str
    submission_sha256: str
    wsolbench: str
    threshold: Threshold
    scores: Mapping[str, float | int]
    curves: Mapping[str, Sequence[float]]
    counts: Mapping[str, int]
    limit: int | None = None
    ids: Subset | None = None
    intervals: Mapping[str, Sequence[float | int]] = field(default_factory=dict)
    bootstrap: Bootstrap | None = None
    breakdowns: Mapping[str, Sequence[Group]] = field(default_factory=dict)
    boundary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Method and backbone, for tables and legends, on one printable line."""
        parts = [str(self.method.get(key, "")) for key in ("name", "backbone")]
        return printable(" ".join(part for part in parts if part)) or "unnamed"

    @property
    def parameters(self) -> Mapping[str, object]:
        """What the method states of its parameters; a stranger's, and maybe nothing."""
        stated = self.method.get("parameters")
        return stated if isinstance(stated, Mapping) else {}

    @property
    def part(self) -> str:
        """ "trial" or "subset" if only some images of the split were scored, else empty."""
        return "subset" if self.ids else "" if self.limit is None else "trial"

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{SCORES[key].title} {SCORES[key].text(self.scores[key])}"
            for key in in_order(self.scores)
            if SCORES[key].shown
        )
        return (
            f"Result({self.name} on {self.dataset} {self.split}, {self.images} images, "
            f"{versioned(self.protocol)}: {shown})"
        )

    def _repr_html_(self) -> str:
        """The scores as a table, for notebooks."""
        rows = []
        for key in in_order(self.scores):
            score, ends = SCORES[key], self.intervals.get(key)
            cells = [score.title, score.text(self.scores[key])]
            cells += [ends_text(score, ends)] if ends else []
            rows.append(cells)
        trial = "" if self.limit is None else " (a trial)"
        trial += "" if self.ids is None else f" ({self.ids})"
        about = (
            f"{self.name} on {self.dataset} {self.split}: {self.images} images{trial}, "
            f"protocol {label_of(self.protocol)}, thresholds {self.threshold.rule}; "
            "fractions in percent"
        )
        return html_table(rows, about)

    def to_frame(self) -> Any:
        """The scores as a pandas DataFrame: a row a score, by key, in the order of tables.

        Its columns are `title`, `score`, and `low` and `high` where there are intervals; numbers
        are as in the file, so fractions are no percent.

        Raises:
            WsolbenchError: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise WsolbenchError(
                "to_frame", found="pandas is not installed", cure="pip install pandas"
            ) from error
        keys = in_order(self.scores)
        columns: dict[str, list[Any]] = {
            "title": [SCORES[key].title for key in keys],
            "score": [self.scores[key] for key in keys],
        }
        for place, name in enumerate(("low", "high")):
            if self.intervals:
                columns[name] = [self.intervals.get(key, (None, None))[place] for key in keys]
        return pandas.DataFrame(columns, index=pandas.Index(keys, name="key"))

    def to_json(self) -> str:
        """The file's text."""
        return _text(self._content(), indent=1) + "\n"

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = {own.name: getattr(self, own.name) for own in fields(self)}
        content["threshold"] = self.threshold.as_dict()
        if self.bootstrap is None:
            del content["bootstrap"], content["intervals"]
        else:
            content["bootstrap"] = asdict(self.bootstrap)
        content["breakdowns"] = {
            kind: [_group_content(group) for group in held]
            for kind, held in self.breakdowns.items()
        }
        if not self.breakdowns:
            del content["breakdowns"]
        content["format"] = FORMAT
        content["format_version"] = FORMAT_VERSION
        content["comparable"] = self.limit is None and self.ids is None
        if self.limit is None:
            del content["limit"]
        if self.ids is None:
            del content["ids"]
        else:
            content["ids"] = asdict(self.ids)
        if not self.boundary:
            del content["boundary"]
        if not self.submission_sha256:
            del content["submission_sha256"]
        content[_HASH] = _content_sha256(content)
        return content

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the result file, whole or not at all."""
        write_text(path, self.to_json())


def levels_read(threshold: Threshold, scores: Mapping[str, float | int]) -> dict[str, int]:
    """The level that each metric family was read at: the one given, otherwise its best.

    Args:
        threshold: how thresholds were chosen.
        scores: of the same result.

    Returns:
        T by "pixel" and "box"; without a family that was read at no level, and empty where each
        map has its own.
    """
    if threshold.per_image is not None:
        return {}
    given = {"pixel": threshold.pixel, "box": threshold.box}
    levels = {
        family: scores.get(level_key(family)) if level is None else level
        for family, level in given.items()
    }
    return {family: int(level) for family, level in levels.items() if level is not None}


def read_result(path: str | os.PathLike[str]) -> Result:
    """Read a result file.

    Raises:
        WsolbenchError: missing, no JSON, duplicate or unknown or missing keys, another version,
            values that no result can have, or that contradict each other (`result_checks`).

    Examples:
        >>> result = wsolbench.read_result("demo/sem-test.json")
        >>> result.dataset, result.split, result.threshold.rule
        ('mini', 'test', 'carried')
    """
    file = require_file(path, "a result file", "name one that `wsolbench evaluate --out` wrote")
    if file.name.endswith(COUNTS_SUFFIX):
        raise WsolbenchError(
            file,
            found="the counts of a result",
            expected="the result itself",
            cure=f"name {file.name.removesuffix(COUNTS_SUFFIX)}.json, which is next to it",
        )
    data = read_bytes(file, "a result", MAX_BYTES, cure="name a result file")
    if data.startswith(b"\x89HDF"):
        raise WsolbenchError(
            file,
            found="an HDF5 file: annotations or a submission",
            expected="a result, which is JSON",
            cure="evaluate the submission first (wsolbench evaluate --out), and name what it wrote",
        )
    try:
        content = strict_json(data.decode())
    except ValueError as error:
        raise WsolbenchError(
            file,
            found=f"no result file ({error})",
            expected="JSON that `wsolbench evaluate --out` wrote",
            cure="name a result, or evaluate again",
        ) from error
    return _result(file, content)


def fault_of(result: Result) -> str:
    """What no result can hold, or where its parts contradict each other; nothing if it is sound.

    Raises:
        TypeError, AttributeError, KeyError, ValueError: a part of another shape.
    """
    wrong = value_faults(result)
    return f"invalid {', '.join(wrong)}" if wrong else some(contradictions(result))


def _text(content: Mapping[str, Any], indent: int | None = None) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent)


def _content_sha256(content: Mapping[str, Any]) -> str:
    """The SHA-256 of a result without its own hash, as JSON with sorted keys and no spaces."""
    others = {key: value for key, value in content.items() if key != _HASH}
    text = json.dumps(others, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _group_content(group: Group) -> dict[str, Any]:
    content = asdict(group)
    if not group.intervals:
        del content["intervals"]
    return content


def _result(file: os.PathLike[str], content: object) -> Result:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise WsolbenchError(
            file,
            found="JSON of another kind",
            expected=f'"format": "{FORMAT}"',
            cure="name a result file",
        )
    if content.get("format_version") != FORMAT_VERSION:
        raise WsolbenchError(
            file,
            found=f"format version {content.get('format_version')}",
            expected=str(FORMAT_VERSION),
            cure="evaluate the submission again with this version of wsolbench",
        )
    envelope = {"format", "format_version", "comparable", _HASH}
    own = {part.name for part in fields(Result)}
    missing = sorted((own | envelope) - _OPTIONAL - content.keys())
    unknown = sorted(content.keys() - own - envelope)
    if missing or unknown:
        raise WsolbenchError(
            file,
            found=f"keys missing: {missing or 'none'}; unknown: {unknown or 'none'}",
            expected="the keys of a result",
            cure="evaluate the submission again",
        )
    values: dict[str, Any] = {
        "submission_sha256": "",
        **{key: content[key] for key in own & content.keys()},
    }
    try:
        values["threshold"] = Threshold(**values["threshold"])
        if "bootstrap" in values:
            values["bootstrap"] = Bootstrap(**values["bootstrap"])
        if "ids" in values:
            values["ids"] = Subset(**values["ids"])
        values["breakdowns"] = {
            kind: [Group(**group) for group in held]
            for kind, held in content.get("breakdowns", {}).items()
        }
        result = Result(**values)
        _text(result._content()).encode()  # indented, it would take ten times as long
        fault = fault_of(result)
        if content["comparable"] is not (result.limit is None and result.ids is None):
            fault = fault or "invalid comparable"
        if content.get(_HASH, sha256 := _content_sha256(content)) != sha256:
            fault = fault or f"content of SHA-256 {sha256[:12]}, where the file states another"
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        fault = f"another shape ({error})"
    if fault:
        raise WsolbenchError(
            file,
            found=fault,
            expected="what `wsolbench evaluate --out` wrote",
            cure="evaluate the submission again",
        )
    return result
