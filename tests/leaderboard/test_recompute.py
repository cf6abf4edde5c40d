"""Entries that carry counts: every number follows from them, and no count can be changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import random_dataset, random_maps
from wsolbench import leaderboard
from wsolbench.cli import cli
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.counts import write_counts
from wsolbench.evaluation.run import Request, run
from wsolbench.files import sha256_of
from wsolbench.formats.result import Bootstrap, Result
from wsolbench.formats.submission.reader import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.leaderboard import About, Entry, read_entry, recompute
from wsolbench.leaderboard.entries import counts_beside, entry_path
from wsolbench.metrics import explain
from wsolbench.scores import SCORES

ROOT = Path(__file__).resolve().parents[2] / "leaderboard"
ABOUT = About("A. Author", "image label", "CC0", "2026-11-23", "make maps")
COUNT = 9


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """A result with intervals and class predictions, and its counts; its maps are gone."""
    folder = tmp_path_factory.mktemp("measured")
    dataset = random_dataset(folder / "random.h5", COUNT)
    header = SubmissionHeader(
        dataset="random",
        split="val",
        label="gt",
        normalisation="none",
        method={"name": "Noise", "backbone": "none"},
    )
    top5 = np.array([np.roll(np.arange(5), place) for place in range(COUNT)])
    with SubmissionWriter(folder / "maps.h5", header) as writer:
        writer.append(dataset.image_ids, random_maps(COUNT), top5=top5)
    request = Request(folder / "maps.h5", dataset, bootstrap=Bootstrap(50, seed=3), counts=True)
    outcome = run(request)
    write_counts(folder / "r.counts.npz", outcome.counts[0])
    (folder / "maps.h5").unlink()
    (folder / "random.h5").rename(folder / "elsewhere.h5")
    return outcome.results[0], folder / "r.counts.npz"


@pytest.fixture
def added(measured: tuple[Result, Path], tmp_path: Path) -> Path:
    """The file of an entry that carries its counts, on a leaderboard of its own."""
    result, counts = measured
    path = leaderboard.add(result, ABOUT, tmp_path / "board", counts)
    (tmp_path / "board" / "notes.json").write_text("{}")
    leaderboard.build(tmp_path / "board")
    return path


def call(*arguments: object) -> tuple[int, list[str]]:
    done = CliRunner().invoke(cli, ["leaderboard", *map(str, arguments)], catch_exceptions=False)
    return done.exit_code, done.output.splitlines()


def rewrite(file: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Change the arrays of a counts file."""
    with np.load(file) as read:
        columns = {name: read[name] for name in read.files}
    change(columns)
    np.savez_compressed(file, **columns)


def restated(path: Path) -> Entry:
    """The entry with the hash of the counts as they are now, written to its file."""
    entry = read_entry(path)
    sha256 = sha256_of(counts_beside(path))
    entry = replace(entry, provenance={**entry.provenance, "counts_sha256": sha256})
    path.write_text(entry.to_json())
    return entry


def test_every_score_and_interval_follows_from_the_counts(added: Path) -> None:
    entry = read_entry(added)
    found = recompute(entry, counts_beside(added))
    assert found.differences == []
    assert len(entry.scores) == len(entry.intervals) > 12
    root = added.parents[2]
    numbers = f"{len(entry.scores)} scores and {len(entry.intervals)} intervals recomputed"
    status, lines = call("verify", "--from-counts", "--root", root)
    assert (status, lines[0]) == (0, f"{added}: {numbers}")
    assert call("verify", added, "--from-counts")[1][0] == f"{added}: {numbers}"
    assert call("check", "--root", root) == (0, [f"{root}: fresh"])


def test_the_page_and_the_readme_name_the_counts(added: Path) -> None:
    pytest.importorskip("jinja2", reason="the page is drawn by jinja2")
    root = added.parents[2]
    path = counts_beside(added).relative_to(root).as_posix()
    assert f"measured, [recomputable]({path})" in (root / "README.md").read_text()
    assert f'<a class="state recomputable" href="{path}"' in (root / "index.html").read_text()


