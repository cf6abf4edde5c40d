"""Leaderboard entries: one JSON file per result, with its provenance.

An entry is *reported* (numbers copied from a paper), *measured* (scored by wsolbench, with the
hashes of the scored files) or *reproduced* (measured, and scored again with identical results).
Entries are untrusted: the reader refuses keys that the schema does not define, and tables escape
all texts.

Source: the published tables for reported entries; `formats.result.Result` for measured ones.
Conventions: each score has the unit and range of its record, mostly a fraction in [0, 1]; links are
https.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..errors import WsolbenchError, some
from ..files import require_file, strict_json, write_text
from ..formats.result import COUNTS_SUFFIX, Result, read_result
from ..formats.untrusted.contents import read_bytes
from ..image_ids import is_image_id
from ..metrics.own_thresholds import is_own_rule
from ..protocols import fields_sha256, is_protocol_name
from ..scores import LEVELS, SCORES, Read, Score, Unit, curve_names, localization_key
from .schema import FORMAT, FORMAT_VERSION, MAX_BYTES, schema, schema_faults

__all__ = [
    "Entry",
    "counts_beside",
    "entry_counts_path",
    "entry_from_json",
    "entry_path",
    "kept_curves",
    "read_entry",
    "read_scored",
    "slug",
    "text_faults",
]

LONGEST_STEM = 200
"""Longest file name without its ending, in characters."""

_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters without a visible shape that Unicode counts as printable."""

_REPORTED = {"paper", "printed"}
_MEASURED = {"submission_sha256", "annotations_sha256", "protocol", "wsolbench", "command"}
_COUNTED = "counts_sha256"  # optional, of measured entries alone


@dataclass(frozen=True)
class Entry:
    """One row of the leaderboard.

    Attributes:
        state: "reported", "measured" or "reproduced".
        method: its name in its paper, without post-processing.
        authors: of the method.
        backbone: the network.
        supervision: the labels it was trained with, e.g. "image label".
        dataset: the data set's name.
        split: the split's name.
        threshold: `rule`, and for others than "max" the levels and the source (see `Threshold`).
        scores: by key of `scores.SCORES`.
        date: of the source or the measurement: a year, a month or a day.
        provenance: reported: the paper and its cells as printed; measured: hashes, protocol,
            version and command.
        paper: of the method: title and https link.
        code: https link.
        commit: of the code.
        pretraining: data on which the backbone was pretrained.
        label: "gt" or "predicted": the class that the maps are of.
        map_size: of the photos or maps, in words.
        post_processing: applied to the method's maps, e.g. "SEM".
        seeds: of SEM: number of positions, or share of all positions.
        random_seed: of the run.
        variant: distinguishes entries whose other names are equal.
        study: the ablation that the entry belongs to; each ablation has its own table.
        images: number of scored images.
        intervals: [low, high] by key.
        bootstrap: how the intervals of a measured entry were drawn: see `formats.result.Bootstrap`.
        curves: of a measured entry, 256 values by name of the curve.
        footnotes: numbers of notes, by key of score or "entry".
        licence: of the maps.
    """

    state: str
    method: str
    authors: str
    backbone: str
    supervision: str
    dataset: str
    split: str
    threshold: Mapping[str, Any]
    scores: Mapping[str, float | int]
    date: str
    provenance: Mapping[str, Any]
    paper: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    commit: str = ""
    pretraining: str = ""
    label: str = ""
    map_size: str = ""
    post_processing: str = ""
    seeds: float | int | None = None
    random_seed: int | None = None
    variant: str = ""
    study: str = ""
    images: int | None = None
    intervals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    bootstrap: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    footnotes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    licence: str = ""

    @property
    def name(self) -> str:
        """Method, post-processing and variant."""
        parts = [self.method, f"+ {self.post_processing}" if self.post_processing else ""]
        name = " ".join(part for part in parts if part)
        return f"{name} ({self.variant})" if self.variant else name

    @property
    def counts_sha256(self) -> str:
        """The hash of the counts file next to the entry; empty if it carries none."""
        return str(self.provenance.get(_COUNTED, ""))

    def to_json(self) -> str:
        """The file's text, without empty fields and with each list of numbers on one line."""
        content = {key: value for key, value in asdict(self).items() if value not in ("", None, {})}
        content.update(format=FORMAT, format_version=FORMAT_VERSION)
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
        # No text contains a line end, so a bracket before one opens a list.
        return re.sub(r"\[\n([^\[\]{}\"]*)\]", lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"

    def write(self, root: str | os.PathLike[str]) -> Path:
        """Write the entry atomically to its path below the leaderboard's folder."""
        path = Path(root, entry_path(self))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, self.to_json())
        return path


