"""docs/boundaries.md quotes the checked-in studies, and these agree with their own numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch  # noqa: F401  (left out without PyTorch)

from tests.study.test_docs import normal, rows_of
from wsolbench.study.edges import KEYS

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "docs" / "studies"
NAMES = ("boundaries-mini", "boundaries-animals")


def test_every_row_of_scores_is_in_a_study() -> None:
    page = (ROOT / "docs" / "boundaries.md").read_text()
    known = [normal(row) for name in NAMES for row in rows_of((STUDIES / f"{name}.md").read_text())]
    quoted = [normal(row) for row in rows_of(page) if "[" in row and re.search(r"\d\.\d \[", row)]
    assert len(quoted) >= 16
    assert [row for row in quoted if row not in known] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_show_the_numbers_of_the_json(name: str) -> None:
    study = json.loads((STUDIES / f"{name}.json").read_text())
    rows = [normal(row) for row in rows_of((STUDIES / f"{name}.md").read_text())]
    assert study["seeds"] == [0, 1, 2]
    assert study["boundary"] == {"suppression": True, "truth": "thinned", "max_distance": 0.0075}
    for own in study["rows"].values():
        cells = [own["title"]]
        for key in KEYS:
            found = own["scores"][key]
            low, high = (100 * end for end in found["interval"])
            spread = "" if found["std"] is None else f" ± {100 * found['std']:.1f}"
            cells.append(f"{100 * found['mean']:.1f}{spread} [{low:.1f}, {high:.1f}]")
        assert cells in rows
    verdicts = [own["verdict"] for own in study["findings"]]
    assert [row[2] for row in rows if row[2:3] and row[2] in set(verdicts)] == verdicts
