"""Entries are believed in nothing, tables do not depend on order, and stale files are told."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SHARED_DATA, random_dataset, random_maps
from wsolbench import leaderboard
from wsolbench.dataset import Dataset
from wsolbench.entries import Entry, entry_from_json, entry_path, read_entry
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation import evaluate
from wsolbench.leaderboard import About
from wsolbench.results import Result, read_result
from wsolbench.standings import tables
from wsolbench.submission import SubmissionHeader
from wsolbench.submission_writer import SubmissionWriter

ROOT = Path(__file__).resolve().parents[1] / "leaderboard"
PUBLISHED = SHARED_DATA.parent / "published"
ABOUT = About(
    authors="A. Author",
    supervision="image label",
    licence="CC0",
    date="2026-11-23",
    command="make maps",
)


def reported(method: str = "CAM", peak: str = "50", **more: object) -> dict[str, object]:
    printed = [{"table": "Table 1", "score": "peak_iou", "text": peak}]
    return {
        "format": "wsolbench-entry",
        "format_version": 1,
        "state": "reported",
        "method": method,
        "authors": "A. Author",
        "backbone": "VGG16",
        "supervision": "image label",
        "dataset": "drawn",
        "split": "val",
        "threshold": {"rule": "max"},
        "scores": {"peak_iou": float(peak) / 100},
        "date": "2020",
        "provenance": {"paper": {"title": "A paper"}, "printed": printed},
        **more,
    }


def entry(method: str = "CAM", peak: str = "50", **more: object) -> Entry:
    return entry_from_json(reported(method, peak, **more), "entry")


@pytest.fixture
def board(tmp_path: Path) -> Callable[..., Path]:
    def make(*entries: Entry) -> Path:
        root = tmp_path / "board"
        root.mkdir()
        (root / "entries").mkdir()
        (root / "notes.json").write_text('{"1": "A note."}')
        for item in entries:
            item.write(root)
        leaderboard.build(root)
        return root

    return make


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Path, Path, Result]:
    """A store of six images, maps for them, and what they scored."""
    dataset = random_dataset(tmp_path / "random.h5", 6)
    header = SubmissionHeader(
        dataset="random",
        split="val",
        label="gt",
        normalisation="none",
        method={"name": "Noise", "backbone": "none", "parameters": {"size": 32, "seeds": 0.1}},
    )
    with SubmissionWriter(tmp_path / "maps.h5", header) as writer:
        writer.append(dataset.image_ids, random_maps(6))
    result = evaluate(Dataset.open(tmp_path / "random.h5"), tmp_path / "maps.h5")
    result.write(tmp_path / "result.json")
    return tmp_path / "random.h5", tmp_path / "maps.h5", read_result(tmp_path / "result.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"images": "many"}, "entry.images: str, not integer"),
        ({"images": True}, "entry.images: bool, not integer"),
        ({"scores": {}}, "entry.scores: empty"),
        ({"scores": {"peak_iou": 50.0}}, "50.0 out of range"),
        ({"scores": {"peak_iou": 0.4}}, "not the printed cells"),
        ({"code": "http://example.org"}, "entry.code"),
        ({"code": 'https://example.org/"onload=alert'}, "entry.code"),
        ({"code": "https://example.org/a\n"}, "entry.code"),
        ({"code": "javascript:alert(1)"}, "entry.code"),
        ({"method": "CAM\u202eMAC"}, "entry.method"),
        ({"method": "CAM\u200b"}, "entry.method"),
        ({"method": "A\x1b[31m"}, "entry.method"),
        ({"method": "two  blanks"}, "single blanks"),
        ({"method": "e\u0301"}, "composed form"),
        ({"method": "x" * 10_000}, "10000 characters, more than 80"),
        ({"dataset": "../up"}, "rule of names"),
        ({"state": "measured"}, "provenance: not the keys"),
        ({"format_version": 2}, "entry.format_version"),
        ({"intervals": {"peak_iou": [0.6, 0.7]}}, "does not hold the score"),
        ({"footnotes": {"ap": [1]}}, "no such score"),
    ],
)
def test_an_entry_that_is_not_strict_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(WsolbenchError, match=message) as raised:
        entry(**change)
    assert raised.value.exit_status == 1
    assert len(str(raised.value)) < 1500


def test_a_key_that_is_missing_and_json_that_is_none_are_refused(tmp_path: Path) -> None:
    content = reported()
    del content["authors"]
    with pytest.raises(WsolbenchError, match="entry: no authors"):
        entry_from_json(content, "entry")
    with pytest.raises(WsolbenchError, match="list, not object"):
        entry_from_json([], "entry")
    for text in ('{"a": 1, "a": 2}', "[" * 99_999, "NaN", "x" * 70_000):
        (tmp_path / "e.json").write_text(text)
        with pytest.raises(WsolbenchError, match="no entry"):
            read_entry(tmp_path / "e.json")


def test_a_protocol_nested_deeply_is_refused() -> None:
    nested: object = "end"
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(WsolbenchError, match="nested too deeply"):
        entry(state="measured", provenance={"protocol": {"name": nested}})


def test_hostile_names_stay_text(board: Callable[..., Path]) -> None:
    root = board(entry("<script>alert(1)</script>"), entry("=1+1"), entry("a|b [x](y)"))
    text = (root / "README.md").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert r"a\|b \[x\](y)" in text
    with open(root / "drawn.csv", newline="") as file:
        methods = {row["method"] for row in csv.DictReader(file)}
    assert methods == {"<script>alert(1)</script>", "'=1+1", "a|b [x](y)"}


def test_ranks_share_ties_and_show_overlaps_and_gains() -> None:
    rows = [
        entry("A", "40"),
        entry("A", "50", post_processing="SEM"),
        entry("B", "50", intervals={"peak_iou": [0.4, 0.6]}),
        entry("C", "45", intervals={"peak_iou": [0.3, 0.46]}),
        entry("D", "44", intervals={"peak_iou": [0.4, 0.5]}),
    ]
    (table,) = tables(rows)
    assert [e.method for e in table.entries] == ["A", "B", "C", "D", "A"]
    assert table.ranks == ("1=", "1=", "3~", "4~", "5")
    assert [base and base.scores["peak_iou"] for base in table.bases] == [0.4, *[None] * 4]
    assert "50 (+10)" in leaderboard._readme([table], {})


def test_tables_do_not_depend_on_the_order_of_entries() -> None:
    entries = leaderboard.read_entries(ROOT)
    expected = tables(entries)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(entries))
        assert tables([entries[i] for i in order]) == expected


def test_no_table_mixes_measured_and_reported() -> None:
    for table in tables(leaderboard.read_entries(ROOT)):
        assert len({item.state == "reported" for item in table.entries}) == 1
        assert len({(item.dataset, item.split) for item in table.entries}) == 1


def test_the_committed_leaderboard_is_fresh() -> None:
    assert leaderboard.check(ROOT) == []


def test_stale_files_are_told_line_by_line(board: Callable[..., Path]) -> None:
    root = board(entry())
    assert leaderboard.check(root) == []
    assert leaderboard.build(root) == []
    text = (root / "README.md").read_text()
    (root / "README.md").write_text(text.replace("| 50 |", "| 99 |"))
    (root / "left.csv").write_text("")
    lines = leaderboard.check(root)
    assert lines[0] == f"{root / 'left.csv'}: no entry belongs to it"
    assert any(line.startswith("-| 1 |") and "| 99 |" in line for line in lines)
    assert any(line.startswith("+| 1 |") and "| 50 |" in line for line in lines)
    assert {path.name for path in leaderboard.build(root)} == {"README.md", "left.csv"}
    assert leaderboard.check(root) == []


def test_an_entry_out_of_place_or_without_its_note_is_told(board: Callable[..., Path]) -> None:
    root = board(entry())
    path = root / entry_path(entry())
    shutil.move(path, path.with_name("other.json"))
    with pytest.raises(WsolbenchError, match="out of place, expected entries/drawn/cam-vgg16-val"):
        leaderboard.check(root)
    shutil.move(path.with_name("other.json"), path)
    entry(footnotes={"peak_iou": [2]}).write(root)
    with pytest.raises(WsolbenchError, match="no note 2"):
        leaderboard.check(root)


def test_add_refuses_what_cannot_stand_on_a_leaderboard(
    scored: tuple[Path, Path, Result], tmp_path: Path
) -> None:
    result = scored[2]
    root = tmp_path / "root"
    for change, message in (
        ({"limit": 3}, "a trial on 3 images"),
        ({"counts": {"missing": 2}}, "2 missing images"),
        ({"submission_sha256": ""}, "maps from memory"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            leaderboard.add(replace(result, **change), ABOUT, root)
    with pytest.raises(WsolbenchError, match=r"entry\.code"):
        leaderboard.add(result, replace(ABOUT, code="http://example.org"), root)
    path = leaderboard.add(result, ABOUT, root)
    assert path == root / "entries" / "random" / "noise-none-val.json"
    with pytest.raises(WsolbenchError, match="an entry already at"):
        leaderboard.add(result, ABOUT, root)
    with pytest.raises(WsolbenchError, match="an entry already at"):
        leaderboard.add(result, replace(ABOUT, method="Renamed"), root)
    content = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "old.json").write_text(json.dumps({**content, "format_version": 0}))
    with pytest.raises(WsolbenchError, match="format version 0"):
        read_result(tmp_path / "old.json")


def test_a_curve_without_its_score_is_refused(
    scored: tuple[Path, Path, Result], tmp_path: Path
) -> None:
    content = json.loads(leaderboard.add(scored[2], ABOUT, tmp_path).read_text())
    content["curves"]["iou"][3] = 1.0
    with pytest.raises(WsolbenchError, match="its peak is not the score"):
        entry_from_json(content, "entry")
    content["curves"]["iou"].pop()
    with pytest.raises(WsolbenchError, match="255 items, not 256"):
        entry_from_json(content, "entry")
    with pytest.raises(WsolbenchError, match="curves: of a reported entry"):
        entry(curves={"iou": [0.5] * 256})


def test_verify_compares_every_number(scored: tuple[Path, Path, Result], tmp_path: Path) -> None:
    store, maps, result = scored
    path = leaderboard.add(result, ABOUT, tmp_path / "root")
    added = read_entry(path)
    assert added.scores == result.scores
    assert (added.seeds, added.map_size) == (0.1, "photos 32 x 32")
    assert leaderboard.verify(added, maps, store) == []
    assert leaderboard.reproduced(added).state == "reproduced"
    higher = np.nextafter(added.scores["ap"], 1)
    changed = replace(added, scores={**added.scores, "ap": float(higher)})
    (difference,) = leaderboard.verify(changed, maps, store)
    assert difference.startswith("scores.ap: now ")
    assert added.curves["iou"] == result.curves["iou"]
    bent = [*added.curves["recall"][:-1], 0.5]
    changed = replace(added, curves={**added.curves, "recall": bent})
    assert leaderboard.verify(changed, maps, store) == ["curves.recall: differs"]
    provenance = {**added.provenance, "submission_sha256": "0" * 64}
    (difference,) = leaderboard.verify(replace(added, provenance=provenance), maps, store)
    assert difference.startswith("provenance.submission_sha256: now ")
    with pytest.raises(WsolbenchError, match="found a reported entry"):
        leaderboard.verify(entry(), maps, store)
    with pytest.raises(WsolbenchError, match="the threshold's rule max"):
        leaderboard.verify(added, maps, store, threshold_from=result)


def test_every_published_number_has_its_entry() -> None:
    if not PUBLISHED.is_dir():
        pytest.skip(f"no published tables at {PUBLISHED}")
    cells = []
    for item in leaderboard.read_entries(ROOT):
        if item.state == "reported":
            printed = item.provenance["printed"]
            cells += [(cell["table"], cell["score"], cell["text"]) for cell in printed]
    expected = []
    keys = ["peak_iou", "ap", "peak_threshold", "top1_loc", "gt_known_loc", "top1_cls"]
    keys += ["ods", "ois"]
    for path in sorted(PUBLISHED.glob("*.csv")):
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                for key in keys:
                    if row.get(key):
                        prefix = "boundary_" if path.stem == "boundaries" else ""
                        expected.append((row["table"], prefix + key, row[key]))
    assert sorted(expected) == sorted(cells)