def one_pixel(columns: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """One pixel of one image has another level."""
    pixels = columns["pixels"]
    image, side, level = rng.choice(np.argwhere(pixels > 0))
    other = rng.choice(np.delete(np.arange(256), level))
    pixels[image, side, level] -= 1
    pixels[image, side, other] += 1


def one_more(columns: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """One count of one level is one higher."""
    place = tuple(rng.integers(columns["pixels"].shape))
    columns["pixels"][place] += 1


def one_box(columns: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """One box at one threshold was right, or was not."""
    shape = columns["correct_shape"]
    bits = np.unpackbits(columns["correct"], count=int(shape.prod()))
    bits[rng.integers(len(bits))] ^= 1
    columns["correct"] = np.packbits(bits)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("flip", [one_pixel, one_more, one_box])
def test_one_flipped_count_is_refused(flip: Callable[..., None], seed: int, added: Path) -> None:
    """By the hash; and by the arithmetic, if somebody states the hash of the changed file."""
    counts = counts_beside(added)
    stated = sha256_of(counts)
    rewrite(counts, lambda columns: flip(columns, np.random.default_rng(seed)))
    now = sha256_of(counts)
    line = f"{added}: provenance.counts_sha256: now {now}, in the entry {stated}"
    assert call("verify", added, "--from-counts") == (1, [line])
    with pytest.raises(WsolbenchError, match="found changed counts") as raised:
        leaderboard.check(added.parents[2])
    assert raised.value.exit_status == 1
    restated(added)
    status, lines = call("verify", added, "--from-counts")
    assert status == 1
    assert all(": scores." in own or ": intervals." in own or ": curves." in own for own in lines)
    with pytest.raises(WsolbenchError, match="differences from its counts"):
        leaderboard.filled(read_entry(added), recompute(read_entry(added), counts))


def test_counts_are_compared_with_annotations_if_these_are_given(
    measured: tuple[Result, Path], added: Path, tmp_path: Path
) -> None:
    """Invented counts, with the scores that follow from them, are not those of the masks."""
    annotations = measured[1].with_name("elsewhere.h5")
    given = ("verify", added, "--from-counts", "--annotations", annotations)
    assert call(*given)[0] == 0

    def invent(columns: dict[str, np.ndarray]) -> None:
        pixels = columns["pixels"]
        pixels[2, :, pixels[2].sum(axis=0).argmax()] += (-1, 1)
        pixels[4, 0, 7] += 5
        columns["class_index"][5] += 1

    rewrite(counts_beside(added), invent)
    restated(added)
    _, lines = call(*given)
    assert [line for line in lines if ": images: " in line] == [
        f"{added}: images: another class than the annotations: image_005",
        f"{added}: images: another number of object pixels than the annotations: image_002",
        f"{added}: images: another number of pixels than the annotations: image_004",
    ]
    other = random_dataset(tmp_path / "other.h5", COUNT, seed=1).store.path
    _, lines = call("verify", added, "--from-counts", "--annotations", other)
    assert f"{added}: provenance.annotations_sha256: now " in lines[-1]


def test_counts_of_another_entry_or_none_are_refused(added: Path, tmp_path: Path) -> None:
    entry = read_entry(added)
    other = {**entry.provenance, "submission_sha256": "0" * 64}
    with pytest.raises(WsolbenchError, match="found counts of another result"):
        recompute(replace(entry, provenance=other), counts_beside(added))
    (tmp_path / "empty.npz").write_bytes(b"")
    del other["counts_sha256"]
    with pytest.raises(WsolbenchError, match="found no counts of a result"):
        recompute(replace(entry, provenance=other), tmp_path / "empty.npz")
    with pytest.raises(WsolbenchError, match="found a reported entry"):
        recompute(replace(entry, state="reported"), counts_beside(added))


def test_a_board_with_stray_or_missing_counts_is_refused(added: Path) -> None:
    root, counts = added.parents[2], counts_beside(added)
    stray = counts.with_name("another.counts.npz")
    shutil.copy(counts, stray)
    with pytest.raises(WsolbenchError, match=r"another.*: found counts that no entry states"):
        leaderboard.check(root)
    stray.unlink()
    counts.unlink()
    with pytest.raises(WsolbenchError, match="found no file, expected the counts that the entry"):
        leaderboard.check(root)


def test_scores_that_came_later_are_filled_in(added: Path) -> None:
    """An entry of a time when a score did not exist gets it, with its interval, from counts."""
    whole = read_entry(added)
    lacking = {"ap_image_mean", "max_box_acc_v2"}

    def old(values: dict[str, object]) -> dict[str, object]:
        return {key: value for key, value in values.items() if key not in lacking}

    added.write_text(
        replace(whole, scores=old(whole.scores), intervals=old(whole.intervals)).to_json()
    )
    found = recompute(read_entry(added), counts_beside(added))
    assert found.differences == []
    assert lacking <= found.later.keys()
    before = added.read_text()
    status, lines = call("verify", added, "--from-counts")
    assert (status, added.read_text()) == (0, before)
    assert "not in the entry yet (--write adds them)" in lines[1]
    assert call("verify", added, "--from-counts", "--write")[0] == 0
    written = read_entry(added)
    for key in whole.scores:
        assert written.scores[key] == whole.scores[key]
        assert written.intervals[key] == whole.intervals[key]
    assert len(call("verify", added, "--from-counts")[1]) == 1


def test_families_that_came_later_are_filled_in(measured: tuple[Result, Path], added: Path) -> None:
    """The explanation scores follow from the histograms of an entry that was made without them."""
    before = read_entry(added)
    assert not any(SCORES[key].family == "explain" for key in before.scores)
    assert call("verify", added, "--from-counts", "--write")[0] == 0
    entry = read_entry(added)
    later = entry.scores.keys() - before.scores.keys()
    with np.load(measured[1]) as read:
        images = explain.image_scores(read["pixels"])
    assert later >= images.keys()
    for key in ("relevance_mass", "roc_auc", "nss"):
        assert entry.scores[key] == pytest.approx(np.nanmean(images[key]), abs=1e-9)
        low, high = entry.intervals[key]
        assert low < entry.scores[key] < high
    assert {key: entry.scores[key] for key in before.scores} == before.scores
    assert len(call("verify", added, "--from-counts")[1]) == 1
    leaderboard.build(added.parents[2])


def test_counts_are_attached_to_an_entry_without(
    measured: tuple[Result, Path], tmp_path: Path
) -> None:
    result, counts = measured
    path = leaderboard.add(result, ABOUT, tmp_path / "board")
    with pytest.raises(WsolbenchError, match="found an entry without counts"):
        call_raising("verify", path, "--from-counts")
    assert call("verify", path, "--from-counts", "--counts", counts, "--write")[0] == 0
    assert read_entry(path).counts_sha256 == sha256_of(counts) == sha256_of(counts_beside(path))
    assert call("verify", path, "--from-counts")[0] == 0


def call_raising(*arguments: object) -> None:
    cli.main(["leaderboard", *map(str, arguments)], standalone_mode=False)


def test_add_refuses_counts_of_another_result(
    measured: tuple[Result, Path], tmp_path: Path
) -> None:
    result, counts = measured
    wrong = replace(result, scores={**result.scores, "ap_image_mean": 0.25})
    with pytest.raises(WsolbenchError, match="counts that do not add up"):
        leaderboard.add(wrong, ABOUT, tmp_path / "board", counts)
    assert not (tmp_path / "board" / entry_path_of(result)).exists()


def entry_path_of(result: Result) -> Path:
    return Path("entries", result.dataset, f"noise-none-{result.split}.json")


def test_a_proposed_entry_must_follow_from_its_counts(added: Path, tmp_path: Path) -> None:
    """A stranger's entry is welcome with its counts, and refused with counts that differ."""
    root, base = added.parents[2], tmp_path / "base"
    (base / "entries").mkdir(parents=True)
    (base / "notes.json").write_text("{}")
    leaderboard.build(base)
    assert call("check", "--root", root, "--against", base) == (0, [f"{root}: fresh"])
    entry = read_entry(added)
    scores = {**entry.scores, "ap_image_mean": 0.25}
    added.write_text(replace(entry, scores=scores).to_json())
    leaderboard.build(root)
    status, lines = call("check", "--root", root, "--against", base)
    assert status == 1
    found = entry.scores["ap_image_mean"]
    wrong = f"the counts give {found}, in the entry 0.25"
    assert lines[0] == f"{added}: scores.ap_image_mean: {wrong}"


def test_a_reported_entry_states_no_counts() -> None:
    path = next((ROOT / "entries" / "ilsvrc").glob("*.json"))
    content = json.loads(path.read_text())
    content["provenance"]["counts_sha256"] = "0" * 64
    with pytest.raises(WsolbenchError, match="provenance: its keys must be"):
        leaderboard.entries.entry_from_json(content, path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("entry.json",), "Pass --submission and --annotations, or --from-counts."),
        (("--submission", "s", "--annotations", "a"), "Name one ENTRY, or pass --from-counts."),
        (("e", "--submission", "s", "--annotations", "a", "--counts", "c"), "needs --from-counts"),
        (("--from-counts", "--submission", "s"), "--from-counts needs no --submission"),
        (("--from-counts", "--threshold-from", "r"), "needs no --threshold-from: leave it out"),
        (("--from-counts", "--counts", "c"), "--counts is of one ENTRY: name it."),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: tuple[str, ...], message: str
) -> None:
    status, lines = call("verify", *arguments)
    assert status == 2
    assert message in " ".join(lines)


def test_measured_entries_can_be_recomputed() -> None:
    counted = [entry for entry in leaderboard.read_entries(ROOT) if entry.counts_sha256]
    assert {entry.dataset for entry in counted} == {"animals", "mini"}
    for entry in counted:
        if "gaussian" in str(entry_path(entry)) or entry.post_processing:
            path = ROOT / entry_path(entry)
            assert recompute(entry, counts_beside(path)).differences == []
