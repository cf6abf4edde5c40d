"""Results and entries made for the tests of plots, and their legends read back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from matplotlib.axes import Axes

from wsolbench.formats.result import Result
from wsolbench.leaderboard.entries import Entry
from wsolbench.scores import Better, Score, Unit

HEIGHT, WIDTH = 12, 18
ENTRIES = Path(__file__).resolve().parents[2] / "leaderboard" / "entries"


WASTE = Score("waste", "Waste", "toy", Unit.NUMBER, high=None, better=Better.LOWER, rank=1, drawn=9)
"""A made-up score: no upper bound, no percent, and lower is better."""


def with_seeds(result: Result, seeds: object, peak: float, **fields: object) -> Result:
    method = {"name": "SEM", "parameters": {"size": 224, "seeds": seeds}, **fields}
    scores = {**result.scores, "peak_iou": peak}
    return dataclasses.replace(result, method=method, scores=scores)


def measured(result: Result, **fields: object) -> Entry:
    """An entry of a result's numbers."""
    given = {
        "state": "measured",
        "method": "CAM",
        "post_processing": "SEM",
        "authors": "A. Author",
        "backbone": "vgg",
        "supervision": "image label",
        "dataset": result.dataset,
        "split": result.split,
        "label": result.label,
        "threshold": {"rule": "max"},
        "scores": result.scores,
        "curves": {k: v for k, v in result.curves.items() if k != "threshold"},
        "date": "2026",
        "provenance": {"protocol": result.protocol},
        **fields,
    }
    return Entry(**given)


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]
