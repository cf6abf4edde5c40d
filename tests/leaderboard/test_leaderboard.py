"""Untrusted entries are checked, tables do not depend on order, stale files are reported."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import SHARED_DATA, random_dataset, random_maps
from wsolbench import leaderboard
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.result import Bootstrap, Result, Subset, Threshold, read_result
from wsolbench.formats.submission.reader import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.leaderboard import About, Entry, read_entry
from wsolbench.leaderboard.entries import entry_from_json, entry_path, slug
from wsolbench.leaderboard.readme import readme
from wsolbench.leaderboard.tables import floor, tables
from wsolbench.protocols import PROTOCOLS

ROOT = Path(__file__).resolve().parents[2] / "leaderboard"
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
        ({"scores": {"peak_iou": 0.4}}, "scores: they differ from the printed cells"),
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
        ({"dataset": "../up"}, "dataset: '../up' is not a valid name"),
        (
            {"state": "measured"},
            "provenance: its keys must be annotations_sha256, command, protocol",
        ),
        ({"format_version": 2}, "entry.format_version"),
        (
            {"intervals": {"peak_iou": [0.7, 0.6]}},
            r"intervals.peak_iou: \[0.7, 0.6\] has no score, or low is above high",
        ),
        ({"footnotes": {"ap": [1]}}, "footnotes.ap: the entry has no such score"),
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
        with pytest.raises(WsolbenchError, match="found an invalid entry: "):
            read_entry(tmp_path / "e.json")


def test_a_protocol_nested_deeply_is_refused() -> None:
    nested: object = "end"
    for _ in range(5000):
        nested = [nested]
    stated = {"name": "sem", "version": 1, "sha256": "0" * 64, "more": nested}
    with pytest.raises(WsolbenchError, match="nested too deeply"):
        entry(state="measured", provenance={"protocol": stated})


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
    assert "50 (+10)" in readme([table], {})


def test_tables_do_not_depend_on_the_order_of_entries() -> None:
    entries = leaderboard.read_entries(ROOT)
    expected = tables(entries)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(entries))
        assert tables([entries[i] for i in order]) == expected


def floored(method: str = "CAM", backbone: str = "VGG16", **more: object) -> Entry:
    """A measured entry with only box scores; not validated."""
    provenance = {
        "annotations_sha256": "a" * 64,
        "protocol": {"name": "sem", "version": 1, "sha256": "b" * 64},
    }
    given = {"scores": {"gt_known_loc": 0.5}, "images": 10, "label": "gt", **more}
    return replace(
        entry(method), state="measured", backbone=backbone, provenance=provenance, **given
    )


def test_a_table_of_box_scores_alone_ranks_by_gt_known() -> None:
    scores = {"A": 0.4, "B": 0.6, "C": 0.5, "D": 0.5}
    rows = [floored(name, scores={"gt_known_loc": score}) for name, score in scores.items()]
    (table,) = tables(rows)
    assert table.ranked_by == "gt_known_loc"
    assert [item.method for item in table.entries] == ["B", "C", "D", "A"]
    assert list(table.ranks) == ["1", "2=", "2=", "4"]
    (both,) = tables([*rows, floored("E", scores={"peak_iou": 0.1})])
    assert both.ranked_by == "peak_iou"
    assert dict(zip((e.method for e in both.entries), both.ranks, strict=True)) == {
        **dict.fromkeys("ABCD", "-"),
        "E": "1",
    }


LACK = "This table has no network-free baseline"
MAKES = "wsolbench predict trivial:NAME"


def said(entries: list[Entry], **wanted: object) -> tuple[str, list[tuple[str, str]], str] | None:
    """What is said of the one table whose first entry has such fields."""
    made = tables(entries)
    (table,) = [
        table
        for table in made
        if all(getattr(table.entries[0], key) == value for key, value in wanted.items())
    ]
    told = floor(table, made)
    if told is None:
        return None
    return told.text, [(place.dataset, place.split) for place in told.places], told.command


def test_a_table_without_trivial_maps_tells_how_to_measure_them() -> None:
    assert said([floored()]) == (f"{LACK}.", [], MAKES)
    assert said([floored(), floored("Whole image", "none")]) is None
    assert said([entry()]) == (f"{LACK}.", [], MAKES)
    # Other images say nothing of these.
    other = floored("Whole image", "none", split="test")
    assert said([floored(), other], split="val") == (f"{LACK}.", [], MAKES)


def test_a_study_names_the_table_of_the_same_images() -> None:
    gaussian = floored("Centre Gaussian", "none")
    seeds = floored(study="number of seeds")
    told = f"{LACK}; for the same images and protocol see"
    assert said([gaussian, seeds], study="number of seeds") == (told, [("drawn", "val")], "")
    # The mask itself, a study, is no floor of others.
    mask = floored("Mask", "none", study="the mask itself")
    assert said([mask, seeds], study="number of seeds") == (f"{LACK}.", [], MAKES)
    assert said([mask, seeds], study="the mask itself") is None


def test_reported_boxes_name_the_tables_of_measured_boxes() -> None:
    printed = [{"table": "Table 4", "score": "gt_known_loc", "text": "60"}]
    boxes = {
        "scores": {"gt_known_loc": 0.6},
        "provenance": {"paper": {"title": "A paper"}, "printed": printed},
    }
    paper = [entry(dataset="ILSVRC", **boxes), entry(dataset="ILSVRC", split="test")]
    measured = [
        floored("Noise", "none", dataset="ilsvrc-boxes", split=split)
        for split in ("val", "all", "others")
    ]
    told = f"{LACK}; for the box accuracy of such baselines see"
    places = [("ilsvrc-boxes", "all"), ("ilsvrc-boxes", "val")]
    assert said(paper + measured, dataset="ILSVRC", split="val") == (told, places, MAKES)
    assert said(paper + measured, dataset="ILSVRC", split="test") == (f"{LACK}.", [], MAKES)
    assert said(paper, split="val") == (f"{LACK}.", [], MAKES)


def test_boundaries_have_no_command() -> None:
    printed = [{"table": "Table 7", "score": "boundary_ods", "text": "60"}]
    provenance = {"paper": {"title": "A paper"}, "printed": printed}
    item = entry(scores={"boundary_ods": 0.6}, provenance=provenance)
    assert said([item]) == (f"{LACK}; wsolbench predict edges:canny makes one.", [], "")


def test_every_table_holds_a_trivial_map_or_says_where_one_is() -> None:
    made = tables(leaderboard.read_entries(ROOT))
    readme = (ROOT / "README.md").read_text()
    page = (ROOT / "index.html").read_text()
    bare = [table for table in made if floor(table, made) is not None]
    assert bare
    assert readme.count(LACK) == page.count(f'<p class="floor">{LACK}') == len(bare)


def test_box_scores_alone_are_entered_and_verified(
    scored: tuple[Path, Path, Result], tmp_path: Path
) -> None:
    store, maps, plain = scored
    drawn = Bootstrap(20)
    best = evaluate(Dataset.open(store), maps, metrics=["box"], bootstrap=drawn)
    added = read_entry(leaderboard.add(best, ABOUT, tmp_path / "root"))
    assert added.scores.keys() == {"gt_known_loc", "box_threshold"} | {
        f"max_box_acc{end}" for end in ("", "_v2", "_30", "_70")
    }
    assert added.curves.keys() == {"gt_known_loc", "box_acc_30", "box_acc_70"}
    assert added.scores["gt_known_loc"] == plain.scores["gt_known_loc"]
    assert leaderboard.verify(added, maps, store) == []
    fixed = evaluate(Dataset.open(store), maps, metrics=["box"], threshold=9, bootstrap=drawn)
    other = read_entry(leaderboard.add(fixed, replace(ABOUT, variant="T = 9"), tmp_path / "root"))
    assert leaderboard.verify(other, maps, store) == []


def test_no_table_mixes_measured_and_reported() -> None:
    for table in tables(leaderboard.read_entries(ROOT)):
        assert len({item.state == "reported" for item in table.entries}) == 1
        assert len({(item.dataset, item.split) for item in table.entries}) == 1


def test_the_committed_leaderboard_is_fresh() -> None:
    assert leaderboard.check(ROOT) == []


def test_what_a_killed_build_left_is_removed_though_nothing_changed(
    board: Callable[..., Path],
) -> None:
    root = board(entry())
    before = sorted(root.iterdir())
    (root / ".README.md.wsolbench-lock").write_text("123456")
    (root / ".README.md.123456.tmp").write_text("half")
    assert leaderboard.build(root) == []
    assert sorted(root.iterdir()) == before


def test_stale_files_are_told_line_by_line(board: Callable[..., Path]) -> None:
    root = board(entry())
    assert leaderboard.check(root) == []
    assert leaderboard.build(root) == []
    text = (root / "README.md").read_text()
    (root / "README.md").write_text(text.replace("| 50 |", "| 99 |"))
    (root / "left.csv").write_text("")
    lines = leaderboard.check(root)
    assert lines[0] == f"{root / 'left.csv'}: no entry of this data set"
    assert any(line.startswith("-| 1 |") and "| 99 |" in line for line in lines)
    assert any(line.startswith("+| 1 |") and "| 50 |" in line for line in lines)
    assert {path.name for path in leaderboard.build(root)} == {"README.md", "left.csv"}
    assert leaderboard.check(root) == []


def test_names_in_any_script_have_files_of_their_own() -> None:
    names = ["方法", "手法", "αβ", "αγ", "CAM α", "CAM β", "CAM"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(own.isascii() for own in slugs)
    assert (slugs[0], slugs[4]) == ("22b9f0b6", "cam-1b75ab55")
    # Accents, typographic signs and blanks tell no file from another.
    assert (slug("Café – CAM²"), slug("CAM")) == ("cafe-cam2", "cam")
    paths = {entry_path(entry(method=name)) for name in names}
    assert len(paths) == len(names)


def test_an_entry_out_of_place_or_without_its_note_is_told(board: Callable[..., Path]) -> None:
    root = board(entry())
    path = root / entry_path(entry())
    shutil.move(path, path.with_name("other.json"))
    with pytest.raises(WsolbenchError, match="wrong place, expected entries/drawn/cam-vgg16-val"):
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
        ({"ids": Subset(3, "ab" * 32)}, "a subset, 3 images of list abababab"),
        (
            {"threshold": Threshold("carried", 9, 9, {"method": "m", "split": "val", "ids": {}})},
            "thresholds chosen on a subset",
        ),
        ({"counts": {"missing": 2}}, "2 missing images"),
        ({"submission_sha256": ""}, "maps scored from memory"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            leaderboard.add(replace(result, **change), ABOUT, root)
    path = leaderboard.add(result, ABOUT, root)
    assert path == root / "entries" / "random" / "noise-none-val.json"
    same = "noise-none-val.json, with the same maps, protocol and threshold, .*delete .*json first$"
    for about in (ABOUT, replace(ABOUT, method="Renamed"), replace(ABOUT, variant="again")):
        with pytest.raises(WsolbenchError, match=same):
            leaderboard.add(result, about, root)
    other = replace(result, submission_sha256="f" * 64)
    with pytest.raises(
        WsolbenchError, match=r"with the same names, .*name the difference with --va"
    ):
        leaderboard.add(other, ABOUT, root)
    assert leaderboard.add(other, replace(ABOUT, variant="again"), root).is_file()
    content = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "old.json").write_text(json.dumps({**content, "format_version": 0}))
    with pytest.raises(WsolbenchError, match="format version 0"):
        read_result(tmp_path / "old.json")


@pytest.mark.parametrize(
    ("change", "found", "cure"),
    [
        ({"date": "yesterday"}, "--date: 'yesterday', not a date: YYYY-MM-DD", "--date YYYY-MM-DD"),
        ({"date": "23.11.2026"}, "'23.11.2026', not a date: YYYY-MM-DD", "e.g. 2026-11-23"),
        ({"date": ""}, "--date: missing", "pass --date YYYY-MM-DD"),
        ({"authors": ""}, "--authors: missing", "pass --authors"),
        ({"authors": "A  B"}, "--authors: .*single blanks", "pass --authors"),
        ({"supervision": "x" * 81}, "--supervision: 81 characters, more than 80", "--supervision"),
        ({"licence": ""}, "--licence: missing", "pass --licence"),
        ({"command": ""}, "--command: empty", "pass --command"),
        ({"code": "http://example.org"}, "--code: 'http.*, not a link", "pass --code https://"),
        (
            {"paper_link": "arxiv"},
            "--paper-title: missing, --paper-link: 'arxiv', not",
            "--paper-t",
        ),
        (
            {"commit": "main"},
            "--commit: 'main', not 7 to 64 hexadecimal",
            "pass --commit with 7 to",
        ),
        ({"method": "a\x1bb"}, "--method: 'a.x1bb', not text without control", "pass --method"),
        ({"map_size": "x" * 99}, "--map-size: 99 characters", "pass --map-size"),
        ({"post_processing": "x" * 99}, "--post-processing: 99 ch", "pass --post-processing"),
    ],
)
def test_add_names_the_option_of_a_wrong_fact(
    scored: tuple[Path, Path, Result],
    tmp_path: Path,
    change: dict[str, str],
    found: str,
    cure: str,
) -> None:
    with pytest.raises(WsolbenchError, match=f"{found}.*; .*{cure}") as raised:
        leaderboard.add(scored[2], replace(ABOUT, **change), tmp_path / "root")
    assert raised.value.exit_status == 1
    assert "^" not in str(raised.value)
    assert not (tmp_path / "root").exists()


def test_a_network_free_baseline_is_added_without_a_network(
    scored: tuple[Path, Path, Result], tmp_path: Path
) -> None:
    bare = replace(scored[2], method={"name": "Noise", "class_agnostic": True})
    message = "entry of Noise: found --backbone: missing, .*; name the network with --backbone, or"
    with pytest.raises(WsolbenchError, match=f"{message} pass --backbone none for a network-free"):
        leaderboard.add(bare, ABOUT, tmp_path / "root")
    path = leaderboard.add(bare, replace(ABOUT, backbone="none"), tmp_path / "root")
    assert read_entry(path).backbone == "none"
    two = replace(ABOUT, date="soon", licence="")
    with pytest.raises(WsolbenchError, match=r"--backbone none for a network-free baseline$"):
        leaderboard.add(bare, two, tmp_path / "root")


def test_what_the_submission_states_is_corrected_there(
    scored: tuple[Path, Path, Result], tmp_path: Path
) -> None:
    seeded = replace(scored[2], method={**scored[2].method, "seed": "seven"})
    message = r"entry.random_seed: str, not integer, .*; correct the submission or its annotations"
    with pytest.raises(WsolbenchError, match=message):
        leaderboard.add(seeded, ABOUT, tmp_path / "root")


def test_a_file_of_another_kind_is_named(scored: tuple[Path, Path, Result], tmp_path: Path) -> None:
    with pytest.raises(WsolbenchError, match=r'"format": "wsolbench-result", expected a leaderb'):
        read_entry(tmp_path / "result.json")
    with pytest.raises(WsolbenchError, match="leaderboard's folder with --root"):
        leaderboard.check(tmp_path / "none")
    (tmp_path / "made" / "entries").mkdir(parents=True)
    with pytest.raises(WsolbenchError, match=r"no such folder.*correct --against"):
        leaderboard.changes(tmp_path / "made", tmp_path / "none")


def test_a_curve_without_its_score_is_refused(
    scored: tuple[Path, Path, Result], tmp_path: Path
) -> None:
    content = json.loads(leaderboard.add(scored[2], ABOUT, tmp_path).read_text())
    content["curves"]["iou"][3] = 1.0
    with pytest.raises(WsolbenchError, match=r"curves.iou: gives 1\.0 for peak_iou, not 0\."):
        entry_from_json(content, "entry")
    content["curves"]["iou"].pop()
    with pytest.raises(WsolbenchError, match="255 items, not 256"):
        entry_from_json(content, "entry")
    with pytest.raises(WsolbenchError, match="curves: a reported entry cannot have curves"):
        entry(curves={"iou": [0.5] * 256})


def test_the_same_maps_twice_are_refused(
    scored: tuple[Path, Path, Result], board: Callable[..., Path]
) -> None:
    root = board()
    path = leaderboard.add(scored[2], ABOUT, root)
    added = read_entry(path)
    renamed = replace(added, method="Renamed", state="reproduced")
    renamed.write(root)
    for work in (leaderboard.check, leaderboard.build):
        message = f"found the maps, protocol, split and threshold of {entry_path(added)}"
        with pytest.raises(WsolbenchError, match=message) as raised:
            work(root)
        assert raised.value.exit_status == 1
    replace(renamed, threshold={"rule": "fixed", "pixel": 9}).write(root)
    leaderboard.build(root)
    assert leaderboard.check(root) == []


# Folders that strangers propose


@pytest.fixture
def proposed(scored: tuple[Path, Path, Result], board: Callable[..., Path]) -> tuple[Path, Path]:
    """A leaderboard of a reported and a measured entry with a script, and a copy of it."""
    root = board(entry())
    leaderboard.add(scored[2], ABOUT, root)
    (root / "make.py").write_text("print()\n")
    leaderboard.build(root)
    return Path(shutil.copytree(root, root.with_name("proposed"))), root


def check_against(root: Path, base: Path) -> tuple[int, list[str]]:
    command = ["leaderboard", "check", "--root", str(root), "--against", str(base)]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    return done.exit_code, done.output.splitlines()


def test_new_entries_are_welcome(proposed: tuple[Path, Path]) -> None:
    root, base = proposed
    entry("New").write(root)
    status, lines = check_against(root, base)
    assert (status, lines[-1]) == (1, f"{root}: stale; run `wsolbench leaderboard build`")
    leaderboard.build(root)
    assert check_against(root, base) == (0, [f"{root}: fresh"])


def test_what_is_more_than_a_new_entry_is_told(proposed: tuple[Path, Path]) -> None:
    root, base = proposed
    old = root / entry_path(entry())
    measured = next(root.glob("entries/random/*.json"))
    replace(read_entry(measured), state="reproduced").write(root)  # and nothing else of it
    better = replace(read_entry(measured), method="Better")
    sha256 = "0" * 64
    better = replace(better, provenance={**better.provenance, "submission_sha256": sha256})
    claimed = better.write(root)
    old.unlink()
    (root / "notes.json").write_text('{"1": "Another note."}')
    (root / "make.py").unlink()
    (root / ".gitattributes").write_text("* text\n")
    (root / "entries" / "submodule").mkdir()
    leaderboard.build(root)
    status, lines = check_against(root, base)
    assert status == 1
    assert lines == [
        f"{root}/.gitattributes: added, but not an entry",
        f"{root}/drawn.csv: removed",
        f"{old}: removed",
        f"{claimed}: added as reproduced; new entries must be measured or reported",
        f"{measured}: changed",
        f"{root}/make.py: removed",
        f"{root}/notes.json: changed",
        f"{old.parent}: an empty folder",
        f"{root}/entries/submodule: an empty folder",
        f"{root}: more than new entries; undo these changes, or leave them to a maintainer",
    ]


def test_an_entry_written_over_another_of_its_names_is_a_change(
    proposed: tuple[Path, Path],
) -> None:
    root, base = proposed
    path = entry("cam", "60").write(root)  # its names in other letters make the same file's name
    leaderboard.build(root)
    status, lines = check_against(root, base)
    assert (status, lines[0]) == (1, f"{path}: changed")


@pytest.mark.parametrize("place", ["entries/drawn/x.json", "entries/link", "README.md", "."])
@pytest.mark.parametrize("target", ["file", "folder", "nothing"])
def test_links_are_refused_and_not_followed(
    proposed: tuple[Path, Path], tmp_path: Path, place: str, target: str
) -> None:
    root, base = proposed
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("private")
    path = root / place
    if place == ".":
        root.rename(tmp_path / "moved")
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(tmp_path / target)
    for work in (leaderboard.check, leaderboard.build, leaderboard.read_entries):
        with pytest.raises(WsolbenchError, match="found a link, expected files") as raised:
            work(root)
        assert raised.value.exit_status == 1
    with pytest.raises(WsolbenchError, match="found a link"):
        leaderboard.changes(root, base)
    assert (tmp_path / "file").read_text() == "private"


def test_pipes_and_huge_files_are_refused_unread(proposed: tuple[Path, Path]) -> None:
    root = proposed[0]
    pipe, huge = root / "entries" / "drawn" / "pipe.json", root / "README.md"
    os.mkfifo(pipe)
    with pytest.raises(WsolbenchError, match="found a device or pipe"):
        leaderboard.check(root)
    pipe.unlink()
    os.truncate(huge, 1 << 40)  # holes alone
    with pytest.raises(WsolbenchError, match="found 1099511627776 bytes, expected files of at"):
        leaderboard.check(root)
    os.truncate(huge, 1 << 20)
    (line,) = leaderboard.check(root)
    assert line.startswith(f"{huge}: 1048576 characters, not ")
    (root / "notes.json").write_text(f'{{"1": "{"x" * (1 << 18)}"}}')
    with pytest.raises(WsolbenchError, match="bytes, expected notes of at most 262144"):
        leaderboard.check(root)


def test_what_a_stranger_wrote_is_printed_on_lines_without_controls(
    proposed: tuple[Path, Path],
) -> None:
    root, base = proposed
    with open(root / "README.md", "a") as file:
        file.write("\x1b[31m red \u202e\n")
    (root / "two\nlines.csv").write_text("")
    (root / os.fsdecode(b"\xff")).write_text("")
    status, lines = check_against(root, base)
    assert status == 1
    assert all(line.isprintable() for line in lines)
    assert r"-\x1b[31m red \u202e" in lines
    assert f"{root}/two lines.csv: no entry of this data set" in lines


def test_the_workflow_keeps_its_promises() -> None:
    """Few rights, no secrets, actions pinned by commit, and only code of the base branch."""
    path = ROOT.parent / ".github" / "workflows" / "leaderboard.yml"
    text = path.read_text()
    used = re.findall(r"\buses: *(.*)", text)
    assert len(used) == 2
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v[0-9.]+", name) for name in used)
    assert re.findall(r"permissions:\n((?:  .*\n)+)", text) == ["  contents: read\n"]
    assert re.findall(r"pip install (.*)", text) == [
        "--constraint base/constraints.txt './base[page]'"
    ]
    assert "persist-credentials: false" in text
    for word in ("secrets", "pull_request_target", "${{ github.event", "${{ github.head_ref"):
        assert word not in text


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
    with pytest.raises(
        WsolbenchError, match=r"the threshold rule max, .*leave --threshold-from out"
    ):
        leaderboard.verify(added, maps, store, threshold_from=result)
    source = {"method": "Noise", "split": "test"}
    carried = replace(added, threshold={"rule": "carried", "pixel": 9, "box": 9, "source": source})
    message = "thresholds carried from Noise on test, .*; name it with --threshold-from"
    with pytest.raises(WsolbenchError, match=message):
        leaderboard.verify(carried, maps, store)


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "sem"])
def test_other_protocols_are_entered_and_verified(
    scored: tuple[Path, Path, Result], board: Callable[..., Path], name: str
) -> None:
    pytest.importorskip("cv2", reason="of other protocols")
    store, maps, plain = scored
    root = board()
    leaderboard.add(plain, ABOUT, root)
    result = evaluate(Dataset.open(store), maps, name)
    added = read_entry(leaderboard.add(result, replace(ABOUT, variant=name), root))
    assert len(added.curves) == (3 if name == "spa2net" else 0)
    assert leaderboard.verify(added, maps, store) == []
    tables_made = tables([added, *leaderboard.read_entries(root)])
    versions = {"sem.v2", f"{name}.v{PROTOCOLS[name].version}"}
    assert {table.title.split()[2] for table in tables_made} == versions
    for table in tables_made:
        for key in set(table.keys) & {"box_threshold_fraction", "peak_threshold_fraction"}:
            assert table.column(key)[0].shown == f"{added.scores[key]:.3f}"


def test_intervals_are_entered_and_drawn_again(
    scored: tuple[Path, Path, Result], tmp_path: Path
) -> None:
    store, maps, _ = scored
    result = evaluate(Dataset.open(store), maps, bootstrap=Bootstrap(40, seed=3))
    added = read_entry(leaderboard.add(result, ABOUT, tmp_path / "root"))
    assert added.intervals == result.intervals
    assert added.bootstrap == {"resamples": 40, "seed": 3, "level": 0.95}
    assert leaderboard.verify(added, maps, store) == []
    other = replace(added, bootstrap={**added.bootstrap, "seed": 4})
    differences = leaderboard.verify(other, maps, store)
    assert differences
    assert all(line.startswith("intervals.") for line in differences)
    content = json.loads(replace(added, bootstrap={}).to_json())
    with pytest.raises(
        WsolbenchError, match="intervals: they and bootstrap must be given together"
    ):
        entry_from_json(content, "entry")


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
