"""`plot seeds` through the command line, with the embedded benchmark's network."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.conftest import annotation
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.masks import RunLengths

MODEL = ("--model", "wsolbench.mini.classifier:load", "--size", "32", "--device", "cpu")
"""A network of eight classes; its maps are 8x8."""


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    """The command on nine photos of val, one of which has a box alone in split "bare"."""
    rng = np.random.default_rng(0)
    rows = []
    for place in range(9):
        mask = np.zeros((32, 32), np.bool_)
        mask[4:20, place : place + 16] = True
        rows.append(annotation(f"i{place}", mask, class_index=place % 8))
        photo = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(photo).save(tmp_path / f"i{place}.png")
    bare = annotation("bare", mask, split="bare")
    rows.append(type(bare)("bare", "bare", 0, RunLengths(32, 32, b""), bare.boxes))
    write_store(tmp_path / "toy.h5", AnnotationSet("toy", rows))
    (tmp_path / "two.txt").write_text("i3\ni7\n")
    given = ("plot", "seeds", *MODEL, "--annotations", "toy.h5", "--images", ".", "--quiet")
    return (*given, "--perplexity", 5, "--max-pixels", 30, "--out", "s.png")


def test_numbers_and_pictures_repeat(run: Run, command: tuple[object, ...], tmp_path: Path) -> None:
    first = run(*command, "--ids", "two.txt", "--seeds", "0.1")
    lines = first.stdout.splitlines()
    assert lines[0] == "s.png: 2 images of toy val"
    head = "image seeds on_object object background cos_object cos_background AUC AUC_of_CAM"
    assert " ".join(lines[1].split()) == f"{head} above_95_%".replace("_", " ")
    assert [line.split()[:2] for line in lines[3:]] == [["i3", "6"], ["i7", "6"]]
    picture = (tmp_path / "s.png").read_bytes()
    told = json.loads(run(*command, "--ids", "two.txt", "--seeds", "0.1", "--json").stdout)
    assert (tmp_path / "s.png").read_bytes() == picture
    (row, _) = told["images"]
    assert row["seeds"] + row["object_rest"] + row["background"] == 64
    assert lines[3].split()[5:7] == [f"{row['seed_object']:.3f}", f"{row['seed_background']:.3f}"]
    assert lines[3].split()[7] == f"{100 * row['auc']:.1f}"
    assert (told["seeds"], told["features"], told["perplexity"]) == (0.1, ["feat5"], 5)


def test_photos_are_spread_over_the_split_unless_chosen(
    run: Run, command: tuple[object, ...]
) -> None:
    def drawn(*options: object) -> list[str]:
        told = json.loads(run(*command, "--json", *options).stdout)
        return [row["image_id"] for row in told["images"]]

    assert drawn("--features", "feat3,feat5", "--seeds", 6) == ["i0", "i1", "i3", "i4", "i6", "i7"]
    assert drawn("--limit", 1, "--label", "predicted", "--max-pixels", 64) == ["i0"]


def test_what_cannot_be_drawn_is_one_line(
    run: Run, command: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "map.csv").write_text("class,model_class\n0,0\n")
    for options, message in (
        (("--split", "bare"), "1 of 1 images of toy bare without a mask: bare"),
        (("--class-map", "map.csv", "--ids", "two.txt"), "2 classes without a class of the model"),
        (
            ("--limit", 1, "--seeds", 4, "--perplexity", 30),
            "perplexity for i0: found 30 for 30 positions",
        ),
        (("--limit", 1, "--seeds", 31), "max_pixels: found 30 for 31 seeds"),
        (("--limit", 1, "--seeds", 65), "seeds: found 65 on maps of 8x8"),
        (("--limit", 1, "--features", "feat6"), "features of mini: found feat6"),
        (("--limit", 1, "--ids", "two.txt"), "--limit and --ids exclude each other"),
        (("--checkpoint", "c.pt"), "--checkpoint and --model exclude each other"),
        (("--out", "s.gif"), "the extension .gif"),
        (("--out", "toy.h5"), "the extension .h5"),
    ):
        done = run(*command, *options, status=2)
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "s.png").exists()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    done = run(*command, status=2)
    assert done.stderr.endswith("not installed; pip install 'wsolbench[embedding]'\n")
