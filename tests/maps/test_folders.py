"""Folders of maps become submissions that score what the maps do; faults are told at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.conftest import random_dataset, random_maps
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.submission.reader import Submission
from wsolbench.maps import folders
from wsolbench.maps.folders import import_edges, import_maps
from wsolbench.maps.map_files import read_map
from wsolbench.maps.normalisations import normalisation_named
from wsolbench.maps.windows import centre_crop

COUNT = 9


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return random_dataset(tmp_path / "random.h5", COUNT)


def imported(folder: Path, dataset: Dataset, *names: str, **options: Any) -> dict[str, Submission]:
    outs = {
        normalisation_named(name): folder.parent / f"{name.replace(':', '-')}.h5" for name in names
    }
    options = {"method": {"name": "folder"}, **options}
    assert import_maps(folder, dataset, outs, **options).maps == len(list(folder.iterdir()))
    return {own.name: Submission.open(path) for own, path in outs.items()}


def test_maps_score_as_they_would_from_memory(folder: Path, dataset: Dataset) -> None:
    read = imported(folder, dataset, "min-max", "max", "ivr:30")
    raw = [3.0 * map_ - 100 for map_ in random_maps(COUNT)]
    scores = []
    for name, submission in read.items():
        evaluator = Evaluator(dataset)
        evaluator.update(dataset.image_ids, [normalisation_named(name)(map_) for map_ in raw])
        found = evaluate(dataset, submission)
        assert found.scores == evaluator.result().scores
        assert found.method["parameters"] == {"normalisation": name}
        assert found.normalisation.startswith(name.partition(":")[0])
        scores.append((found.scores["peak_iou"], found.scores["ap"]))
    assert len(set(scores)) == 3


def test_several_at_once_are_each_alone(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    together = imported(folder, dataset, "min-max", "pas")
    hashes = {name: submission.sha256 for name, submission in together.items()}
    for name, found in hashes.items():
        assert imported(folder, dataset, name, overwrite=True)[name].sha256 == found


def test_8_bit_files_stay_as_they_are(dataset: Dataset, tmp_path: Path) -> None:
    place = tmp_path / "png"
    place.mkdir()
    maps = random_maps(COUNT)
    for number, (image_id, map_) in enumerate(zip(dataset.image_ids, maps, strict=True)):
        if number % 2:
            Image.fromarray(map_).save(place / f"{image_id}.png")
        else:
            np.save(place / f"{image_id}.npy", map_)
    submission = imported(place, dataset, "none")["none"]
    assert submission.dtype == np.uint8
    for found, map_ in zip(submission.read(range(COUNT)), maps, strict=True):
        assert (found == map_).all()
    rounded = imported(place, dataset, "min-max", dtype="uint8")["min-max"]
    assert rounded.dtype == np.uint8
    assert imported(place, dataset, "max", dtype="float16")["max"].dtype == np.float16


def test_16_bit_pictures(tmp_path: Path) -> None:
    values = np.array([[0, 1000, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_map(tmp_path / "a.png")[0].tolist() == pytest.approx([0, 1000 / 65535, 1])


def test_predicted_classes_come_from_a_table(folder: Path, dataset: Dataset) -> None:
    rows = [
        f"{image_id},{dataset.class_indices[place]},6,,,"
        if dataset.class_indices[place] != 6
        else f"{image_id},6,0,1,2,3"
        for place, image_id in enumerate(dataset.image_ids)
    ]
    table = folder.parent / "top.csv"
    table.write_text("\n".join(["image_id,top1,top2,top3,top4,top5", *rows]))
    submission = imported(folder, dataset, "min-max", top5=table)["min-max"]
    assert evaluate(dataset, submission).scores["top1_cls"] == 1
    table.write_text("\n".join(["image_id,top1", *[f"{name},1" for name in dataset.image_ids[1:]]]))
    with pytest.raises(WsolbenchError, match="no row for 1 images: image_000"):
        imported(folder, dataset, "min-max", top5=table, overwrite=True)


def break_object(path: Path) -> None:
    np.save(path, np.array([[{}]], object), allow_pickle=True)


def break_length(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def break_header(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\x01\x00" + path.read_bytes()[8:40])


@pytest.mark.parametrize("ruin", [break_object, break_length, break_header])
def test_damaged_files_are_one_line(folder: Path, dataset: Dataset, ruin: Any) -> None:
    ruin(folder / "image_004.npy")
    with pytest.raises(WsolbenchError, match=r"image_004.npy: not an array of numbers"):
        imported(folder, dataset, "min-max")
    assert not (folder.parent / "min-max.h5").exists()
    assert not (folder.parent / "min-max.h5.part").exists()


def test_huge_shapes_are_refused_before_they_are_made(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    text = (tmp_path / "a.npy").read_bytes().replace(b"(2, 2), }    ", b"(2000000, 2), }", 1)
    (tmp_path / "a.npy").write_bytes(text[: len((tmp_path / "a.npy").read_bytes())])
    with pytest.raises(WsolbenchError, match="not an array of numbers"):
        read_map(tmp_path / "a.npy")


def test_all_faults_of_a_folder_are_told_at_once(folder: Path, dataset: Dataset) -> None:
    np.save(folder / "image_001.npy", np.full((2, 2), np.nan))
    np.save(folder / "image_005.npy", np.zeros(4))
    with pytest.raises(WsolbenchError, match=r"2 unusable maps: image_001.npy \(.*image_005.npy"):
        imported(folder, dataset, "min-max")
    (folder / "image_001.npy").unlink()
    (folder / "image_005.npy").unlink()
    Image.new("RGB", (4, 4), (9, 0, 0)).save(folder / "image_001.png")
    with pytest.raises(WsolbenchError, match="a picture of mode RGB"):
        imported(folder, dataset, "min-max", allow_missing=True)


def test_no_map_is_written_over(folder: Path, dataset: Dataset) -> None:
    target = folder / "image_001.npy"
    before = target.read_bytes()
    with pytest.raises(WsolbenchError, match="another file of this command"):
        import_maps(folder, dataset, {normalisation_named("max"): target}, method={"name": "m"})
    assert target.read_bytes() == before


def test_values_out_of_range_name_the_cure(folder: Path, dataset: Dataset) -> None:
    with pytest.raises(WsolbenchError, match="choose a normalisation: min-max, max, pas or ivr"):
        imported(folder, dataset, "none")


def test_files_and_images_must_match(folder: Path, dataset: Dataset) -> None:
    (folder / "image_003.npy").rename(folder / "other.npy")
    message = r"1 files of no image .*\(other.npy\), and no map for 1 of the 9.*\(image_003\)"
    with pytest.raises(WsolbenchError, match=message):
        imported(folder, dataset, "max")
    (folder / "other.npy").unlink()
    with pytest.raises(WsolbenchError, match=r"no map for 1 of the 9 .*image_003.*allow"):
        imported(folder, dataset, "max")
    assert len(imported(folder, dataset, "max", allow_missing=True)["max"]) == COUNT - 1


def test_files_of_other_images_are_left_out_and_counted(folder: Path, dataset: Dataset) -> None:
    np.save(folder / "other.npy", np.zeros((2, 2)))
    outs = {normalisation_named("max"): folder.parent / "m.h5"}
    done = import_maps(folder, dataset, outs, method={"name": "m"})
    assert done.maps == COUNT
    assert done.notes == ("1 files of images outside random val were left out",)


@pytest.mark.parametrize("ending", [".jpg.npy", ".JPEG.png", ".npz", ".tif"])
@pytest.mark.parametrize("below", ["", "001.Bird", "a/b"])
def test_names_and_folders_of_other_programs(
    dataset: Dataset, tmp_path: Path, ending: str, below: str
) -> None:
    place = tmp_path / "maps" / below
    place.mkdir(parents=True)
    maps = random_maps(COUNT)
    for image_id, map_ in zip(dataset.image_ids, maps, strict=True):
        path = place / f"{image_id}{ending}"
        if ending == ".npz":
            np.savez_compressed(path, map=map_)
        elif ending.endswith(".npy"):
            np.save(path, map_[None])  # (1, h, w)
        else:
            Image.fromarray(map_).save(path)
    out = tmp_path / "m.h5"
    import_maps(
        tmp_path / "maps", dataset, {normalisation_named("none"): out}, method={"name": "m"}
    )
    read = Submission.open(out).read(range(COUNT))
    assert all(np.array_equal(*pair) for pair in zip(read, maps, strict=True))


def test_jpeg_is_read_and_said_to_be_lossy(dataset: Dataset, tmp_path: Path) -> None:
    place = tmp_path / "maps"
    place.mkdir()
    for image_id in dataset.image_ids:
        Image.new("L", (8, 8), 77).save(place / f"{image_id}.jpg", quality=95)
    out = tmp_path / "m.h5"
    outs = {normalisation_named("none"): out}
    done = import_maps(place, dataset, outs, method={"name": "m"})
    assert done.notes == ("9 of 9 maps are JPEG files, which change their values",)
    submission = Submission.open(out)
    assert "from JPEG files, which are lossy" in submission.header.normalisation
    assert submission.dtype == np.uint8
    assert {int(level) for map_ in submission.read(range(COUNT)) for level in map_.flat} == {77}


@pytest.mark.parametrize("first_is_8_bit", [True, False])
def test_files_of_two_kinds_lose_nothing(
    dataset: Dataset, tmp_path: Path, first_is_8_bit: bool
) -> None:
    """The type is not that of the first file."""
    place = tmp_path / "maps"
    place.mkdir()
    rng = np.random.default_rng(1)
    maps: list[np.ndarray] = []
    for number, image_id in enumerate(dataset.image_ids):
        if (number == 0) == first_is_8_bit:
            maps.append(rng.integers(0, 256, (7, 7), np.uint8))
            Image.fromarray(maps[-1]).save(place / f"{image_id}.png")
        else:
            maps.append((rng.random((7, 7)) * 0.01).astype(np.float32))
            np.save(place / f"{image_id}.npy", maps[-1])
    out = tmp_path / "m.h5"
    done = import_maps(place, dataset, {normalisation_named("none"): out}, method={"name": "m"})
    count = 1 if first_is_8_bit else 8
    assert done.notes[0] == (
        f"maps of several kinds: {count} 8-bit maps mean value / 255, {9 - count} float maps mean "
        "their values (--scale states another)"
    )
    read = Submission.open(out).read(range(COUNT))
    for found, map_ in zip(read, maps, strict=True):
        expected = map_ if map_.dtype == np.float32 else map_ / np.float32(255)
        assert np.array_equal(found, expected)
    evaluator = Evaluator(dataset)
    evaluator.update(dataset.image_ids, maps)
    assert evaluate(dataset, out).scores == evaluator.result().scores


def test_8_bit_maps_of_zeros_and_ones_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    place = tmp_path / "maps"
    place.mkdir()
    for image_id in dataset.image_ids:
        np.save(place / f"{image_id}.npy", np.eye(4, dtype=np.uint8))
    with pytest.raises(WsolbenchError, match=r"levels 0 and 1 alone.*--normalise max"):
        imported(place, dataset, "none")
    submission = imported(place, dataset, "max")["max"]
    assert np.array_equal(submission.read([0])[0], np.eye(4))


def test_16_bit_pictures_of_8_bit_levels_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    place = tmp_path / "maps"
    place.mkdir()
    for image_id in dataset.image_ids:
        Image.fromarray(np.array([[0, 255]], np.uint16)).save(place / f"{image_id}.png")
    with pytest.raises(
        WsolbenchError, match=r"9 of 9 16-bit maps with levels up to 255 alone.*--norm"
    ):
        imported(place, dataset, "none")
    assert imported(place, dataset, "max")["max"].read([0])[0].tolist() == [[0, 1]]


def arrays(tmp_path: Path, dataset: Dataset, *maps: np.ndarray) -> Path:
    """A folder of .npy files: the given maps for the first images, the last for the others."""
    place = tmp_path / "maps"
    place.mkdir()
    for number, image_id in enumerate(dataset.image_ids):
        np.save(place / f"{image_id}.npy", maps[min(number, len(maps) - 1)])
    return place


def test_the_scale_is_that_of_all_files(dataset: Dataset, tmp_path: Path) -> None:
    dark, light = np.uint8([[0, 1]]), np.uint8([[0, 255]])
    place = arrays(tmp_path, dataset, dark, light)
    with pytest.raises(
        WsolbenchError,
        match=r"1 of 9 8-bit maps with levels 0 and 1 alone and of the others up to 255: "
        r"image_000.npy; .*--scale 1, 255 or 65535",
    ):
        imported(place, dataset, "none")
    with pytest.raises(WsolbenchError, match=r"8 of 9 maps with values above 1: image_001.npy up "):
        imported(place, dataset, "none", scale="1")
    stated = imported(place, dataset, "none", scale="255")["none"]
    assert [map_.tolist() for map_ in stated.read([0, 1])] == [[[0, 1]], [[0, 255]]]
    assert stated.dtype == np.uint8
    assert "divided by 255" in stated.header.normalisation
    with pytest.raises(WsolbenchError, match=r"'255', but every map is normalised"):
        imported(place, dataset, "max", scale="255")


def test_zeros_and_ones_may_be_stated(dataset: Dataset, tmp_path: Path) -> None:
    place = arrays(tmp_path, dataset, np.uint8([[0, 1]]), np.array([[True, False]]))
    read = imported(place, dataset, "none", scale="1")["none"].read([0, 1])
    assert [map_.tolist() for map_ in read] == [[[0, 1]], [[1, 0]]]


def test_floats_up_to_255_need_their_scale_stated(dataset: Dataset, tmp_path: Path) -> None:
    place = arrays(tmp_path, dataset, np.float32([[0, 0.5]]), np.array([[0, 51, 255]]))
    with pytest.raises(WsolbenchError, match=r"8 of 9 maps of floats or wide integers .*up to 255"):
        imported(place, dataset, "none")
    read = imported(place, dataset, "none", scale="255")["none"].read([0, 1])
    assert read[0].tolist() == [[0, pytest.approx(0.5 / 255)]]
    assert read[1].tolist() == [[0, pytest.approx(0.2), 1]]


def test_one_dark_map_of_16_bits_needs_its_scale_stated(dataset: Dataset, tmp_path: Path) -> None:
    place = arrays(tmp_path, dataset, np.float32([[0, 1]]))
    for number, level in enumerate((200, 65535)):
        (place / f"image_00{number}.npy").unlink()
        picture = Image.fromarray(np.array([[0, level]], np.uint16))
        picture.save(place / f"image_00{number}.png")
    with pytest.raises(WsolbenchError, match=r"1 of 2 16-bit maps .*others up to 65535: image_000"):
        imported(place, dataset, "none")
    (place / "image_001.png").unlink()
    read = imported(place, dataset, "none", scale="255", allow_missing=True)["none"].read([0])
    assert read[0].tolist() == [[0, pytest.approx(200 / 255)]]


def test_maps_that_are_all_nearly_black_are_noted(dataset: Dataset, tmp_path: Path) -> None:
    place = arrays(tmp_path, dataset, np.float32([[0, 0.0039]]))
    outs = {normalisation_named("none"): tmp_path / "m.h5"}
    done = import_maps(place, dataset, outs, method={"name": "m"})
    assert done.notes == (
        "no value of 9 float maps is above 0.0039, where 1 is possible; if they were scaled "
        "twice, choose --normalise or --scale",
    )


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_a_map_with_an_exif_orientation_is_refused(tmp_path: Path, ending: str) -> None:
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = picture.getexif()
    for orientation in (1, 6):
        exif[0x0112] = orientation
        picture.save(tmp_path / f"a.{ending}", exif=exif)
        if orientation == 1:
            assert read_map(tmp_path / f"a.{ending}").shape == (2, 3)
    with pytest.raises(WsolbenchError, match=r"EXIF orientation 6, .*without the EXIF data"):
        read_map(tmp_path / f"a.{ending}")


def test_rounding_errors_are_cut_on_request(dataset: Dataset, tmp_path: Path) -> None:
    place = tmp_path / "maps"
    place.mkdir()
    for number, image_id in enumerate(dataset.image_ids):
        high = np.nextafter(np.float32(1), np.float32(2)) if number < 2 else np.float32(1)
        np.save(place / f"{image_id}.npy", np.float32([[0, high]]))
    outs = {normalisation_named("none"): tmp_path / "m.h5"}
    given: dict[str, Any] = {"method": {"name": "m"}}
    with pytest.raises(WsolbenchError, match=r"up to 1\.0000001192092896.* --clip"):
        import_maps(place, dataset, outs, **given)
    done = import_maps(place, dataset, outs, clip=True, **given)
    assert done.notes == ("2 maps were cut to [0, 1], which they left by 1e-3 at most",)
    assert max(map_.max() for map_ in Submission.open(tmp_path / "m.h5").read(range(COUNT))) == 1
    np.save(place / f"{dataset.image_ids[0]}.npy", np.float32([[0, 1.1]]))
    with pytest.raises(WsolbenchError, match="choose a normalisation"):
        import_maps(place, dataset, outs, clip=True, **given)


def test_two_files_of_an_image_are_refused(folder: Path, dataset: Dataset) -> None:
    Image.new("L", (4, 4)).save(folder / "image_001.png")
    with pytest.raises(WsolbenchError, match="several files for 1 image: image_001"):
        imported(folder, dataset, "max")


def test_an_import_is_resumed(
    folder: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = imported(folder, dataset, "max")["max"].sha256
    monkeypatch.setattr(folders, "_BATCH", 2)
    outs = {normalisation_named("max"): tmp_path / "again.h5"}

    def stop(done: int, _: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_maps(folder, dataset, outs, method={"name": "folder"}, progress=stop)
    with pytest.raises(WsolbenchError, match="--resume"):
        import_maps(folder, dataset, outs, method={"name": "folder"})
    seen: list[int] = []
    import_maps(
        folder,
        dataset,
        outs,
        method={"name": "folder"},
        resume=True,
        progress=lambda done, _: seen.append(done),
    )
    assert seen == [6, 8, 9]
    assert Submission.open(tmp_path / "again.h5").sha256 == whole


@pytest.mark.parametrize("changed", ["maps", "top5", "annotations"])
def test_a_run_is_resumed_only_with_the_same_inputs(
    folder: Path, dataset: Dataset, tmp_path: Path, changed: str
) -> None:
    top = tmp_path / "top.csv"
    top.write_text("\n".join(["image_id,top1", *[f"{name},1" for name in dataset.image_ids]]))
    outs = {normalisation_named("max"): tmp_path / "again.h5"}
    given: dict[str, Any] = {"method": {"name": "folder"}, "top5": top}

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_maps(folder, dataset, outs, progress=stop, **given)
    if changed == "maps":
        np.save(folder / "image_008.npy", np.zeros((3, 3)))
    elif changed == "top5":
        top.write_text(top.read_text().replace(",1", ",2"))
    else:
        dataset = random_dataset(tmp_path / "random.h5", COUNT, seed=9)
    with pytest.raises(
        WsolbenchError, match=rf"unfinished run with inputs\.{changed}.*--overwrite"
    ):
        import_maps(folder, dataset, outs, resume=True, **given)


def test_pictures_of_other_kinds(tmp_path: Path) -> None:
    levels = np.array([[0, 7, 255]], np.uint8)
    opaque, half = np.full((1, 3), 255, np.uint8), np.full((1, 3), 9, np.uint8)
    for name, picture in {
        "rgb.png": Image.fromarray(np.stack([levels] * 3, axis=2)),
        "rgba.png": Image.fromarray(np.stack([levels] * 3 + [opaque], axis=2)),
        "palette.png": Image.fromarray(levels).convert("P"),
    }.items():
        picture.save(tmp_path / name)
        assert read_map(tmp_path / name).tolist() == levels.tolist()
    Image.fromarray(levels > 7).save(tmp_path / "bit.png")
    assert read_map(tmp_path / "bit.png").tolist() == [[0, 0, 255]]
    Image.fromarray(np.float32([[0.25, 1]])).save(tmp_path / "float.tif")
    assert read_map(tmp_path / "float.tif").tolist() == [[0.25, 1]]
    Image.fromarray(np.stack([levels] * 3 + [half], axis=2)).save(tmp_path / "thin.png")
    with pytest.raises(WsolbenchError, match="mode RGBA with colours or transparency"):
        read_map(tmp_path / "thin.png")
    pages = [Image.fromarray(levels)] * 2
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(WsolbenchError, match="found 2 pages, expected one"):
        read_map(tmp_path / "pages.tif")
    np.savez(tmp_path / "two.npz", a=levels, b=levels)
    with pytest.raises(WsolbenchError, match=r"2 arrays \(a, b\), expected one"):
        read_map(tmp_path / "two.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(WsolbenchError, match="not an array of numbers"):
        read_map(tmp_path / "bad.npz")


def command(*arguments: object) -> Mapping[str, Any]:
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    return {"status": done.exit_code, "out": done.output, "error": done.exception}


def test_one_command_makes_a_submission(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    given = ["--annotations", dataset.store.path, "--name", "mine", "--backbone", "net", "--quiet"]
    done = command("import-maps", folder, *given, "--normalise", "max", "--out", tmp_path / "m.h5")
    assert done["out"] == f"{tmp_path / 'm.h5'}: 9 maps of random val\n"
    method = Submission.open(tmp_path / "m.h5").header.method
    assert (method["name"], method["backbone"]) == ("mine", "net")
    done = command(
        *("import-maps", folder, *given, "--normalise", "min-max,ivr:30"),
        *("--out", tmp_path / "n.h5"),
    )
    assert done["status"] == 0
    assert sorted(path.name for path in tmp_path.glob("n.*")) == ["n.ivr-30.h5", "n.min-max.h5"]
    done = command("import-maps", folder, *given, "--out", tmp_path / "x.h5")
    assert isinstance(done["error"], WsolbenchError)
    assert not (tmp_path / "x.h5").exists()


def test_the_command_states_the_scale(dataset: Dataset, tmp_path: Path) -> None:
    place = arrays(tmp_path, dataset, np.uint8([[0, 1]]), np.uint8([[0, 255]]))
    ask = ("import-maps", place, "--annotations", dataset.store.path, "--out", tmp_path / "m.h5")
    assert "1 of 9 8-bit maps with levels 0 and 1 alone" in str(command(*ask)["error"])
    assert command(*ask, "--scale", "255", "--quiet")["status"] == 0
    assert Submission.open(tmp_path / "m.h5").read([0])[0].tolist() == [[0, 1]]
    assert "--scale" in str(command(*ask, "--scale", "255", "--normalise", "max")["error"])


def test_maps_of_a_crop_are_placed_in_it(folder: Path, dataset: Dataset) -> None:
    crop = centre_crop(256, 224)
    method = {"name": "folder", "parameters": {"seeds": 4}}
    read = imported(folder, dataset, "min-max", "max", window=crop, method=method)
    windows = [crop(dataset[name].height, dataset[name].width) for name in dataset.image_ids]
    for name, submission in read.items():
        maps = [normalisation_named(name)(3.0 * map_ - 100) for map_ in random_maps(COUNT)]
        evaluator = Evaluator(dataset)
        evaluator.update(dataset.image_ids, maps, windows=np.array(windows))
        found = evaluate(dataset, submission)
        assert found.scores == evaluator.result().scores
        assert found.counts["windowed"] == COUNT
        assert found.method["parameters"] == {
            "normalisation": name,
            "seeds": 4,
            "window": "centre crop 256/224",
        }


def test_the_command_takes_the_crop(folder: Path, dataset: Dataset) -> None:
    out = folder.parent / "s.h5"
    command = ["import-maps", str(folder), "--annotations", str(dataset.store.path)]
    command += ["--normalise", "min-max", "--out", str(out), "--centre-crop"]
    done = CliRunner().invoke(cli, [*command, "256x256/224"])
    assert done.exit_code == 0, done.output
    windows = Submission.open(out).windows
    assert windows is not None
    sample = dataset[dataset.image_ids[3]]
    expected = np.array([1, 1, 15, 15]) * ([sample.width / 16, sample.height / 16] * 2)
    assert windows[3] == pytest.approx(expected)
    wrong = CliRunner().invoke(cli, [*command, "224"])
    assert "found '224', expected RESIZE/CROP; write 256/224" in str(wrong.exception)


def test_inverted_edges_give_a_note(tmp_path: Path, dataset: Dataset) -> None:
    place = tmp_path / "edges"
    place.mkdir()
    for name in dataset.image_ids:
        lines = np.full((30, 40), 255, np.uint8)
        lines[10] = 0
        Image.fromarray(lines).save(place / f"{name}.png")
    notes = import_edges(place, dataset, tmp_path / "e.h5", method={"name": "e"}).notes
    expected = f"{COUNT} of {COUNT} edge maps call most of their pixels a boundary"
    assert [note.startswith(expected) for note in notes] == [True]
    for file in place.iterdir():
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    assert import_edges(place, dataset, tmp_path / "f.h5", method={"name": "e"}).notes == ()
