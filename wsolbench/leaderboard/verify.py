"""Score an entry's maps again and compare every number."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from ..errors import WsolbenchError, require_type
from ..formats.result import Bootstrap, Result
from ..progress import Progress
from ..protocols import Protocol
from ..scores import SCORES, curve_names
from .entries import Entry, kept_curves

__all__ = ["reproduced", "verify"]


def verify(
    entry: Entry,
    submission: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
    *,
    threshold_from: Result | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Score an entry's submission again and compare every number, exactly.

    The versions of wsolbench may differ.

    Args:
        entry: measured or reproduced.
        submission: the maps; their hash must be the entry's.
        annotations: the annotation file; its content's hash must be the entry's.
        threshold_from: for a carried threshold, the result that it came from.
        progress: called with (images done, images in all).

    Returns:
        The differences, one a line; empty if the entry is reproduced.

    Raises:
        WsolbenchError: the entry is reported, the files cannot be scored, or `threshold_from` does
            not fit the entry's rule.
    """
    from ..data.dataset import Dataset
    from ..evaluation.families import fitting
    from ..evaluation.run import Request, run
    from ..formats.submission.reader import Submission

    require_type("entry", entry, (Entry,), "an Entry, of read_entry")

    provenance = entry.provenance
    if entry.state == "reported":
        raise WsolbenchError(
            entry.name,
            found="a reported entry",
            expected="a measured entry",
            cure="evaluate the maps, and add the result with wsolbench leaderboard add",
        )
    rule, source = entry.threshold["rule"], entry.threshold.get("source", {})
    if rule == "carried" and threshold_from is None:
        raise WsolbenchError(
            entry.name,
            found=f"thresholds carried from {source['method']} on {source['split']}",
            expected="the result that they are from",
            cure="name it with --threshold-from",
        )
    if rule != "carried" and threshold_from is not None:
        raise WsolbenchError(
            entry.name,
            found=f"the threshold rule {rule}",
            expected="thresholds that were carried from another result",
            cure="leave --threshold-from out",
        )
    opened = Submission.open(submission)
    dataset = Dataset.open(annotations, entry.split)
    hashes = {
        "submission_sha256": opened.sha256,
        "annotations_sha256": dataset.store.content_sha256,
    }
    differences = _differences(hashes, provenance, "provenance")
    if differences:
        return differences
    stated = entry.threshold.get("per_image", entry.threshold.get("pixel"))
    threshold = stated if threshold_from is None else threshold_from
    protocol = Protocol.from_dict(provenance["protocol"])
    families = {SCORES[key].family for key in entry.scores}
    request = Request(
        opened,
        dataset,
        protocols=(protocol,),
        metrics=[name for name in fitting(protocol) if name in families] or None,
        threshold=threshold,
        bootstrap=Bootstrap(**entry.bootstrap) if entry.bootstrap else None,
    )
    result = run(request, lambda title, unit: nullcontext(progress)).results[0]
    named = ("images", "label", "dataset", "seeds", "random_seed")
    again = {**vars(result), "seeds": result.parameters.get("seeds")}
    again["random_seed"] = result.method.get("seed")
    there = {key: getattr(entry, key) for key in named}
    again = {key: again[key] for key in named}
    return [
        *_differences(again, there, "entry"),
        *_differences({"protocol": dict(result.protocol)}, provenance, "provenance"),
        *_differences(result.threshold.as_dict(), entry.threshold, "threshold"),
        *_differences(result.scores, entry.scores, "scores"),
        *_differences(result.intervals, entry.intervals, "intervals"),
        *(
            f"curves.{key}: differs"
            for key in curve_names()
            if list(entry.curves.get(key, ())) != kept_curves(result).get(key, [])
        ),
    ]


def reproduced(entry: Entry) -> Entry:
    """The entry after a `verify` without differences."""
    require_type("entry", entry, (Entry,), "an Entry, of read_entry")
    return replace(entry, state="reproduced")


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str) -> list[str]:
    """Keys at which a new run and an entry differ; only entries have a whole provenance."""
    keys = ours.keys() if where == "provenance" else sorted(ours.keys() | theirs.keys())
    return [
        f"{where}.{key}: now {ours.get(key)}, in the entry {theirs.get(key)}"
        for key in keys
        if ours.get(key) != theirs.get(key)
    ]
