"""Leaderboard entries: one JSON file a result, with where it comes from.

An entry is *reported* (a number as somebody printed it), *measured* (scored by wsolbench, with
the hashes of what was scored) or *reproduced* (measured, and scored again with the same outcome).
Entries come from strangers: the reader refuses what the schema does not name, and a table escapes
what it takes from them.

Source: the published tables for reported entries; `formats.result.Result` for measured ones.
Conventions: scores are as their records say, mostly fractions in [0, 1]; links are https.
"""

from __future__ import annotations

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
from ..formats.result import Result, read_result
from ..image_ids import is_image_id
from ..protocols import fields_sha256
from ..scores import SCORES, Read, Score, Unit, localization_key
from .schema import FORMAT, FORMAT_VERSION, MAX_BYTES, schema, schema_faults

__all__ = ["Entry", "entry_from_json", "entry_path", "read_entry", "read_scored", "slug"]

LONGEST_STEM = 200
"""Characters of a file name without its ending."""

_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters that show nothing, though Unicode calls them printable."""

_REPORTED = {"paper", "printed"}
_MEASURED = {"submission_sha256", "annotations_sha256", "protocol", "wsolbench", "command"}


@dataclass(frozen=True)
class Entry:
    """One line of the leaderboard.

    Attributes:
        state: "reported", "measured" or "reproduced".
        method: its name in its paper, without what is applied after it.
        authors: who made the method.
        backbone: the network.
        supervision: what it was trained on, e.g. "image label".
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
        pretraining: what the backbone was trained on before.
        label: "gt" or "predicted": whose class's maps they are.
        map_size: of the photos or maps, in words.
        post_processing: what was applied to the method's maps, e.g. "SEM".
        seeds: of SEM: how many positions, or which share of them.
        random_seed: of the run.
        variant: what tells apart entries that are alike in all names.
        study: the ablation an entry belongs to; ablations have tables of their own.
        images: how many were scored.
        intervals: [low, high] by key.
        bootstrap: how a measured one's intervals were drawn: see `formats.result.Bootstrap`.
        curves: of a measured one, 256 values by name of the curve.
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
        """Method, what was applied to it, and the variant."""
        parts = [self.method, f"+ {self.post_processing}" if self.post_processing else ""]
        name = " ".join(part for part in parts if part)
        return f"{name} ({self.variant})" if self.variant else name

    def to_json(self) -> str:
        """The file's text; fields that are empty are absent, numbers of a list share a line."""
        content = {key: value for key, value in asdict(self).items() if value not in ("", None, {})}
        content.update(format=FORMAT, format_version=FORMAT_VERSION)
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
        # No text holds a line end, so that a bracket before one opens a list.
        return re.sub(r"\[\n([^\[\]{}\"]*)\]", lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"

    def write(self, root: str | os.PathLike[str]) -> Path:
        """Write the entry to its place below the leaderboard's folder, whole or not at all."""
        path = Path(root, entry_path(self))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, self.to_json())
        return path


def entry_path(entry: Entry) -> Path:
    """Where an entry lies below the leaderboard's folder: its names make the file's name.

    Raises:
        WsolbenchError: the name would be too long for a file.
    """
    parts = [entry.method, entry.post_processing, entry.backbone, entry.study, entry.variant]
    parts += [entry.split, "reported" if entry.state == "reported" else ""]
    stem = slug(" ".join(parts))
    if len(stem) > LONGEST_STEM:
        raise WsolbenchError(
            entry.name,
            found=f"names of {len(stem)} characters together",
            expected=f"at most {LONGEST_STEM}",
            cure="shorten method, backbone or variant",
        )
    return Path("entries", slug(entry.dataset), f"{stem}.json")