def entry_path(entry: Entry) -> Path:
    """The path of an entry below the leaderboard's folder, made from its names.

    Raises:
        WsolbenchError: the file name would be too long.
    """
    parts = [entry.method, entry.post_processing, entry.backbone, entry.study, entry.variant]
    parts += [entry.split, "reported" if entry.state == "reported" else ""]
    stem = slug(" ".join(parts))
    if len(stem) > LONGEST_STEM:
        raise WsolbenchError(
            entry.name,
            found=f"a file name of {len(stem)} characters",
            expected=f"at most {LONGEST_STEM}",
            cure="shorten one of --method, --post-processing, --backbone, --study and --variant",
        )
    return Path("entries", slug(entry.dataset), f"{stem}.json")


def entry_counts_path(entry: Entry) -> Path:
    """The path of an entry's counts file below the leaderboard's folder."""
    return counts_beside(entry_path(entry))


def counts_beside(path: Path) -> Path:
    """The path of the counts file of an entry's file."""
    return path.with_name(path.name.removesuffix(".json") + COUNTS_SUFFIX)


def slug(text: str) -> str:
    """The text in lower-case ASCII letters, digits and hyphens, as a file name.

    Letters and digits of other scripts become the start of the text's hash, so that names which
    differ in them alone get different files. Accents are left out.
    """
    split = unicodedata.normalize("NFKD", text)
    plain = split.encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if any(letter.isalnum() and not letter.isascii() for letter in split):
        digest = hashlib.sha256(unicodedata.normalize("NFC", text).encode()).hexdigest()
        stem = f"{stem}-{digest[:8]}".strip("-")
    return stem or "unnamed"


def read_entry(path: str | os.PathLike[str]) -> Entry:
    """Read an entry.

    Raises:
        WsolbenchError: the file is missing, too large or not JSON; or see `entry_from_json`.
    """
    file = require_file(path, "a leaderboard entry", "name a file of the folder entries")
    try:
        content = strict_json(_text(file, MAX_BYTES))
    except ValueError as error:
        cure = "name a file that wsolbench leaderboard add wrote"
        raise _malformed(file, [f"not JSON ({error})"], cure) from error
    stated = content.get("format") if isinstance(content, dict) else None
    if isinstance(stated, str) and stated != FORMAT:
        raise WsolbenchError(
            file,
            found=f'a file of "format": "{stated[:40]}"',
            expected=f'a leaderboard entry: "{FORMAT}"',
            cure="name a file that wsolbench leaderboard add wrote",
            exit_status=1,
        )
    return entry_from_json(content, file)


def kept_curves(result: Result) -> dict[str, list[float]]:
    """The curves of a result that an entry stores: those over 256 levels."""
    if len(result.curves.get("threshold", ())) != LEVELS:
        return {}
    return {key: list(result.curves[key]) for key in curve_names() if key in result.curves}


