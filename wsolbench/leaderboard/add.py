"""Create an entry from a result file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import SHOWN, WsolbenchError, require_path, require_type, some
from ..files import require_folder, together
from ..formats.result import Result
from ..metrics.choices import BoundaryRule
from .entries import Entry, counts_beside, entry_from_json, entry_path, kept_curves, text_faults
from .files import read_entries, scored_alike
from .recompute import attach, copy_counts
from .schema import FORMAT, FORMAT_VERSION, schema, schema_faults

__all__ = ["About", "add"]


@dataclass(frozen=True)
class About:
    """Facts about a result that its file does not contain; fields are those of `Entry`."""

    authors: str
    supervision: str
    licence: str
    date: str
    command: str
    paper_title: str = ""
    paper_link: str = ""
    code: str = ""
    commit: str = ""
    method: str = ""
    backbone: str = ""
    pretraining: str = ""
    map_size: str = ""
    post_processing: str = ""
    variant: str = ""
    study: str = ""


def add(
    result: Result,
    about: About,
    root: str | os.PathLike[str],
    counts: str | os.PathLike[str] | None = None,
) -> Path:
    """Create a measured entry from a result file and write it.

    Args:
        result: of a whole submission.
        about: what the result does not contain.
        root: the leaderboard's folder.
        counts: the result's counts file, which is copied next to the entry, so that strangers can
            recompute its scores; None for an entry without.

    Returns:
        The entry's path.

    Raises:
        WsolbenchError: the result is a trial or a subset, lacks images or has no submission hash;
            an entry of that name or of the same submission exists; a text is missing or not
            allowed in an entry, naming its option; or the counts are not those of the result.
    """
    require_type("result", result, (Result,), "a Result")
    require_type("about", about, (About,), "an About")
    require_path("root", root, "the path of the leaderboard's folder")
    if Path(root).exists():
        require_folder(root, "the leaderboard's folder", "name another folder with --root")
    entry = _measured(result, about)
    path = Path(root, entry_path(entry))
    others = read_entries(root) if Path(root, "entries").is_dir() else []
    same = [other for other in others if scored_alike(other) == scored_alike(entry)]
    if path.exists() or same:
        held = Path(root, entry_path(same[0])) if same else path
        alike = "the same maps, protocol and threshold" if same else "the same names"
        another = "" if same else "; if this is another result, name the difference with --variant"
        raise WsolbenchError(
            result.name,
            found=f"an existing entry, {held}, with {alike}",
            expected="one entry per result",
            cure=f"to replace the old entry, delete {held} first{another}",
            exit_status=1,
        )
    if counts is None:
        return entry.write(root)
    from ..evaluation.counts import read_counts

    read_counts(counts, result)
    entry = attach(entry, counts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with together():
        copy_counts(counts, counts_beside(path))
        return entry.write(root)


def _measured(result: Result, about: About) -> Entry:
    unfit = {
        f"a trial on {result.limit} images": (
            result.limit is not None,
            "evaluate again without --limit",
        ),
        f"a subset, {result.ids}": (result.ids is not None, "evaluate again without --ids"),
        "thresholds chosen on a subset": (
            "ids" in (result.threshold.source or {}),
            "carry those of a result without --ids",
        ),
        "boundaries scored by another rule than the usual one": (
            bool(result.boundary) and result.boundary != BoundaryRule().as_dict(),
            "evaluate again without --no-nms, --boundary-truth and --boundary-distance",
        ),
        f"{result.counts.get('missing', 0)} missing images": (
            bool(result.counts.get("missing")),
            "add the missing maps, and evaluate again without --allow-missing",
        ),
        "maps scored from memory, without a file hash": (
            not result.submission_sha256,
            "write the maps to a file (SubmissionWriter), and evaluate that",
        ),
    }
    for found, (is_so, cure) in unfit.items():
        if is_so:
            raise WsolbenchError(
                result.name,
                found=found,
                expected="the result of a whole submission",
                cure=cure,
                exit_status=1,
            )
    method = result.method
    given = result.parameters
    size = f"photos {given['size']} x {given['size']}" if "size" in given else ""
    paper = {"title": about.paper_title, "link": about.paper_link}
    content: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "state": "measured",
        "method": about.method or method.get("name"),
        "authors": about.authors,
        "paper": {key: value for key, value in paper.items() if value},
        "code": about.code,
        "commit": about.commit or method.get("commit"),
        "backbone": about.backbone or method.get("backbone"),
        "pretraining": about.pretraining,
        "supervision": about.supervision,
        "dataset": result.dataset,
        "split": result.split,
        "label": result.label,
        "threshold": result.threshold.as_dict(),
        "map_size": about.map_size or size,
        "post_processing": about.post_processing,
        "seeds": given.get("seeds"),
        "random_seed": method.get("seed"),
        "variant": about.variant,
        "study": about.study,
        "images": result.images,
        "scores": dict(result.scores),
        "intervals": {key: list(ends) for key, ends in result.intervals.items()},
        "bootstrap": vars(result.bootstrap) if result.bootstrap else {},
        "curves": kept_curves(result),
        "licence": about.licence,
        "date": about.date,
        "provenance": {
            "submission_sha256": result.submission_sha256,
            "annotations_sha256": result.annotations_sha256,
            "protocol": dict(result.protocol),
            "wsolbench": result.wsolbench,
            "command": about.command,
        },
    }
    known = {key: value for key, value in content.items() if value not in ("", None, {})}
    where = f"entry of {result.name}"
    _check_about(known, where)
    cure = "correct the submission or its annotations, evaluate again and add the new result"
    return entry_from_json(known, where, cure)


_PLACES = {
    "paper_title": ("paper", "title"),
    "paper_link": ("paper", "link"),
    "command": ("provenance", "command"),
}
"""Where an entry holds what `About` has in a field of another name."""

_CURES = {
    "backbone": "name the network with --backbone, or pass --backbone none for a network-free "
    "baseline",
    "date": "pass --date YYYY-MM-DD, e.g. 2026-11-23",
    "code": "pass --code https://...",
    "paper_link": "pass --paper-link https://...",
    "commit": "pass --commit with 7 to 64 hexadecimal digits",
}
"""What to do about a missing or wrong fact, by field; of the others, to pass its option."""


def _check_about(content: Mapping[str, Any], where: str) -> None:
    """Refuse facts that are missing or not allowed, by the name of their option."""
    faults: dict[str, str] = {}
    for own in fields(About):
        option, rules, value = _option(own.name), schema(), content
        *above, key = _PLACES.get(own.name, (own.name,))
        for step in above:
            rules, value = rules["properties"][step], value.get(step, {})
        required = key in rules["required"] and (bool(value) or not above)
        required |= own.name == "licence"
        found = [f"{option}: missing"] if required else []
        if key in value:
            found = schema_faults(value[key], rules["properties"][key], option)
            found = found or text_faults(value[key], option)
        if found:
            faults[own.name] = found[0]
    if faults:
        cures = [_CURES.get(name, f"pass {_option(name)}") for name in faults]
        raise WsolbenchError(
            where,
            found=some(list(faults.values())),
            expected="what a leaderboard entry states",
            cure="; ".join(cures[:SHOWN]),
            exit_status=1,
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
