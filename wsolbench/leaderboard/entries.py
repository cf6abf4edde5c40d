"""Leaderboard entries: one JSON file a result, with where it comes from.

An entry is *reported* (a number as somebody printed it), *measured* (scored by wsolbench, with
the hashes of what was scored) or *reproduced* (measured, and scored again with the same outcome).
Entries come from strangers: the reader refuses what the schema does not name, and a table escapes
what it takes from them.

Source: the published tables for reported entries; `results.Result` for measured ones.
Conventions: scores are fractions in [0, 1], thresholds 0..255; links are https. `SCHEMA` is both
what the reader checks and what is published as JSON Schema.

Public names: `Entry`, `SCHEMA`, `SCORES`, `CURVES`, `read_entry`, `read_scored`, `entry_from_json`,
`entry_path`, `slug`, `schema_text`; `record`, `matching`, `schema_faults`.
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
from ..formats.result import COLUMNS, LEVEL, LEVEL_SCORES, LEVELS, Result, read_result
from ..image_ids import is_image_id
from ..protocols import fields_sha256

FORMAT = "wsolbench-entry"
FORMAT_VERSION = 1

MAX_BYTES = 1 << 18
"""Largest entry that is read; one with all curves has about 50 kB."""

LONGEST_STEM = 200
"""Characters of a file name without its ending."""

SCORES: dict[str, str] = {
    **COLUMNS,
    "boundary_ods": "Boundary ODS",
    "boundary_ois": "Boundary OIS",
    "boundary_ap": "Boundary AP",
}
"""Every score that an entry may hold, and what tables call it, in the order of the tables."""

CURVES = (
    *("iou", "iou_image_mean", "precision", "recall", "gt_known_loc", "predicted_loc"),
    *("top1_loc", "top5_loc", "box_acc_30", "box_acc_70"),
)
"""Every curve that an entry may hold, as results name them: 256 values, one a threshold."""

_NO_CONTROLS = r"^[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$"
_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters that show nothing, though Unicode calls them printable."""

_DATE = "^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"
_LINK = r"^https://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9._~/?#=&%+:,;-]*)?$"


def _text(longest: int = 80) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": _NO_CONTROLS}


def matching(pattern: str, longest: int = 200) -> dict[str, Any]:
    """The schema of a text that matches."""
    return {"type": "string", "maxLength": longest, "pattern": pattern}


def record(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object without other keys than these."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
        "required": sorted(required),
    }


_SHA256 = matching("^[0-9a-f]{64}$", 64)
_FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
_LEVEL = {"type": "integer", "minimum": 0, "maximum": 255}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**9}
_PAPER = record({"title": _text(200), "link": matching(_LINK)}, ["title"])
_SCORE_VALUES = {key: _LEVEL if key in LEVEL_SCORES else _FRACTION for key in SCORES}
_CURVE = {"type": "array", "items": _FRACTION, "minItems": LEVELS, "maxItems": LEVELS}
_NOTES = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": 999},
    "maxItems": 99,
}
_PRINTED = record(
    {
        "table": _text(),
        "score": {"type": "string", "enum": list(SCORES)},
        "text": matching(r"^[0-9]{1,3}(\.[0-9]{1,4})?$", 8),
    },
    ["table", "score", "text"],
)

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "wsolbench leaderboard entry",
    **record(
        {
            "format": {"type": "string", "enum": [FORMAT]},
            "format_version": {"type": "integer", "enum": [FORMAT_VERSION]},
            "state": {"type": "string", "enum": ["reported", "measured", "reproduced"]},
            "method": _text(),
            "authors": _text(200),
            "paper": _PAPER,
            "code": matching(_LINK),
            "commit": matching("^[0-9a-f]{7,64}$", 64),
            "backbone": _text(),
            "pretraining": _text(),
            "supervision": _text(),
            "dataset": _text(64),
            "split": _text(64),
            "label": {"type": "string", "enum": ["gt", "predicted"]},
            "threshold": record(
                {
                    "rule": {"type": "string", "enum": ["max", "carried", "fixed", "unstated"]},
                    "pixel": _LEVEL,
                    "box": _LEVEL,
                    "source": record(
                        {
                            "method": _text(200),
                            "split": _text(64),
                            "submission_sha256": matching("^([0-9a-f]{64})?$", 64),
                            "annotations_sha256": _SHA256,
                            "missing": _COUNT,
                        },
                        ["method", "split"],
                    ),
                },
                ["rule"],
            ),
            "map_size": _text(),
            "post_processing": _text(),
            "seeds": {"type": "number", "minimum": 0, "maximum": 10**6},
            "random_seed": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            "variant": _text(),
            "study": _text(),
            "images": {"type": "integer", "minimum": 1, "maximum": 10**9},
            "scores": {**record(_SCORE_VALUES), "minProperties": 1},
            "intervals": record(
                {
                    key: {"type": "array", "items": value, "minItems": 2, "maxItems": 2}
                    for key, value in _SCORE_VALUES.items()
                }
            ),
            "bootstrap": record(
                {
                    "resamples": {"type": "integer", "minimum": 20, "maximum": 100_000},
                    "seed": _COUNT,
                    "level": {"type": "number", "enum": [LEVEL]},
                },
                ["resamples", "seed", "level"],
            ),
            "curves": record(dict.fromkeys(CURVES, _CURVE)),
            "footnotes": record({"entry": _NOTES, **dict.fromkeys(SCORES, _NOTES)}),
            "licence": _text(),
            "date": matching(_DATE, 10),
            "provenance": record(
                {
                    "paper": _PAPER,
                    "printed": {"type": "array", "items": _PRINTED, "minItems": 1, "maxItems": 99},
                    "submission_sha256": _SHA256,
                    "annotations_sha256": _SHA256,
                    "protocol": {
                        "type": "object",
                        "properties": {
                            "name": _text(64),
                            "version": {"type": "integer", "minimum": 1, "maximum": 999},
                            "sha256": _SHA256,
                        },
                        "required": ["name", "sha256", "version"],
                    },
                    "wsolbench": _text(),
                    "command": _text(1000),
                }
            ),
        },
        [
            "format",
            "format_version",
            "state",
            "method",
            "authors",
            "backbone",
            "supervision",
            "dataset",
            "split",
            "threshold",
            "scores",
            "date",
            "provenance",
        ],
    ),
}
"""JSON Schema of an entry. `read_entry` asks for a little more, which its docstring tells."""

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
        scores: by key of `SCORES`; fractions in [0, 1] or levels 0..255.
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
        bootstrap: how a measured one's intervals were drawn: see `results.Bootstrap`.
        curves: of a measured one, 256 values by key of `CURVES`.
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