def read_scored(path: str | os.PathLike[str]) -> Result | Entry:
    """Read a file that is either a result or an entry.

    Raises:
        WsolbenchError: see `read_result` and `read_entry`.
    """
    file = require_file(path, "a result file or a leaderboard entry")
    if file.stat().st_size <= MAX_BYTES:
        try:
            content = strict_json(_text(file, MAX_BYTES))
        except ValueError:
            return read_result(file)  # raises the error that says what is wrong
        if isinstance(content, dict) and content.get("format") == FORMAT:
            return entry_from_json(content, file)
    return read_result(file)


def entry_from_json(content: object, where: object, cure: str = "correct the entry") -> Entry:
    """The entry in parsed JSON.

    Checked beyond the schema: texts are printable, in Unicode's composed form, without leading,
    trailing or repeated blanks; a reported entry has a paper and printed cells that agree with its
    scores; any other entry has the hashes, protocol, version and command, images, label and
    licence; the protocol's hash matches its fields; a measured entry with intervals also has
    `bootstrap`.

    Args:
        content: parsed JSON.
        where: the name used in errors.
        cure: what its writer can do about a fault.

    Raises:
        WsolbenchError: the entry is invalid; names the first faults and their number.
    """
    faults = schema_faults(content, schema(), "entry")
    if faults or not isinstance(content, dict):
        raise _malformed(where, faults, cure)
    own = {item.name for item in fields(Entry)}
    entry = Entry(**{key: value for key, value in content.items() if key in own})
    try:
        faults = text_faults(content, "entry") + _state_faults(entry)
    except RecursionError:
        faults = ["nested too deeply"]
    if faults:
        raise _malformed(where, faults, cure)
    return entry


def text_faults(value: object, where: str) -> list[str]:
    """Texts that cannot be printed, or that look like others: one line each."""
    if isinstance(value, dict):
        return [f for key, item in value.items() for f in text_faults(item, f"{where}.{key}")]
    if isinstance(value, list):
        return [f for i, item in enumerate(value) for f in text_faults(item, f"{where}[{i}]")]
    if not isinstance(value, str):
        return []
    if not value.isprintable() or _INVISIBLE & set(value):
        return [f"{where}: characters that cannot be printed: {value!a}"]
    if unicodedata.normalize("NFC", value) != value or " ".join(value.split()) != value:
        return [f"{where}: {value!a} is not in composed form with single blanks"]
    return []


def _state_faults(entry: Entry) -> list[str]:
    faults = []
    for name in ("dataset", "split"):
        if not is_image_id(getattr(entry, name)):
            faults.append(f"{name}: {getattr(entry, name)!r} is not a valid name")
    for key, (low, high) in entry.intervals.items():
        # A percentile interval of a maximum need not hold the score itself.
        if key not in entry.scores or low > high:
            faults.append(f"intervals.{key}: [{low}, {high}] has no score, or low is above high")
    for key in sorted(entry.footnotes.keys() - {"entry"} - entry.scores.keys()):
        faults.append(f"footnotes.{key}: the entry has no such score")
    wanted = _REPORTED if entry.state == "reported" else _MEASURED
    optional = set() if entry.state == "reported" else {_COUNTED}
    if entry.provenance.keys() - optional != wanted:
        faults.append(f"provenance: its keys must be {', '.join(sorted(wanted))}")
    elif entry.state == "reported":
        faults += _printed_faults(entry)
        faults += ["curves: a reported entry cannot have curves"] if entry.curves else []
    else:
        faults += _measured_faults(entry)
    return faults


def _printed_faults(entry: Entry) -> list[str]:
    """A score is the first printed cell of its name."""
    first: dict[str, float | int] = {}
    for cell in entry.provenance["printed"]:
        unit, text = SCORES[cell["score"]].unit, cell["text"]
        if unit is Unit.LEVEL:
            value: float | int = int(text) if text.isdecimal() else -1
        else:
            value = float(Decimal(text) / (100 if unit is Unit.FRACTION else 1))
        first.setdefault(cell["score"], value)
    return [] if first == dict(entry.scores) else ["scores: they differ from the printed cells"]


