"""The `plot` commands write the figures that the library draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.colors import to_rgb
from PIL import Image

from tests.plots.samples import ENTRIES, with_seeds
from wsolbench.cli import cli
from wsolbench.errors import WsolbenchError
from wsolbench.formats.result import Result
from wsolbench.leaderboard.entries import read_entry, read_scored
from wsolbench.plots.photos import PREDICTED_BOX
from wsolbench.scores import SCORES


def plot(*arguments: object) -> str:
    command = ["plot", *map(str, arguments)]
    return CliRunner().invoke(cli, command, catch_exceptions=False).output


def test_the_commands_draw(folder: Path, results: list[Result], tmp_path: Path) -> None:
    peak = results[0].scores["peak_iou"]
    for seeds in (1, 2):
        with_seeds(results[0], seeds, peak).write(tmp_path / f"{seeds}.json")

    photos = ["--annotations", folder / "s.h5", "--images", folder / "photos"]
    maps = ["maps", folder / "left.h5", folder / "right.h5", *photos]
    out = tmp_path / "areas.svg"
    assert plot("areas", folder / "s.h5", "--out", out) == f"{out}: 6 images\n"
    out = tmp_path / "seeds.pdf"
    given = [tmp_path / "1.json", tmp_path / "2.json"]
    assert plot("seed-counts", *given, "--out", out, "--style", "paper") == f"{out}: 2 results\n"
    out = tmp_path / "maps.png"
    chosen = plot(*maps, "--count", 3, "--seed", 1, "--out", out)
    assert chosen.count("p_") == 3
    assert plot(*maps, "--count", 3, "--seed", 1, "--out", out) == chosen
    assert plot(*maps, "--ids", "p_1, p_0", "--out", out) == f"{out}: p_1, p_0\n"
    assert plot(*maps, "--ids", "p_1", "--ids", "p_0,p_2", "--out", out).endswith("p_1, p_0, p_2\n")
    plot(*maps, "--ids", "p_1,p_0", "--out", out)
    without = np.asarray(Image.open(out).convert("RGB"))
    plot(*maps, "--ids", "p_1,p_0", "--result", folder / "left.json", "--out", out)
    boxed = np.asarray(Image.open(out).convert("RGB"))
    green = np.array([round(255 * value) for value in to_rgb(PREDICTED_BOX)])
    assert not (without == green).all(axis=2).any()
    assert (boxed == green).all(axis=2).sum() > 100
    assert "excludes" in plot(*maps, "--ids", "p_1", "--count", 2, "--out", out)
    with pytest.raises(WsolbenchError, match="name another file"):
        plot(*maps, "--out", folder / "left.h5")


def test_results_entries_and_submissions_draw_the_same(folder: Path, tmp_path: Path) -> None:
    """All three hold the same numbers; a picture of the submission is that of its result."""
    store = ["--annotations", folder / "s.h5", "--quiet"]
    pictures = []
    for suffix in ("json", "h5"):
        out = tmp_path / f"{suffix}.png"
        files = [folder / f"left.{suffix}", folder / "right.json"]
        assert plot("curves", *files, *store, "--out", out) == f"{out}: 2 results\n"
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[1]
    entries = sorted(ENTRIES.glob("mini/*-val.json"))
    out = tmp_path / "entries.png"
    assert plot("curves", *entries, "--out", out) == f"{out}: {len(entries)} results\n"
    entries = sorted(ENTRIES.glob("ilsvrc/*number-of-seeds*.json"))
    assert plot("seed-counts", *entries, "--out", out, "--style", "paper") == f"{out}: 6 results\n"
    for arguments, message in (
        (["curves", folder / "left.h5", "--out", out], "found no --annotations"),
        (["curves", folder / "left.h5", *store, "--out", "c.gif"], r"the extension \.gif"),
        (["curves", folder / "left.h5", *store, "--out", folder / "s.h5"], "has the same name"),
        (["curves", folder / "s.h5", *store, "--out", out], "found 'wsolbench-annotations'"),
        (["curves", folder / "left.h5", tmp_path / "none", *store, "--out", out], "no such file"),
        (["curves", entries[0], "--out", out], "a reported entry without curves"),
        (["seed-counts", folder / "left.h5", *store, "--out", out], "method.parameters.seeds None"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            plot(*arguments)


def test_a_file_tells_whether_it_is_a_result_or_an_entry(folder: Path, tmp_path: Path) -> None:
    assert isinstance(read_scored(folder / "left.json"), Result)
    path = next(ENTRIES.glob("mini/*.json"))
    assert read_scored(path) == read_entry(path)
    (tmp_path / "e.json").write_text('{"format": "wsolbench-entry"}')
    with pytest.raises(WsolbenchError, match="an invalid entry: entry: no authors"):
        read_scored(tmp_path / "e.json")
    for text in ("", "[]", "{", '{"format": "other"}', " " * (1 << 19)):
        (tmp_path / "e.json").write_text(text)
        with pytest.raises(WsolbenchError, match=r"no result file|another kind"):
            read_scored(tmp_path / "e.json")


def test_the_pictures_of_readme_and_docs_are_small() -> None:
    pictures = Path(__file__).resolve().parents[2] / "docs" / "pictures"
    sizes = {path.name: path.stat().st_size for path in pictures.glob("*.png")}
    names = {"curves", "strip", "scaling", "differences", "verdict", "cases", "seeds", "peers"}
    names |= {"maps", "matrix", "animals"}
    names |= {f"boundary-{name}" for name in ("steps", "rows", "curves")}
    names |= {f"score-{name}" for name in dict.fromkeys(own.family for own in SCORES.values())}
    assert sizes.keys() == {f"{name}.png" for name in names}
    assert sum(sizes.values()) < 900_000
