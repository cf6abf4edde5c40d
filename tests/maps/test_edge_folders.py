"""Folders of edge maps become submissions, alone or beside maps; faults are told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import random_dataset
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.validate import validate
from wsolbench.maps import folders
from wsolbench.maps.folders import import_edges, import_maps
from wsolbench.maps.normalisations import normalisation_named
from wsolbench.maps.windows import centre_crop

COUNT = 5
METHOD = {"name": "HED"}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return random_dataset(tmp_path / "random.h5", COUNT)


def levels() -> list[NDArray[np.uint8]]:
    """8-bit edges of several sizes."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (30 + place, 40)).astype(np.uint8) for place in range(COUNT)]


@pytest.fixture
def pictures(tmp_path: Path, dataset: Dataset) -> Path:
    """Edges as PNG files of 8 bits."""
    place = tmp_path / "hed"
    place.mkdir()
    for image_id, edges in zip(dataset.image_ids, levels(), strict=True):
        Image.fromarray(edges).save(place / f"{image_id}.png")
    return place


def test_8_bit_pictures_are_kept_to_the_level(
    pictures: Path, dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "hed.h5"
    assert import_edges(pictures, dataset, out, method=METHOD) == folders.Imported(COUNT)
    assert validate(out, dataset.store) == []
    read = Submission.open(out)
    assert read.shapes is None
    assert read.edge_dtype == np.uint8
    assert read.header.normalisation == (
        "none: values as they came; stored as round(255 * value) in uint8"
    )
    assert read.image_ids == dataset.image_ids
    for found, expected in zip(read.read_edges(range(COUNT)), levels(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("ending", "scale"), [(".npy", None), (".tif", None), (".png", "65535")])
def test_other_files_hold_the_same_probabilities(
    ending: str, scale: str | None, dataset: Dataset, tmp_path: Path
) -> None:
    place, out = tmp_path / "edges", tmp_path / "e.h5"
    place.mkdir()
    for image_id, edges in zip(dataset.image_ids, levels(), strict=True):
        if ending == ".npy":
            np.save(place / f"{image_id}.npy", (edges / 255).astype(np.float32))
        elif ending == ".tif":
            Image.fromarray((edges / 255).astype(np.float32)).save(place / f"{image_id}.tif")
        else:
            Image.fromarray(257 * edges.astype(np.uint16)).save(place / f"{image_id}.png")
    import_edges(place, dataset, out, method=METHOD, scale=scale)
    read = Submission.open(out)
    assert read.edge_dtype == np.float32
    for found, expected in zip(read.read_edges(range(COUNT)), levels(), strict=True):
        np.testing.assert_allclose(found, expected / 255, rtol=0, atol=1e-7)


def test_edges_stand_beside_normalised_maps(
    pictures: Path, folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    outs = {normalisation_named(name): tmp_path / f"{name}.h5" for name in ("min-max", "max")}
    import_maps(folder, dataset, outs, method=METHOD)
    alone = {own: Submission.open(out).read(range(COUNT)) for own, out in outs.items()}
    found = import_maps(folder, dataset, outs, method=METHOD, edges=pictures)
    assert found == folders.Imported(COUNT)
    for own, out in outs.items():
        assert validate(out, dataset.store) == []
        read = Submission.open(out)
        for after, before in zip(read.read(range(COUNT)), alone[own], strict=True):
            np.testing.assert_array_equal(after, before)
        for edges, expected in zip(read.read_edges(range(COUNT)), levels(), strict=True):
            np.testing.assert_array_equal(edges, expected)
        assert read.header.normalisation == (
            f"{own.words}; stored as float32; edges: none: values as they came; stored as "
            "round(255 * value) in uint8"
        )


def test_an_import_of_edges_is_resumed(
    pictures: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_edges(pictures, dataset, tmp_path / "whole.h5", method=METHOD)
    monkeypatch.setattr(folders, "_BATCH", 2)
    again = tmp_path / "again.h5"

    def stop(done: int, _: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_edges(pictures, dataset, again, method=METHOD, progress=stop)
    with pytest.raises(WsolbenchError, match="--resume"):
        import_edges(pictures, dataset, again, method=METHOD)
    seen: list[int] = []
    import_edges(
        pictures,
        dataset,
        again,
        method=METHOD,
        resume=True,
        progress=lambda done, _: seen.append(done),
    )
    assert seen == [5]
    assert again.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_run_is_resumed_only_with_the_same_edges(
    pictures: Path, folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    outs = {normalisation_named("max"): tmp_path / "m.h5"}

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_maps(folder, dataset, outs, method=METHOD, edges=pictures, progress=stop)
    image_id = dataset.image_ids[0]
    Image.fromarray(np.full((3, 3), 9, np.uint8)).save(pictures / f"{image_id}.png")
    with pytest.raises(WsolbenchError, match=r"an unfinished run with inputs\.edges"):
        import_maps(folder, dataset, outs, method=METHOD, edges=pictures, resume=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.linspace(-4, 7, 12).reshape(3, 4), "save what the sigmoid gives, not logits"),
        (np.full((3, 4), 1 + 1e-6), r"cut the rounding error off \(--clip\)"),
        (np.full((3, 4), np.nan), "12 of 12 values NaN or infinite"),
        (np.ones((3, 4), np.int64), "found values of int64, expected probabilities: floats"),
        (np.ones((3, 4), np.bool_), "found values of bool, expected probabilities: floats"),
        (np.zeros((3, 4, 3)), r"found shape \(3, 4, 3\)"),
    ],
)
def test_values_that_are_no_probabilities_are_refused(
    values: NDArray[Any], message: str, dataset: Dataset, tmp_path: Path
) -> None:
    place = tmp_path / "edges"
    place.mkdir()
    for image_id in dataset.image_ids:
        np.save(place / f"{image_id}.npy", np.full((3, 4), 0.5))
    broken = place / f"{dataset.image_ids[2]}.npy"
    np.save(broken, values)
    with pytest.raises(WsolbenchError, match=message) as caught:
        import_edges(place, dataset, tmp_path / "e.h5", method=METHOD)
    assert caught.value.where == str(broken)
    assert "\n" not in str(caught.value)
    assert "normalise" not in str(caught.value)  # edges never are
    assert not (tmp_path / "e.h5").exists()


def test_rounding_errors_are_cut_on_request(dataset: Dataset, tmp_path: Path) -> None:
    place, out = tmp_path / "edges", tmp_path / "e.h5"
    place.mkdir()
    for image_id in dataset.image_ids:
        edges = np.zeros((3, 4), np.float32)
        edges[1] = 1.0001
        np.save(place / f"{image_id}.npy", edges)
    found = import_edges(place, dataset, out, method=METHOD, clip=True)
    assert found.notes == (
        f"{COUNT} edge maps were cut to [0, 1], which they left by 1e-3 at most",
    )
    read = Submission.open(out).read_edges(range(COUNT))
    assert all((edges[1] == 1).all() and not edges[0].any() for edges in read)


def test_damaged_files_are_named_together(pictures: Path, dataset: Dataset, tmp_path: Path) -> None:
    for image_id in dataset.image_ids[:2]:
        file = pictures / f"{image_id}.png"
        file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(WsolbenchError, match="found 2 unusable edge maps: ") as caught:
        import_edges(pictures, dataset, tmp_path / "e.h5", method=METHOD)
    assert f"{dataset.image_ids[0]}.png" in str(caught.value)


def test_files_of_other_images_are_counted_for_each_folder(
    pictures: Path, folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    np.save(folder / "stranger.npy", np.zeros((3, 3)))
    for name in ("one", "two"):
        Image.fromarray(np.zeros((3, 3), np.uint8)).save(pictures / f"{name}.png")
    outs = {normalisation_named("max"): tmp_path / "m.h5"}
    assert import_maps(folder, dataset, outs, method=METHOD, edges=pictures).notes == (
        "1 files of images outside random val were left out",
        "2 edge map files of images outside random val were left out",
    )


def test_files_and_images_must_match(
    pictures: Path, folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    outs = {normalisation_named("max"): tmp_path / "m.h5"}
    (pictures / f"{dataset.image_ids[1]}.png").unlink()
    gap = f"found no edge map for 1 of the {COUNT} images of random val: {dataset.image_ids[1]}"
    with pytest.raises(WsolbenchError, match=f"{gap}, expected an edge map for every image"):
        import_edges(pictures, dataset, tmp_path / "e.h5", method=METHOD)
    found = import_edges(pictures, dataset, tmp_path / "e.h5", method=METHOD, allow_missing=True)
    assert found.maps == COUNT - 1
    one = f"found no edge map for 1 images with maps: {dataset.image_ids[1]}"
    with pytest.raises(WsolbenchError, match=one):
        import_maps(folder, dataset, outs, method=METHOD, edges=pictures, allow_missing=True)
    (folder / f"{dataset.image_ids[1]}.npy").unlink()
    both = import_maps(folder, dataset, outs, method=METHOD, edges=pictures, allow_missing=True)
    assert both.maps == COUNT - 1
    (folder / f"{dataset.image_ids[2]}.npy").unlink()
    other = f"found no map for 1 images with edge maps: {dataset.image_ids[2]}"
    with pytest.raises(WsolbenchError, match=other):
        import_maps(folder, dataset, outs, method=METHOD, edges=pictures, allow_missing=True)


def test_an_unclear_scale_is_stated_or_saved_otherwise(
    folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    place = tmp_path / "edges"
    place.mkdir()
    for image_id in dataset.image_ids:
        Image.fromarray(np.eye(4, dtype=np.uint8)).save(place / f"{image_id}.png")
    with pytest.raises(WsolbenchError, match=r"8-bit edge maps with levels 0 and 1.*--scale 1"):
        import_edges(place, dataset, tmp_path / "e.h5", method=METHOD)
    import_edges(place, dataset, tmp_path / "e.h5", method=METHOD, scale="1")
    for edges in Submission.open(tmp_path / "e.h5").read_edges(range(COUNT)):
        np.testing.assert_array_equal(edges, np.eye(4))
    outs = {normalisation_named("max"): tmp_path / "m.h5"}
    with pytest.raises(WsolbenchError, match="save floats from 0 to 1") as caught:
        import_maps(folder, dataset, outs, method=METHOD, edges=place)
    assert "--scale" not in str(caught.value)  # that of import-maps is of the maps


def test_edges_have_no_window(
    pictures: Path, folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    outs = {normalisation_named("max"): tmp_path / "m.h5"}
    crop = centre_crop(256, 224)
    with pytest.raises(WsolbenchError, match=r"maps of a crop \(--centre-crop\) together with"):
        import_maps(folder, dataset, outs, method=METHOD, edges=pictures, window=crop)


def test_no_edge_map_is_written_over(pictures: Path, folder: Path, dataset: Dataset) -> None:
    file = pictures / f"{dataset.image_ids[0]}.png"
    before = file.read_bytes()
    outs = {normalisation_named("max"): file}
    same = "another file of this command has the same name"
    with pytest.raises(WsolbenchError, match=same):
        import_edges(pictures, dataset, file, method=METHOD)
    with pytest.raises(WsolbenchError, match=same):
        import_maps(folder, dataset, outs, method=METHOD, edges=pictures)
    assert file.read_bytes() == before


def test_the_commands(pictures: Path, folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    given = ["--annotations", str(dataset.store.path), "--quiet", "--out"]
    alone = CliRunner().invoke(cli, ["import-edges", str(pictures), *given, f"{tmp_path}/e.h5"])
    assert alone.exit_code == 0, alone.output
    assert alone.output == f"{tmp_path}/e.h5: edges of {COUNT} images of random val\n"
    assert Submission.open(tmp_path / "e.h5").header.method["name"] == "hed"
    named = ["--edges", str(pictures), "--normalise", "max", *given, f"{tmp_path}/m.h5"]
    both = CliRunner().invoke(cli, ["import-maps", str(folder), *named])
    assert both.exit_code == 0, both.output
    assert both.output == f"{tmp_path}/m.h5: {COUNT} maps and edges of random val\n"
    crop = CliRunner().invoke(cli, ["import-edges", str(pictures), "--centre-crop", "256/224"])
    assert crop.exit_code == 2
    assert "--centre-crop" in crop.output
