"""The result file: what one submission scored on one split, and under which protocol.

JSON with sorted keys, UTF-8, a final newline, no NaN. Scores are fractions in [0, 1]; percent
exists only where text is printed. A score that cannot be had is absent.

Public names: `Result`, `Threshold`, `Bootstrap`, `Group`, `read_result`, `table`,
`breakdown_table`, `signature`,
`threshold_text`, `shown`, `check_alike`, `markdown_text`, `COLUMNS`, `LEVEL_SCORES`,
`THRESHOLD_SCORES`, `LEVELS`, `LEVEL`, `FORMATS`.
"""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..errors import WsolbenchError, printable
from ..files import guard_cell, require_file, strict_json, write_text
from ..image_ids import is_image_id
from ..protocols import fields_sha256

FORMAT = "wsolbench-result"
FORMAT_VERSION = 1

TELLING = ("seeds", "normalisation", "size", "map_size")
"""Parameters that tell runs of one method apart, the first that does."""

COUNTS_SUFFIX = ".counts.npz"
"""Of the file beside r.json that holds what its images add (see `counts`)."""

MAX_BYTES = 64 << 20
"""Largest result file that is read; one with all curves has about 50 kB."""

COLUMNS: dict[str, str] = {
    "peak_iou": "Peak-IoU",
    "peak_threshold": "Peak-T",
    "peak_threshold_fraction": "Peak-T (fraction)",
    "ap": "AP",
    "peak_iou_image_mean": "Peak-IoU (image mean)",
    "peak_threshold_image_mean": "Peak-T (image mean)",
    "ap_image_mean": "AP (image mean)",
    "iou_at_threshold": "IoU at T",
    "iou_at_threshold_image_mean": "IoU at T (image mean)",
    "gt_known_loc": "GT-known",
    "predicted_loc": "Predicted-class loc",
    "top1_loc": "Top-1 loc",
    "top5_loc": "Top-5 loc",
    "box_threshold": "Box-T",
    "box_threshold_fraction": "Box-T (fraction)",
    "max_box_acc": "MaxBoxAcc .5",
    "max_box_acc_30": "MaxBoxAcc .3",
    "max_box_acc_70": "MaxBoxAcc .7",
    "max_box_acc_v2": "MaxBoxAcc mean",
    "top1_cls": "Top-1 class",
    "top5_cls": "Top-5 class",
}
"""Every score by its key, and what tables call it, in the order of the tables."""

LEVEL_SCORES = frozenset({"peak_threshold", "peak_threshold_image_mean", "box_threshold"})
"""Scores that are thresholds 0..255, not fractions."""

THRESHOLD_SCORES = LEVEL_SCORES | {"peak_threshold_fraction", "box_threshold_fraction"}
"""Scores that are thresholds: levels, or fractions where a protocol has finer ones than levels."""

LEVELS = 256
"""Thresholds of a curve (paper, section 3.1)."""

LEVEL = 0.95
"""Share of the resamples within an interval."""

_BOX_THRESHOLDS = {"box_threshold", "box_threshold_fraction"}

_OPTIONAL = {"limit", "submission_sha256", "intervals", "bootstrap", "breakdowns"}

GROUPS = {"area": "Object area / image area", "boxes": "True boxes", "class": "Class"}
"""What images may be grouped by, and what tables call it."""

FORMATS = ("text", "md", "latex", "csv")
"""How a table may be printed."""


@dataclass(frozen=True)
class Threshold:
    """How the thresholds of box and carried pixel scores were chosen.

    Attributes:
        rule: "max" (the best on this very split), "carried" (from another result) or "fixed".
        pixel: T of `iou_at_threshold`; absent under "max", and where the protocol fixes it.
        box: T of the localization scores; absent under "max", where `box_threshold` tells, and
            where the protocol fixes it.
        source: of a carried one: the other result's method, split and submission hash.
    """

    rule: str
    pixel: int | None = None
    box: int | None = None
    source: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Bootstrap:
    """How intervals were drawn: percentiles over resamples of the images.

    Attributes:
        resamples: how many; 1,000 settle a 95 % interval to about a tenth of its width.
        seed: of the draws.
        level: share of the resamples that lie within an interval.
    """

    resamples: int
    seed: int = 0
    level: float = LEVEL


