"""The schema of an entry, checked by the reader and published as JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import some
from ..formats.result import CONFIDENCE
from ..scores import LEVELS, SCORES, Score, Unit, curve_names

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "LINK",
    "MAX_BYTES",
    "PAPER",
    "line",
    "matching",
    "record",
    "schema",
    "schema_faults",
    "schema_text",
]

FORMAT = "wsolbench-entry"
FORMAT_VERSION = 1

MAX_BYTES = 1 << 18
"""Largest entry that is read, in bytes; an entry with all curves has about 50 kB."""

_SHOWN = 40
"""Characters of a wrong text that an error shows."""

_NO_CONTROLS = r"^[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$"
_DATE = "^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"
_LINK_PATTERN = r"^https://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9._~/?#=&%+:,;-]*)?$"


def line(longest: int = 80) -> dict[str, Any]:
    """The schema of one line of text."""
    return {"minLength": 1, **matching(_NO_CONTROLS, "text without control characters", longest)}


def matching(pattern: str, words: str, longest: int = 200) -> dict[str, Any]:
    """The schema of a text that matches a pattern, which `words` describe to people."""
    return {"type": "string", "maxLength": longest, "pattern": pattern, "description": words}


def record(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object that may have only these keys."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
        "required": sorted(required),
    }


_SHA256 = matching("^[0-9a-f]{64}$", "a SHA-256 of 64 hexadecimal digits", 64)
_FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
_LEVEL = {"type": "integer", "minimum": 0, "maximum": LEVELS - 1}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**9}
LINK = matching(_LINK_PATTERN, "a link that starts with https://")
"""The schema of a link."""
PAPER = record({"title": line(200), "link": LINK}, ["title"])
"""The schema of a paper."""
_CURVE = {"type": "array", "items": _FRACTION, "minItems": LEVELS, "maxItems": LEVELS}
_NOTES = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": 999},
    "maxItems": 99,
}


_THRESHOLD = record(
    {
        "rule": {"type": "string", "enum": ["max", "carried", "fixed", "per_image", "unstated"]},
        "per_image": line(32),
        "pixel": _LEVEL,
        "box": _LEVEL,
        "source": record(
            {
                "method": line(200),
                "split": line(64),
                "submission_sha256": matching("^([0-9a-f]{64})?$", "a SHA-256 or nothing", 64),
                "annotations_sha256": _SHA256,
                "missing": _COUNT,
            },
            ["method", "split"],
        ),
    },
    ["rule"],
)
_BOOTSTRAP = record(
    {
        "resamples": {"type": "integer", "minimum": 20, "maximum": 100_000},
        "seed": _COUNT,
        "level": {"type": "number", "enum": [CONFIDENCE]},
    },
    ["resamples", "seed", "level"],
)
_PROTOCOL = {
    "type": "object",
    "properties": {
        "name": line(64),
        "version": {"type": "integer", "minimum": 1, "maximum": 999},
        "sha256": _SHA256,
    },
    "required": ["name", "sha256", "version"],
}
_ABOUT = {
    "format": {"type": "string", "enum": [FORMAT]},
    "format_version": {"type": "integer", "enum": [FORMAT_VERSION]},
    "state": {"type": "string", "enum": ["reported", "measured", "reproduced"]},
    "method": line(),
    "authors": line(200),
    "paper": PAPER,
    "code": LINK,
    "commit": matching("^[0-9a-f]{7,64}$", "7 to 64 hexadecimal digits", 64),
    "backbone": line(),
    "pretraining": line(),
    "supervision": line(),
    "dataset": line(64),
    "split": line(64),
    "label": {"type": "string", "enum": ["gt", "predicted"]},
    "threshold": _THRESHOLD,
    "map_size": line(),
    "post_processing": line(),
    "seeds": {"type": "number", "minimum": 0, "maximum": 10**6},
    "random_seed": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    "variant": line(),
    "study": line(),
    "images": {"type": "integer", "minimum": 1, "maximum": 10**9},
    "bootstrap": _BOOTSTRAP,
    "licence": line(),
    "date": matching(_DATE, "a date: YYYY-MM-DD, YYYY-MM or YYYY", 10),
}
"""The fields other than scores, curves, notes and provenance."""

_REQUIRED = (
    *("format", "format_version", "state", "method", "authors", "backbone", "supervision"),
    *("dataset", "split", "threshold", "scores", "date", "provenance"),
)


def schema() -> dict[str, Any]:
    """JSON Schema of an entry; `entry_from_json` checks more, as its docstring says."""
    values = {key: _value(score) for key, score in SCORES.items()}
    intervals = {
        key: {"type": "array", "items": value, "minItems": 2, "maxItems": 2}
        for key, value in values.items()
    }
    fields = {
        **_ABOUT,
        "scores": {**record(values), "minProperties": 1},
        "intervals": record(intervals),
        "curves": record(dict.fromkeys(curve_names(), _CURVE)),
        "footnotes": record({"entry": _NOTES, **dict.fromkeys(SCORES, _NOTES)}),
        "provenance": _provenance(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wsolbench leaderboard entry",
        **record(fields, _REQUIRED),
    }


def _provenance() -> dict[str, Any]:
    printed = record(
        {
            "table": line(),
            "score": {"type": "string", "enum": list(SCORES)},
            "text": matching(r"^[0-9]{1,3}(\.[0-9]{1,4})?$", "a number as printed", 8),
        },
        ["table", "score", "text"],
    )
    return record(
        {
            "paper": PAPER,
            "printed": {"type": "array", "items": printed, "minItems": 1, "maxItems": 99},
            "submission_sha256": _SHA256,
            "annotations_sha256": _SHA256,
            "counts_sha256": _SHA256,
            "protocol": _PROTOCOL,
            "wsolbench": line(),
            "command": line(1000),
        }
    )


def schema_text() -> str:
    """The published JSON Schema."""
    return json.dumps(schema(), sort_keys=True, indent=1) + "\n"


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}


def schema_faults(value: Any, schema: Mapping[str, Any], where: str) -> list[str]:
    """How a value breaks the schema; only the keywords that are handled here may be used in it."""
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
        return _string_faults(value, schema, where)
    sound = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return [] if sound else [f"{where}: {value} out of range"]


def _string_faults(value: str, schema: Mapping[str, Any], where: str) -> list[str]:
    if len(value) < schema.get("minLength", 0):
        return [f"{where}: empty"]
    # Python's $ lets a final line end pass, JSON Schema's does not.
    if not re.search(schema.get("pattern", ""), value) or value.endswith("\n"):
        shown = repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}..."
        return [f"{where}: {shown}, not {schema['description']}"]
    if len(value) > schema.get("maxLength", MAX_BYTES):
        return [f"{where}: {len(value)} characters, more than {schema['maxLength']}"]
    return []


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


def _value(score: Score) -> dict[str, Any]:
    """The schema of a score's number: its type and its range."""
    ends = {"minimum": score.low, "maximum": score.high}
    kind = "integer" if score.unit is Unit.LEVEL else "number"
    return {
        "type": kind,
        **{
            # JSON Schema writes whole bounds as whole numbers.
            name: int(end) if end == int(end) else end
            for name, end in ends.items()
            if end is not None
        },
    }