def _measured_faults(entry: Entry) -> list[str]:
    faults = [f"entry: no {k}" for k in ("images", "label", "licence") if not getattr(entry, k)]
    protocol = dict(entry.provenance["protocol"])
    stated = protocol.pop("sha256", None)
    named = is_protocol_name(protocol.get("name")) and isinstance(protocol.get("version"), int)
    if not named or stated != fields_sha256(protocol):
        faults.append("provenance.protocol: its hash does not match its fields")
    faults += _curve_faults(entry)
    if bool(entry.intervals) != bool(entry.bootstrap):
        faults.append("intervals: they and bootstrap must be given together")
    if entry.threshold["rule"] == "unstated":
        faults.append("threshold.rule: a measured entry must state its rule")
    levels = {"pixel", "box"} & entry.threshold.keys()
    if entry.threshold["rule"] in ("max", "per_image") and levels:
        faults.append("threshold: only the rules carried and fixed have levels")
    own = entry.threshold.get("per_image")
    if (entry.threshold["rule"] == "per_image") != (own is not None and is_own_rule(own)):
        faults.append("threshold.per_image: the rule per_image needs it, e.g. otsu, and no other")
    if (entry.threshold["rule"] == "carried") != ("source" in entry.threshold):
        faults.append("threshold.source: the rule carried needs it, and no other rule may have it")
    return faults


def _curve_faults(entry: Entry) -> list[str]:
    """Incomplete curves, and curves that contradict the scores."""
    scores, curves = entry.scores, entry.curves
    if ("precision" in curves) != ("recall" in curves):
        return ["curves: precision and recall must both be given"]
    faults = []
    true_class = localization_key("gt")
    for score in SCORES.values():
        # Box scores of the best threshold are read off the curve that the label names.
        of_label = score.curve == true_class != score.key
        name = localization_key(entry.label) if of_label else score.curve
        value = _read_off(score, entry, curves[name]) if name in curves else None
        if value is not None and scores.get(score.key) != value:
            faults.append(
                f"curves.{name}: gives {value} for {score.key}, not {scores.get(score.key)}"
            )
        if score.read is Read.AREA and score.curve in curves:
            area = _area(curves[score.curve], curves["recall"])
            if abs(area - scores.get(score.key, float("inf"))) > 1e-9:
                there = scores.get(score.key)
                faults.append(f"curves.{score.curve}: gives {area} for {score.key}, not {there}")
    return faults


def _area(precision: Sequence[float], recall: Sequence[float]) -> float:
    """The area under precision against recall, which falls with the threshold."""
    steps = zip(precision, recall, [*recall[1:], 0.0], strict=True)
    return sum(height * (now - after) for height, now, after in steps)


def _read_off(score: Score, entry: Entry, curve: Sequence[float]) -> float | int | None:
    """The score that follows from its curve; None if the entry does not say how it was read."""
    scores, threshold = entry.scores, entry.threshold
    if score.read is Read.MAXIMUM:
        return max(curve)
    if score.read is Read.ARGMAX and score.unit is Unit.LEVEL:
        carried = score.family == "box" and threshold["rule"] != "max"
        return None if carried else curve.index(max(curve))
    if score.read is Read.THRESHOLD and score.family == "box":
        return curve[int(scores["box_threshold"])] if "box_threshold" in scores else None
    if score.read is Read.THRESHOLD and score.key in scores and "pixel" in threshold:
        return curve[int(threshold["pixel"])]
    return None


def _text(file: Path, limit: int) -> str:
    return read_bytes(file, "a leaderboard entry", limit, exit_status=1).decode()


def _malformed(
    where: object, faults: Sequence[str], cure: str = "correct the entry"
) -> WsolbenchError:
    return WsolbenchError(
        where,
        found=f"an invalid entry: {some(faults)}",
        expected="an entry as wsolbench leaderboard add writes it",
        cure=cure,
        exit_status=1,
    )