@dataclass(frozen=True)
class Group:
    """What some of the images scored, at the thresholds of them all.

    Attributes:
        name: which images, in words.
        images: how many.
        scores: by key (see `COLUMNS`).
        intervals: [low, high] by key, over the resamples of the result.
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
        scores: by key (see `COLUMNS`).
        curves: lists by key, as long as `threshold` among them: 256 under `sem`.
        counts: of images, by what is worth knowing about them.
        breakdowns: scores of groups of images, by kind of group: "area", "boxes", "class".
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
    intervals: Mapping[str, Sequence[float | int]] = field(default_factory=dict)
    bootstrap: Bootstrap | None = None
    breakdowns: Mapping[str, Sequence[Group]] = field(default_factory=dict)

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

    def __repr__(self) -> str:
        return f"Result({self.name} on {self.dataset} {self.split}: {dict(self.scores)})"

    def to_json(self) -> str:
        """The file's text."""
        content: dict[str, Any] = {own.name: getattr(self, own.name) for own in fields(self)}
        content["threshold"] = {k: v for k, v in asdict(self.threshold).items() if v is not None}
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
        content["comparable"] = self.limit is None
        if self.limit is None:
            del content["limit"]
        if not self.submission_sha256:
            del content["submission_sha256"]
        return (
            json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
            + "\n"
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the result file, whole or not at all."""
        write_text(path, self.to_json())


def read_result(path: str | os.PathLike[str]) -> Result:
    """Read a result file.

    Raises:
        WsolbenchError: missing, no JSON, duplicate or unknown or missing keys, another version.
    """
    file = require_file(path, "a result file", "name one that `wsolbench evaluate --out` wrote")
    if file.name.endswith(COUNTS_SUFFIX):
        raise WsolbenchError(
            file,
            found="the counts of a result",
            expected="the result itself",
            cure=f"name {file.name.removesuffix(COUNTS_SUFFIX)}.json, beside which they lie",
        )
    if file.stat().st_size > MAX_BYTES:
        raise WsolbenchError(
            file,
            found=f"{file.stat().st_size} bytes",
            expected=f"a result of at most {MAX_BYTES}",
            cure="name a result file",
        )
    data = file.read_bytes()
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


def signature(result: Result) -> str:
    """What must agree before two numbers may be compared, in one line."""
    parts = {
        "wsolbench": result.wsolbench,
        "protocol": f"{result.protocol['name']}.v{result.protocol['version']}",
        "hash": str(result.protocol["sha256"])[:8],
        "annotations": f"{result.dataset}/{result.split}/{result.annotations_sha256[:8]}",
        "images": result.images,
        "maps": result.label,
        "threshold": threshold_text(result),
    }
    if "max_box_acc" in result.scores and not _BOX_THRESHOLDS & result.scores.keys():
        parts["boxes"] = "the submission's"
    if result.bootstrap is not None:
        drawn = result.bootstrap
        parts["intervals"] = (
            f"{100 * drawn.level:g} % of {drawn.resamples} resamples of images, seed {drawn.seed}"
        )
    if result.counts.get("missing"):
        parts["missing"] = result.counts["missing"]
    if result.limit is not None:
        parts["TRIAL"] = f"first {result.limit} images only, not comparable"
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def threshold_text(result: Result) -> str:
    """How thresholds were chosen, in a few words."""
    threshold = result.threshold
    if threshold.rule == "max":
        return "max on this split"
    if threshold.rule == "fixed" and threshold.pixel is None:
        return f"fixed by the protocol at {result.protocol.get('fixed_threshold')}"
    if threshold.rule == "fixed":
        return f"fixed at {threshold.pixel}"
    source = threshold.source or {}
    whose = "" if source.get("method") == result.name else f" of {source.get('method')}"
    levels = {"T": threshold.pixel, "box T": threshold.box}
    taken = ", ".join(f"{name} {level}" for name, level in levels.items() if level is not None)
    return printable(f"from {source.get('split')}{whose} ({taken})")


def table(results: Sequence[Result], form: str = "text") -> str:
    """Results as a table: one row a score for a single result on a terminal, else one row a result.

    Fractions are percent with two decimals in all but CSV, which keeps them as they are.

    Raises:
        WsolbenchError: results of different protocols, whose numbers do not belong in one table.
    """
    check_alike(results)
    keys = [key for key in COLUMNS if any(key in result.scores for result in results)]
    if form == "csv":
        parts = [part for result in results for part in _parts(result)]
        return _csv(results, [key for key in COLUMNS if any(key in p.scores for p in parts)])
    from tabulate import tabulate

    if form == "text" and len(results) == 1:
        scores = results[0].scores
        rows = [
            [COLUMNS[key], _shown(key, scores), _ends(key, results[0].intervals)] for key in keys
        ]
        aligns = ("left", "right", "left")
        return tabulate(rows, tablefmt="plain", colalign=aligns, disable_numparse=True)
    head = ["Method", "Data set", "Split", "Images", "Threshold", *(COLUMNS[key] for key in keys)]
    names = told_apart(
        [result.name for result in results], [result.parameters for result in results]
    )
    rows = [
        [
            name,
            result.dataset,
            result.split + ("" if result.limit is None else " (trial)"),
            str(result.images),
            threshold_text(result),
            *(
                f"{_shown(key, result.scores)} {_ends(key, result.intervals)}".strip()
                for key in keys
            ),
        ]
        for name, result in zip(names, results, strict=True)
    ]
    if form == "text":
        # A terminal is narrower than a paper: results side by side, scores below each other.
        columns = [list(column) for column in zip(head, *rows, strict=True)]
        return tabulate(
            columns[1:],
            headers=columns[0],
            tablefmt="simple",
            disable_numparse=True,
            colalign=("left", *("right" for _ in results)),
        )
    kind = {"md": "github", "latex": "latex_booktabs"}[form]
    aligned = ("left", "left", "left", "right", "left", *("right" for _ in keys))
    if form == "md":
        rows = [[markdown_text(cell) for cell in row] for row in rows]
    return tabulate(rows, headers=head, tablefmt=kind, disable_numparse=True, colalign=aligned)


_OF_GROUPS = ("iou_at_threshold", "ap", "gt_known_loc", "predicted_loc", "top1_loc")
_SHOWN_GROUPS = 20


def breakdown_table(result: Result, kind: str, form: str = "text") -> str:
    """The groups of one kind as a table, a row a group; `table` has them in CSV.

    On a terminal the scores that say most; of more than 20 groups, the lowest and highest ten.
    """
    from tabulate import tabulate

    groups = list(result.breakdowns[kind])
    keys = [key for key in COLUMNS if any(key in group.scores for group in groups)]
    gap = None
    if form == "text":
        keys = [key for key in keys if key in _OF_GROUPS]
        if len(groups) > _SHOWN_GROUPS:
            groups.sort(key=lambda group: group.scores.get(keys[0], 0))
            gap = _SHOWN_GROUPS // 2
            left = len(groups) - _SHOWN_GROUPS
            groups = [*groups[:gap], *groups[-gap:]]
    clean = markdown_text if form == "md" else str
    rows = [
        [
            clean(group.name),
            str(group.images),
            *(f"{_shown(key, group.scores)} {_ends(key, group.intervals)}".strip() for key in keys),
        ]
        for group in groups
    ]
    if gap is not None:
        rows.insert(gap, [f"... {left} between", *("" for _ in range(len(keys) + 1))])
    return tabulate(
        rows,
        headers=[GROUPS[kind], "Images", *(COLUMNS[key] for key in keys)],
        tablefmt={"text": "simple", "md": "github", "latex": "latex_booktabs"}[form],
        disable_numparse=True,
        colalign=("left", *("right" for _ in range(len(keys) + 1))),
    )


def check_alike(results: Sequence[Result]) -> None:
    """Refuse results whose numbers may not stand side by side.

    Raises:
        WsolbenchError: none at all, or some of another protocol than the first.
    """
    if not results:
        raise WsolbenchError("results", found="none", cure="name one or more result files")
    for result in results:
        if result.protocol["sha256"] != results[0].protocol["sha256"]:
            names = [f"{r.protocol['name']}.v{r.protocol['version']}" for r in (results[0], result)]
            raise WsolbenchError(
                "results",
                found=f"protocols {' and '.join(names)}",
                expected="one protocol side by side",
                cure="show them apart",
            )


def told_apart(
    names: Sequence[str], stated: Sequence[Mapping[str, object]], *, numbered: bool = False
) -> list[str]:
    """Names of which those that are alike get the first parameter in which all of them differ.

    Args:
        names: of methods.
        stated: parameters of each; one without the parameter keeps its name.
        numbered: whether those that differ in none get numbers.
    """
    told = []
    for place, name in enumerate(names):
        alike = [own for own, other in zip(stated, names, strict=True) if other == name]
        telling = [
            key for key in TELLING if len({str(own.get(key, "")) for own in alike}) == len(alike)
        ]
        if len(alike) == 1 or (telling and telling[0] not in stated[place]):
            told.append(name)
        elif telling:
            value = printable(str(stated[place][telling[0]]))[:20]
            told.append(f"{name}, {telling[0].replace('_', ' ')} {value}")
        else:
            told.append(f"{name} ({place + 1})" if numbered else name)
    return told


def markdown_text(text: str) -> str:
    """A stranger's text as Markdown that stays text: no column, tag, link, emphasis or formula."""
    safe = re.sub(r"([\\|\[\]*_`~#$])", r"\\\1", html.escape(text, quote=False))
    # GitHub makes links of bare addresses.
    return re.sub(r"(?i)(?<=https):|(?<=http):|(?<=ftp):|(?<=www)\.|@", _entity, safe)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def shown(key: str, value: float | int, decimals: int = 2) -> str:
    """A score as tables print it: percent, but for thresholds, which stay as they are."""
    if key in LEVEL_SCORES:
        return str(value)
    return f"{value:.3f}" if key in THRESHOLD_SCORES else f"{100 * value:.{decimals}f}"


def _shown(key: str, scores: Mapping[str, float | int]) -> str:
    return shown(key, scores[key]) if key in scores else "-"


def _ends(key: str, intervals: Mapping[str, Sequence[float | int]]) -> str:
    if key not in intervals:
        return ""
    low, high = (shown(key, end) for end in intervals[key])
    return f"[{low}, {high}]"


def _csv(results: Sequence[Result], keys: Sequence[str]) -> str:
    """A row a result and, where there are any, a row each of its groups."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    grouped = any(result.breakdowns for result in results)
    parts = [part for result in results for part in _parts(result)]
    held = [key for key in keys if any(key in part.intervals for part in parts)]
    bounds = [f"{key}_{end}" for key in held for end in ("low", "high")]
    head = ["method", "dataset", "split", "images", "limit", "threshold"]
    writer.writerow([*head, *(["by", "group"] if grouped else []), *keys, *bounds])
    for result in results:
        kinds = ["", *(kind for kind, found in result.breakdowns.items() for _ in found)]
        for kind, part in zip(kinds, _parts(result), strict=True):
            about = [
                guard_cell(result.name),
                guard_cell(result.dataset),
                guard_cell(result.split),
                part.images,
                "" if result.limit is None else result.limit,
                guard_cell(threshold_text(result)),
            ]
            if grouped:
                about += [kind, guard_cell(part.name) if kind else ""]
            ends = [end for key in held for end in part.intervals.get(key, ("", ""))]
            writer.writerow([*about, *(part.scores.get(key, "") for key in keys), *ends])
    return text.getvalue().rstrip("\n")


def _parts(result: Result) -> list[Result | Group]:
    """A result and its groups."""
    return [result, *(group for held in result.breakdowns.values() for group in held)]


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
    envelope = {"format", "format_version", "comparable"}
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
        values["breakdowns"] = {
            kind: [Group(**group) for group in held]
            for kind, held in content.get("breakdowns", {}).items()
        }
        result = Result(**values)
        fault = _fault(result)
        result.to_json().encode()
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


def _fault(result: Result) -> str:
    """What is wrong with the values of a result that a stranger may have written."""
    names = ("label", "normalisation", "wsolbench", "annotations_sha256", "submission_sha256")
    texts = [getattr(result, name) for name in names]
    protocol = {key: value for key, value in result.protocol.items() if key != "sha256"}
    stated = (result.protocol["name"], result.protocol["version"], result.protocol["sha256"])
    given = [t for t in (result.threshold.pixel, result.threshold.box) if t is not None]
    source = result.threshold.source or {}
    checks = {
        "data set and split": is_image_id(result.dataset) and is_image_id(result.split),
        "texts": all(isinstance(text, str) and text.isprintable() for text in texts),
        "a label": result.label in ("gt", "predicted"),
        "a method": isinstance(result.method, dict),
        "a protocol": is_image_id(stated[0])
        and _is_count(stated[1])
        and stated[2] == fields_sha256(protocol),
        "a count of images": _is_count(result.images) and result.images > 0,
        "a limit": result.limit is None or _is_count(result.limit),
        "counts": all(map(_is_count, result.counts.values())),
        "scores": _are_scores(result.scores),
        "intervals": (result.bootstrap is not None or not result.intervals)
        and result.intervals.keys() <= result.scores.keys()
        and all(map(_is_interval, result.intervals.items())),
        "a bootstrap": result.bootstrap is None
        or (
            _is_count(result.bootstrap.resamples)
            and _is_count(result.bootstrap.seed)
            and result.bootstrap.level == LEVEL
        ),
        "groups": all(
            kind in GROUPS and all(_is_group(group, result.images) for group in held)
            for kind, held in result.breakdowns.items()
        ),
        "a threshold": all(map(_is_level, given)),
        "a threshold's rule": result.threshold.rule in ("max", "carried", "fixed")
        and (result.threshold.rule != "carried" or {"method", "split"} <= source.keys()),
        "curves": all(
            len(curve) == len(result.curves["threshold"]) and all(map(_is_number, curve))
            for curve in result.curves.values()
        ),
    }
    wrong = [name for name, sound in checks.items() if not sound]
    return f"{' and '.join(wrong)} out of order" if wrong else ""


def _is_group(group: Group, images: int) -> bool:
    return (
        isinstance(group.name, str)
        and group.name.isprintable()
        and _is_count(group.images)
        and 0 < group.images <= images
        and _are_scores(group.scores)
        and group.intervals.keys() <= group.scores.keys()
        and all(map(_is_interval, group.intervals.items()))
    )


def _are_scores(scores: Mapping[str, float | int]) -> bool:
    return scores.keys() <= COLUMNS.keys() and all(
        _is_level(value) if key in LEVEL_SCORES else _is_fraction(value)
        for key, value in scores.items()
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_fraction(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_interval(item: tuple[str, Any]) -> bool:
    key, ends = item
    sound = _is_level if key in LEVEL_SCORES else _is_fraction
    return len(ends) == 2 and all(map(sound, ends)) and ends[0] <= ends[1]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_level(value: Any) -> bool:
    return _is_count(value) and value <= 255