def slug(text: str) -> str:
    """The text in lower-case letters, digits and hyphens, as a file name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "unnamed"


def read_entry(path: str | os.PathLike[str]) -> Entry:
    """Read an entry.

    Raises:
        WsolbenchError: missing, too large, no JSON, or not what `entry_from_json` takes.
    """
    file = require_file(path, "a leaderboard entry", "name a file below leaderboard/entries")
    if file.stat().st_size > MAX_BYTES:
        raise _malformed(file, [f"{file.stat().st_size} bytes, more than {MAX_BYTES}"])
    try:
        content = strict_json(file.read_bytes().decode())
    except ValueError as error:
        raise _malformed(file, [f"no JSON ({error})"]) from error
    return entry_from_json(content, file)


def read_scored(path: str | os.PathLike[str]) -> Result | Entry:
    """Read a result file or an entry, whichever it is.

    Raises:
        WsolbenchError: see `read_result` and `read_entry`.
    """
    file = require_file(path, "a result file or a leaderboard entry")
    if file.stat().st_size <= MAX_BYTES:
        try:
            content = strict_json(file.read_bytes().decode())
        except ValueError:
            return read_result(file)  # which says what is wrong
        if isinstance(content, dict) and content.get("format") == FORMAT:
            return entry_from_json(content, file)
    return read_result(file)


def entry_from_json(content: object, where: object) -> Entry:
    """The entry that parsed JSON holds.

    Beyond the schema: texts are printable, in Unicode's composed form, without leading, trailing or
    repeated blanks; a reported entry has a paper and printed cells that agree with its scores, any
    other one the hashes, protocol, version and command, images, label and licence; the protocol's
    hash is that of its fields; intervals of a measured entry say how they were drawn.

    Args:
        content: parsed JSON.
        where: what an error names.

    Raises:
        WsolbenchError: with the first faults and their count; exit status 1.
    """
    faults = schema_faults(content, schema(), "entry")
    if faults or not isinstance(content, dict):
        raise _malformed(where, faults)
    own = {item.name for item in fields(Entry)}
    entry = Entry(**{key: value for key, value in content.items() if key in own})
    try:
        faults = _text_faults(content, "entry") + _state_faults(entry)
    except RecursionError:
        faults = ["nested too deeply"]
    if faults:
        raise _malformed(where, faults)
    return entry


def _text_faults(value: object, where: str) -> list[str]:
    if isinstance(value, dict):
        return [f for key, item in value.items() for f in _text_faults(item, f"{where}.{key}")]
    if isinstance(value, list):
        return [f for i, item in enumerate(value) for f in _text_faults(item, f"{where}[{i}]")]
    if not isinstance(value, str):
        return []
    if not value.isprintable() or _INVISIBLE & set(value):
        return [f"{where}: characters that do not print: {value!a}"]
    if unicodedata.normalize("NFC", value) != value or " ".join(value.split()) != value:
        return [f"{where}: {value!a} is not in composed form with single blanks"]
    return []


def _state_faults(entry: Entry) -> list[str]:
    faults = []
    for name in ("dataset", "split"):
        if not is_image_id(getattr(entry, name)):
            faults.append(f"{name}: {getattr(entry, name)!r} breaks the rule of names")
    for key, (low, high) in entry.intervals.items():
        # A percentile interval of a maximum need not hold the score itself.
        if key not in entry.scores or low > high:
            faults.append(f"intervals.{key}: [{low}, {high}] of no score, or upside down")
    for key in sorted(entry.footnotes.keys() - {"entry"} - entry.scores.keys()):
        faults.append(f"footnotes.{key}: no such score in this entry")
    wanted = _REPORTED if entry.state == "reported" else _MEASURED
    if entry.provenance.keys() != wanted:
        faults.append(f"provenance: not the keys {', '.join(sorted(wanted))}")
    elif entry.state == "reported":
        faults += _printed_faults(entry)
        faults += ["curves: of a reported entry"] if entry.curves else []
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
    return [] if first == dict(entry.scores) else ["scores: not the printed cells as fractions"]


def _measured_faults(entry: Entry) -> list[str]:
    faults = [f"entry: no {k}" for k in ("images", "label", "licence") if not getattr(entry, k)]
    protocol = dict(entry.provenance["protocol"])
    stated = protocol.pop("sha256", None)
    named = is_image_id(str(protocol.get("name", ""))) and isinstance(protocol.get("version"), int)
    if not named or stated != fields_sha256(protocol):
        faults.append("provenance.protocol: its hash is not that of its fields")
    faults += _curve_faults(entry)
    if bool(entry.intervals) != bool(entry.bootstrap):
        faults.append("intervals: go with bootstrap, which tells how they were drawn")
    if entry.threshold["rule"] == "unstated":
        faults.append("threshold.rule: unstated")
    levels = {"pixel", "box"} & entry.threshold.keys()
    if entry.threshold["rule"] == "max" and levels:
        faults.append("threshold: levels go with the rules carried and fixed, not with max")
    if (entry.threshold["rule"] == "carried") != ("source" in entry.threshold):
        faults.append("threshold.source: goes with the rule carried, and with no other")
    return faults


def _curve_faults(entry: Entry) -> list[str]:
    """Curves that come in part, or from which the scores do not follow."""
    scores, curves = entry.scores, entry.curves
    if ("precision" in curves) != ("recall" in curves):
        return ["curves: precision and recall go together"]
    faults = []
    true_class = localization_key("gt")
    for score in SCORES.values():
        # Box scores of the best threshold are read off the curve that the label names.
        of_label = score.curve == true_class != score.key
        name = localization_key(entry.label) if of_label else score.curve
        value = _read_off(score, entry, curves[name]) if name in curves else None
        if value is not None and scores.get(score.key) != value:
            faults.append(
                f"curves.{name}: {value} at the place of {score.key} {scores.get(score.key)}"
            )
        if score.read is Read.AREA and score.curve in curves:
            area = _area(curves[score.curve], curves["recall"])
            if abs(area - scores.get(score.key, float("inf"))) > 1e-9:
                faults.append(
                    f"curves.{score.curve}: area {area} for {score.key} {scores.get(score.key)}"
                )
    return faults


def _area(precision: Sequence[float], recall: Sequence[float]) -> float:
    """The area under precision against recall, which falls with the threshold."""
    steps = zip(precision, recall, [*recall[1:], 0.0], strict=True)
    return sum(height * (now - after) for height, now, after in steps)


def _read_off(score: Score, entry: Entry, curve: Sequence[float]) -> float | int | None:
    """What a score must be, by its curve; None where the entry does not say how it was read."""
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


def _malformed(where: object, faults: Sequence[str]) -> WsolbenchError:
    return WsolbenchError(
        where,
        found=f"no entry: {some(faults)}",
        expected="what schema.json and docs/leaderboard.md describe",
        cure="mend the entry",
        exit_status=1,
    )
