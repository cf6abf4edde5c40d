"""docs/study.md quotes the checked-in studies, and these agree with their own numbers."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "docs" / "studies"
NAMES = ("mini", "animals")


def rows_of(text: str) -> list[str]:
    """The rows of the tables of a page, without heads."""
    return [
        line
        for before, line in pairwise(text.splitlines())
        if line.startswith("|") and before.startswith("|") and not set(line) <= set("|-: ")
    ]


def normal(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_every_row_of_the_page_is_in_a_study() -> None:
    known = [normal(row) for name in NAMES for row in rows_of((STUDIES / f"{name}.md").read_text())]
    page = (ROOT / "docs" / "study.md").read_text()
    quoted = [normal(row) for row in rows_of(page)]
    assert len(quoted) > 20
    assert [row for row in quoted if row not in known] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_show_the_numbers_of_the_json(name: str) -> None:
    study = json.loads((STUDIES / f"{name}.json").read_text())
    text = (STUDIES / f"{name}.md").read_text()
    rows = [normal(row) for row in rows_of(text)]
    assert study["seeds"] == [0, 1, 2]
    assert [own["name"] for own in study["methods"]] == [
        *("cam", "has", "acol", "cutmix", "spg", "adl")
    ]
    for own in study["methods"]:
        scores = own["sem"]["test"]
        cells = [
            f"{100 * scores[key]['mean']:.1f} ± {100 * scores[key]['std']:.1f}"
            for key in ("iou_at_threshold", "ap", "gt_known_loc", "top1_loc")
        ]
        assert any(cells == row[1:5] and row[0].endswith(" + SEM") for row in rows), own["name"]
    verdicts = [own["verdict"] for own in study["findings"]]
    assert [row[2] for row in rows if row[2:3] and row[2] in set(verdicts)] == verdicts