def schema_text() -> str:
    """The published JSON Schema."""
    return json.dumps(SCHEMA, sort_keys=True, indent=1) + "\n"


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

    Beyond `SCHEMA`: texts are printable, in Unicode's composed form and without blanks at the ends
    or in a row; a reported entry has a paper and printed cells that agree with its scores, any
    other one the hashes, protocol, version and command, images, label and licence; the protocol's
    hash is that of its fields; intervals of a measured entry say how they were drawn.

    Args:
        content: parsed JSON.
        where: what an error names.

    Raises:
        WsolbenchError: with the first faults and their count; exit status 1.
    """
    faults = schema_faults(content, SCHEMA, "entry")
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


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}


def schema_faults(value: Any, schema: Mapping[str, Any], where: str) -> list[str]:
    """What in a value breaks the schema; the schema uses only the words that are read here."""
    if not isinstance(value, _TYPES[schema["type"]]) or isinstance(value, bool):
        return [f"{where}: {type(value).__name__}, not {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: none of {some(schema['enum'])}"]
    if isinstance(value, dict):
        return _object_faults(value, schema, where)
    if isinstance(value, list):
        low, high = schema.get("minItems", 0), schema.get("maxItems", 99)
        if not low <= len(value) <= high:
            return [f"{where}: {len(value)} items, not {low} to {high}"]
        items = enumerate(value)
        return [f for i, v in items for f in schema_faults(v, schema["items"], f"{where}[{i}]")]
    if isinstance(value, str):
        if len(value) > schema.get("maxLength", MAX_BYTES):
            return [f"{where}: {len(value)} characters, more than {schema['maxLength']}"]
        if len(value) < schema.get("minLength", 0):
            return [f"{where}: empty"]
        # Python's $ lets a final line end pass, JSON Schema's does not.
        pattern = schema.get("pattern", "")
        sound = re.search(pattern, value) and not value.endswith("\n")
        return [] if sound else [f"{where}: {value!r} does not match {pattern}"]
    sound = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return [] if sound else [f"{where}: {value} out of range"]


def _object_faults(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> list[str]:
    known = schema["properties"]
    strangers = sorted(value.keys() - known.keys()) if "additionalProperties" in schema else []
    faults = [f"{where}: unknown key {key!r}" for key in strangers]
    missing = sorted(set(schema["required"]) - value.keys())
    faults += [f"{where}: no {key}" for key in missing]
    if len(value) < schema.get("minProperties", 0):
        faults.append(f"{where}: empty")
    for key in sorted(value.keys() & known.keys()):
        faults += schema_faults(value[key], known[key], f"{where}.{key}")
    return faults


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
        if cell["score"] in LEVEL_SCORES:
            value: float | int = int(cell["text"]) if cell["text"].isdecimal() else -1
        else:
            value = float(Decimal(cell["text"]) / 100)
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


_BEST = {"gt_known_loc": "", "predicted_loc": "", "box_acc_30": "_30", "box_acc_70": "_70"}
"""The end of the key of each curve's maximum."""


def _curve_faults(entry: Entry) -> list[str]:
    """Curves that come in part, or from which the scores do not follow."""
    scores, curves = entry.scores, entry.curves
    if ("precision" in curves) != ("recall" in curves):
        return ["curves: precision and recall go together"]
    followed: list[tuple[str, str, float]] = []
    if "iou" in curves:
        peak = max(curves["iou"])
        followed += [("iou", "peak_iou", peak)]
        followed += [("iou", "peak_threshold", curves["iou"].index(peak))]
        if "iou_at_threshold" in scores and "pixel" in entry.threshold:
            followed += [("iou", "iou_at_threshold", curves["iou"][entry.threshold["pixel"]])]
    for key in ("gt_known_loc", "predicted_loc", "top1_loc", "top5_loc"):
        if key in curves and "box_threshold" in scores:
            followed += [(key, key, curves[key][int(scores["box_threshold"])])]
    for key, name in _BEST.items():
        if key in curves:
            followed += [(key, f"max_box_acc{name}", max(curves[key]))]
    faults = [
        f"curves.{key}: {value} at the place of {name} {scores.get(name)}"
        for key, name, value in followed
        if scores.get(name) != value
    ]
    if "precision" in curves:
        later = [*curves["recall"][1:], 0.0]
        gained = zip(curves["precision"], curves["recall"], later, strict=True)
        area = sum(p * (now - after) for p, now, after in gained)
        if abs(area - scores.get("ap", -1)) > 1e-9:
            faults.append(f"curves.precision: area {area} for ap {scores.get('ap')}")
    return faults


def _malformed(where: object, faults: Sequence[str]) -> WsolbenchError:
    return WsolbenchError(
        where,
        found=f"no entry: {some(faults)}",
        expected="what schema.json and docs/leaderboard.md describe",
        cure="mend the entry",
        exit_status=1,
    )
