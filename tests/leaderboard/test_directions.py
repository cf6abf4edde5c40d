"""Ranges and directions come from the scores' records, whatever score is added to them."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.leaderboard.test_leaderboard import entry
from wsolbench import leaderboard
from wsolbench.errors import WsolbenchError
from wsolbench.leaderboard import Entry, schema
from wsolbench.leaderboard.page.render import page
from wsolbench.leaderboard.readme import entries_csv, readme
from wsolbench.leaderboard.tables import tables
from wsolbench.scores import SCORES, Better, Score, Unit


def printed(method: str, key: str, text: str, **more: object) -> Entry:
    """A reported entry of one score, printed in its unit: fractions as percent."""
    share = 100 if SCORES[key].unit is Unit.FRACTION else 1
    cells = [{"table": "Table 1", "score": key, "text": text}]
    provenance = {"paper": {"title": "A paper"}, "printed": cells}
    scores = {key: float(Decimal(text) / share)}
    return entry(method, scores=scores, provenance=provenance, **more)


@pytest.fixture
def distance(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of a made-up score without a highest value, of which lower is better."""
    record = Score(
        "distance",
        "Distance",
        "outline",
        Unit.NUMBER,
        high=None,
        better=Better.LOWER,
        rank=1,
        shown=True,
    )
    monkeypatch.setitem(SCORES, record.key, record)
    return record.key


def rows_of(key: str) -> list[Entry]:
    """D and C are equal; SEM makes A better and E worse."""
    return [
        printed("A", key, "12.5"),
        printed("A", key, "8.5", post_processing="SEM"),
        printed("C", key, "9.0", intervals={key: [8.0, 10.0]}),
        printed("D", key, "9.0", intervals={key: [8.5, 9.5]}),
        printed("E", key, "20.0"),
        printed("E", key, "21.0", post_processing="SEM"),
    ]


def test_boundary_ap_reaches_101_percent() -> None:
    assert printed("A", "boundary_ap", "101").scores == {"boundary_ap": 1.01}
    with pytest.raises(WsolbenchError, match=r"entry.scores.boundary_ap: 1.02 out of range"):
        printed("A", "boundary_ap", "102")
    with pytest.raises(WsolbenchError, match=r"entry.scores.boundary_ods: 1.01 out of range"):
        printed("A", "boundary_ods", "101")


def test_a_score_without_a_bound_has_none_in_the_schema(distance: str) -> None:
    values = schema.schema()["properties"]["scores"]["properties"]
    assert values[distance] == {"type": "number", "minimum": 0}
    assert values["boundary_ap"] == {"type": "number", "minimum": 0, "maximum": 1.01}
    assert values["peak_threshold"] == {"type": "integer", "minimum": 0, "maximum": 255}
    assert printed("A", distance, "999.5").scores == {distance: 999.5}


def test_the_lowest_ranks_first_where_lower_is_better(distance: str) -> None:
    (table,) = tables(rows_of(distance))
    assert table.ranked_by == distance
    assert [item.name for item in table.entries] == ["A + SEM", "C", "D", "A", "E", "E + SEM"]
    assert table.ranks == ("1", "2=", "2=~", "4", "5", "6")


def test_what_has_no_score_is_last_where_lower_is_better(distance: str) -> None:
    (table,) = tables([printed("A", "top1_loc", "50"), printed("B", distance, "9")])
    assert [item.method for item in table.entries] == ["B", "A"]
    assert table.ranks == ("1", "-")


def test_gains_are_differences_and_say_which_is_worse(distance: str) -> None:
    (table,) = tables(rows_of(distance))
    cells = {item.name: c for item, c in zip(table.entries, table.column(distance), strict=True)}
    assert (cells["A + SEM"].gain, cells["A + SEM"].worse) == ("-4.0", False)
    assert (cells["E + SEM"].gain, cells["E + SEM"].worse) == ("+1.0", True)
    (usual,) = tables([printed("A", "ap", "50"), printed("A", "ap", "49.5", post_processing="SEM")])
    assert [(cell.gain, cell.worse) for cell in usual.column("ap")] == [("", False), ("-0.5", True)]


def test_columns_where_lower_is_better_say_so(distance: str) -> None:
    made = tables(rows_of(distance))
    assert "| Distance (lower is better) |" in readme(made, {})
    text = page(made, {})
    assert 'data-sort="lower" data-key="distance">Distance (lower is better)</th>' in text
    assert re.findall(r'class="gain (\w+)"[^>]*>([^<]+)<', text) == [
        ("up", "-4.0"),
        ("down", "+1.0"),
    ]
    usual = tables([printed("A", "peak_iou", "50")])
    assert "lower is better" not in readme(usual, {}) + page(usual, {})


def test_the_csv_holds_the_number_as_it_is(distance: str) -> None:
    head, first, *_ = entries_csv(rows_of(distance)).splitlines()
    assert dict(zip(head.split(","), first.split(","), strict=True))[distance] == "8.5"


def test_the_published_schema_follows_the_records(distance: str, tmp_path: Path) -> None:
    printed("A", distance, "9").write(tmp_path)
    leaderboard.build(tmp_path)
    assert '"distance"' in (tmp_path / "schema.json").read_text()
