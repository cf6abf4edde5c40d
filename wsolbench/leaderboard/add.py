"""Create an entry from a result file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import WsolbenchError
from ..formats.result import Result
from .entries import Entry, entry_from_json, entry_path, kept_curves
from .files import read_entries, scored_alike
from .schema import FORMAT, FORMAT_VERSION

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


def add(result: Result, about: About, root: str | os.PathLike[str]) -> Path:
    """Create a measured entry from a result file and write it.

    Returns:
        The entry's path.

    Raises:
        WsolbenchError: the result is a trial or a subset, lacks images or has no submission hash;
            an entry of that name or of the same submission exists; or a text is not allowed in an
            entry.
    """
    entry = _measured(result, about)
    path = Path(root, entry_path(entry))
    others = read_entries(root) if Path(root, "entries").is_dir() else []
    same = [other for other in others if scored_alike(other) == scored_alike(entry)]
    if path.exists() or same:
        held = path if path.exists() else Path(root, entry_path(same[0]))
        raise WsolbenchError(
            result.name,
            found=f"an existing entry, {held}",
            expected="one entry per result",
            cure="give another result a --variant; to replace the old entry, delete it first",
            exit_status=1,
        )
    return entry.write(root)


def _measured(result: Result, about: About) -> Entry:
    unfit = {
        f"a trial on {result.limit} images": result.limit is not None,
        f"a subset, {result.ids}": result.ids is not None,
        "thresholds chosen on a subset": "ids" in (result.threshold.source or {}),
        f"{result.counts.get('missing', 0)} missing images": bool(result.counts.get("missing")),
        "maps scored from memory, without a file hash": not result.submission_sha256,
    }
    for found, is_so in unfit.items():
        if is_so:
            raise WsolbenchError(
                result.name,
                found=found,
                expected="the result of a whole submission",
                cure="evaluate all images of the split",
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
    return entry_from_json(known, f"entry of {result.name}")
