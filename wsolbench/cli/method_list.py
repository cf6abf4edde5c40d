"""The table of `wsolbench predict list`."""

from __future__ import annotations

from collections.abc import Mapping

from ..baselines.explainer_records import EXPLAINERS
from ..baselines.settings import METHODS
from ..tables import csv_text, grid

__all__ = ["COLUMNS", "methods_table"]

COLUMNS = ("method", "name", "grid of its maps", "cost for a photo", "needs", "of a class")

_FEATURES = "the features' grid"


def methods_table(trivial: Mapping[str, str], form: str) -> str:
    """All methods of `predict`, in one of `tables.FORMATS`.

    Args:
        trivial: the words of network-free baselines by name.
        form: the format.
    """
    rows = [
        ("cam", "CAM", _FEATURES, "forward", "a linear classifier of mean features", "yes"),
        ("sem", "SEM", _FEATURES, "forward, and its start's", "cam or another --start", "yes"),
    ]
    rows += [
        (
            name,
            own.title,
            own.grid,
            own.cost,
            own.needs or "any classifier",
            "yes" if own.per_class else "no",
        )
        for name, own in EXPLAINERS.items()
    ]
    rows.append(("MODULE:FUNCTION", "your own", "as returned", "", "any classifier", "yes"))
    rows += [
        (name, METHODS[name].title, _FEATURES, "forward", "--checkpoint", "yes")
        for name in METHODS
        if name != "cam"
    ]
    rows += [
        (
            f"trivial:{name}",
            text.removeprefix("Write ").removesuffix("."),
            "--size",
            "",
            "no network",
            "no",
        )
        for name, text in trivial.items()
    ]
    return csv_text(COLUMNS, rows) if form == "csv" else grid(rows, COLUMNS, form)
