"""Masks and run lengths: drawn cases, pycocotools as the other program, malformed input."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from tests.conftest import random_blob
from wsolbench import masks
from wsolbench.errors import WsolbenchError
from wsolbench.masks import MaskRule, RunLengths


@pytest.mark.parametrize("seed", range(50))
def test_round_trip_and_agreement_with_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = random_blob(rng, *rng.integers(1, 90, size=2))
    if seed % 10 == 0:
        mask[:] = seed % 20 == 0
    run_lengths = masks.encode(mask)
    assert (masks.decode(run_lengths) == mask).all()
    assert masks.area(run_lengths) == mask.sum()
    with warnings.catch_warnings():  # pycocotools 2.0.11 uses an idiom that NumPy 2 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = coco.decode({"size": list(mask.shape), "counts": run_lengths.counts})
    assert (theirs == mask).all()


def test_columns_come_first() -> None:
    mask = np.array([[0, 1], [0, 1], [1, 0]], bool)
    assert masks.runs(masks.encode(mask)).tolist() == [2, 3, 1]
    assert masks.decode(masks.encode(mask)).flags.c_contiguous


@pytest.mark.parametrize(
    "height, width, counts, found",
    [
        (3, 2, b"", "empty counts"),
        (3, 2, b"\x7f", "outside 48..111"),
        (3, 2, b"21\xff", "outside 48..111"),
        (3, 2, b"23P", "end inside a run"),
        (3, 2, b"232", "runs that cover 7 pixels"),
        (3, 2, b"22", "runs that cover 4 pixels"),
        (3, 2, b"PPPPPPPP0", "more than 35 bits"),
        (0, 2, b"0", "size 2x0"),
        (3, 99999, b"0", "size 99999x3"),
        (3, 2, b"8N", "include a negative length"),
    ],
)
def test_malformed_run_lengths_are_refused(
    height: int, width: int, counts: bytes, found: str
) -> None:
    with pytest.raises(WsolbenchError, match=found):
        masks.decode(RunLengths(height, width, counts))


@given(st.integers(1, 40), st.integers(1, 40), st.binary(max_size=40))
def test_random_counts_never_crash(height: int, width: int, counts: bytes) -> None:
    try:
        mask = masks.decode(RunLengths(height, width, counts))
    except WsolbenchError:
        return
    assert mask.shape == (height, width)
    assert masks.area(RunLengths(height, width, counts)) == mask.sum()


def test_tight_box_is_half_open() -> None:
    mask = np.zeros((5, 8), bool)
    mask[1:4, 2] = mask[2, 2:7] = True
    assert masks.tight_box(mask) == (2, 1, 7, 4)
    with pytest.raises(WsolbenchError, match="no object pixel"):
        masks.tight_box(np.zeros((2, 2), bool))
    with pytest.raises(WsolbenchError, match="found uint8"):
        masks.encode(np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize(
    "levels, expected",
    [
        ([[0, 255]], [[False, True]]),
        ([[0, 129, 200, 255]], [[False, True, True, True]]),
        ([[0, 1]], [[False, True]]),
        ([[0, 0]], [[False, False]]),
        ([[1, 1]], [[True, True]]),
    ],
)
def test_grey_levels_tell_what_is_object(
    tmp_path: Path, levels: list[list[int]], expected: list[list[bool]]
) -> None:
    Image.fromarray(np.array(levels, np.uint8)).save(tmp_path / "m.png")
    assert masks.read_picture(tmp_path / "m.png").mask.tolist() == expected


def test_one_bit_masks_and_written_masks_come_back(tmp_path: Path) -> None:
    mask = random_blob(np.random.default_rng(0), 9, 17)
    Image.fromarray(mask).save(tmp_path / "bit.png")
    masks.write_mask(tmp_path / "grey.png", mask)
    with Image.open(tmp_path / "bit.png") as picture:
        assert picture.mode == "1"
    for name in ("bit.png", "grey.png"):
        assert (masks.read_picture(tmp_path / name).mask == mask).all()


def test_masks_that_leave_open_what_is_object_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 2, 100]], np.uint8)).save(tmp_path / "dim.png")
    with pytest.raises(WsolbenchError, match=r"dim\.png: found grey levels 2, 100, expected 0 and"):
        masks.read_picture(tmp_path / "dim.png")
    Image.fromarray(np.eye(3, dtype=np.uint8)[None] * 255).save(tmp_path / "colour.png")
    with pytest.raises(WsolbenchError, match="colours in a picture of mode RGB"):
        masks.read_picture(tmp_path / "colour.png")


def save(folder: Path, levels: list[int], dtype: type = np.uint8) -> Path:
    Image.fromarray(np.array([levels], dtype)).save(folder / "m.png")
    return folder / "m.png"


@pytest.mark.parametrize(
    "levels", [[0, 1, 255], [0, 15, 255], [1, 255], [0, 128, 129], [0, 9, 99], [0, 200, 255]]
)
def test_levels_on_both_sides_of_128_need_a_rule(tmp_path: Path, levels: list[int]) -> None:
    with pytest.raises(WsolbenchError, match=r"--object-above LEVEL .*, --void LEVEL"):
        masks.read_picture(save(tmp_path, levels))


def test_a_void_level_is_ignored_and_not_object(tmp_path: Path) -> None:
    for levels, dtype in (([0, 1, 255], np.uint8), ([0, 15, 255], np.uint8)):
        picture = masks.read_picture(save(tmp_path, levels, dtype), MaskRule(void=255))
        assert picture.mask.tolist() == [[False, True, False]]
        assert picture.ignored is not None
        assert picture.ignored.tolist() == [[False, False, True]]
    deep = masks.read_picture(save(tmp_path, [0, 1, 65535], np.uint16), MaskRule(void=65535))
    assert deep.mask.tolist() == [[False, True, False]]


def test_several_levels_beside_void_need_a_rule_too(tmp_path: Path) -> None:
    path = save(tmp_path, [0, 7, 15, 255])
    with pytest.raises(WsolbenchError, match="levels 7, 15, expected one level of the object"):
        masks.read_picture(path, MaskRule(void=255))
    both = masks.read_picture(path, MaskRule(object_above=0, void=255))
    assert both.mask.tolist() == [[False, True, True, False]]
    above = masks.read_picture(path, MaskRule(object_above=10))
    assert above.mask.tolist() == [[False, False, True, True]]
    with pytest.raises(WsolbenchError, match="void: found -1, expected a grey level"):
        MaskRule(void=-1)


@pytest.mark.parametrize("levels", [[0, 1], [0, 255], [0, 65535], [0, 40000]])
def test_masks_of_16_bits_are_read(tmp_path: Path, levels: list[int]) -> None:
    assert masks.read_picture(save(tmp_path, levels, np.uint16)).mask.tolist() == [[False, True]]


@pytest.mark.parametrize("levels", [[0, 300], [0, 1, 65535], [0, 1, 255]])
def test_doubtful_masks_of_16_bits_are_refused(tmp_path: Path, levels: list[int]) -> None:
    with pytest.raises(WsolbenchError, match="found grey level"):
        masks.read_picture(save(tmp_path, levels, np.uint16))


def palette(folder: Path, indices: list[int], colours: list[tuple[int, int, int]]) -> Path:
    picture = Image.fromarray(np.array([indices], np.uint8), mode="P")
    picture.putpalette([level for colour in colours for level in colour])
    picture.save(folder / "p.png")
    return folder / "p.png"


def test_palettes_are_read_by_index_or_by_grey_and_both_must_agree(tmp_path: Path) -> None:
    black, white, red, blue = (0,) * 3, (255,) * 3, (200, 0, 0), (0, 0, 200)
    for colours in ([black, white], [red, blue]):
        path = palette(tmp_path, [0, 1], colours)
        assert masks.read_picture(path).mask.tolist() == [[False, True]]
    for colour in (white, red):
        with pytest.raises(WsolbenchError, match="the higher index is black"):
            masks.read_picture(palette(tmp_path, [0, 1], [colour, black]))
    with pytest.raises(WsolbenchError, match="the higher index is the darker grey"):
        masks.read_picture(palette(tmp_path, [0, 1], [white, (9, 9, 9)]))
    many = [black, *[red] * 254, blue]
    with pytest.raises(WsolbenchError, match="levels 15, 255"):
        masks.read_picture(palette(tmp_path, [0, 15, 255], many))
    rule = MaskRule(void=255)
    picture = masks.read_picture(palette(tmp_path, [0, 15, 255], many), rule)
    assert picture.mask.tolist() == [[False, True, False]]


def test_equal_channels_are_grey_and_a_varying_transparency_is_doubtful(tmp_path: Path) -> None:
    grey, full = np.array([[0, 255]], np.uint8), np.array([[255, 255]], np.uint8)
    for planes in ([grey] * 3, [grey] * 3 + [full]):
        Image.fromarray(np.stack(planes, axis=2)).save(tmp_path / "m.png")
        assert masks.read_picture(tmp_path / "m.png").mask.tolist() == [[False, True]]
    Image.fromarray(np.stack([grey] * 4, axis=2)).save(tmp_path / "m.png")
    with pytest.raises(WsolbenchError, match="a transparency that varies"):
        masks.read_picture(tmp_path / "m.png")
    assert masks.read_picture(tmp_path / "m.png", alpha=True).mask.tolist() == [[False, True]]


def test_files_that_are_no_whole_png_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(WsolbenchError, match=r"cut\.png: found a damaged picture"):
        masks.read_picture(tmp_path / "cut.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(WsolbenchError, match="not a PNG picture"):
        masks.read_picture(tmp_path / "text.png")
    with pytest.raises(WsolbenchError, match="no such file"):
        masks.read_picture(tmp_path / "none.png")
    with pytest.raises(WsolbenchError, match="found a folder"):
        masks.read_picture(tmp_path)


def test_polygons_and_plain_runs() -> None:
    square = masks.fill_polygon([1, 1, 4, 1, 4, 3, 1, 3], 5, 6)
    assert masks.tight_box(square) == (1, 1, 4, 3)
    assert square.sum() == 6
    painted = masks.paint_runs(np.array([2, 3, 1]), 3, 2)
    assert painted.tolist() == [[False, True], [False, True], [True, False]]
