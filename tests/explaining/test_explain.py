"""`explain` on a few drawn photos: its files, its page, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from wsolbench.baselines.trivial import predict_trivial
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.data.export import export_coco
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.explaining.pictures import COLOURS, WIDTH, data_uri, thumbnail, with_map
from wsolbench.explaining.truth import labelled, read_names, read_truth
from wsolbench.formats.annotations import UNLABELLED, AnnotationStore, write_store
from wsolbench.formats.result import read_result
from wsolbench.formats.submission.reader import Submission
from wsolbench.mini.scenes import write_benchmark

torch = pytest.importorskip("torch", reason="maps are predicted")

COUNT = 5
MODEL = ("--model", "wsolbench.mini.classifier:load", "--size", "32", "--device", "cpu")
METHODS = ("cam", "sem", "position-score", "tests.explaining.test_explain:middle")


def middle(network: Any, images: Any, classes: Any) -> Any:
    """An explainer of one's own: always the middle."""
    maps = np.zeros((len(images), 4, 4), np.float32)
    maps[:, 1:3, 1:3] = 1
    return maps


def nothing(network: Any, images: Any, classes: Any) -> Any:
    """An explainer whose maps are no numbers."""
    return np.full((len(images), 4, 4), np.nan, np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos of bright squares and their masks, and a photo without a mask."""
    rng = np.random.default_rng(0)
    for part in ("photos", "masks"):
        (tmp_path / part).mkdir()
    for place in range(COUNT + 1):
        photo = rng.integers(0, 90, (40, 48 + place, 3), dtype=np.uint8)
        mask = np.zeros(photo.shape[:2], np.uint8)
        mask[8:30, 10 + place : 30] = 255
        photo[mask > 0] += 120
        Image.fromarray(photo).save(tmp_path / "photos" / f"p{place}.png")
        if place < COUNT:
            Image.fromarray(mask).save(tmp_path / "masks" / f"p{place}.png")
    return tmp_path


def run(folder: Path, *options: object, masks: str = "masks", out: str = "out") -> Result:
    arguments = ["explain", "--images", folder / "photos", "--masks", folder / masks, *MODEL]
    arguments += ["--bootstrap", 100, "--quiet", *options, "--out", folder / out]
    return CliRunner().invoke(cli, [str(own) for own in arguments])


def test_every_file_of_a_run(folder: Path) -> None:
    done = run(folder, "--methods", ",".join(METHODS))
    assert done.exit_code == 0, done.output
    out = folder / "out"
    files = {str(own.relative_to(out)) for own in out.rglob("*") if own.is_file()}
    names = ["cam", "sem", "position-score", "tests.explaining.test_explain-middle"]
    assert files == {
        *("annotations.h5", "comparison.json", "scores.csv", "images.csv", "index.html"),
        *(f"maps/{name}.h5" for name in names),
        *(f"results/{name}.json" for name in names),
        *(f"results/{name}.counts.npz" for name in names),
    }
    assert "SEM beside CAM: ahead in" in done.output
    assert "5 photos: intervals are too narrow" in done.output

    # The scores are those of the maps, in every file.
    dataset = Dataset.open(out / "annotations.h5", "val")
    assert dataset.image_ids == [f"p{place}" for place in range(COUNT)]
    with open(out / "scores.csv", newline="") as file:
        rows = {row["score"]: row for row in csv.DictReader(file)}
    for method, name in zip(METHODS, names, strict=True):
        scored = evaluate(dataset, out / "maps" / f"{name}.h5", metrics=["pixel", "box", "explain"])
        assert scored.scores == read_result(out / "results" / f"{name}.json").scores
        for key in ("peak_iou", "pointing_game", "relevance_mass"):
            assert float(rows[key][method]) == scored.scores[key]
            assert float(rows[key][f"{method} low"]) <= scored.scores[key]
    comparison = json.loads((out / "comparison.json").read_text())
    assert comparison["scores"]["peak_iou"][1] == float(rows["peak_iou"]["sem"])
    with open(out / "images.csv", newline="") as file:
        images = list(csv.DictReader(file))
    assert len(images) == COUNT * len(METHODS)
    hits = [float(row["pointing_game"]) for row in images if row["method"] == "cam"]
    assert np.mean(hits) == pytest.approx(float(rows["pointing_game"]["cam"]))

    # The page holds everything, and says what the terminal says.
    page = (out / "index.html").read_text()
    lines = done.output.splitlines()
    (rests,) = (line for line in lines if line.startswith("wsolbench:"))
    assert "|protocol:sem" in rests
    assert "|images:5 shared by all|" in rests
    (network,) = (line for line in lines if line.startswith("network:"))
    assert re.fullmatch(r"network:mini\|weights:classifier\.npz [0-9a-f]{8}\|size:32", network)
    (sentence,) = (line for line in lines if "Pointing game: " in line and line.endswith("."))
    for line in (rests, network, sentence):
        assert escape(line) in page
    chance = read_result(out / "results" / "sem.json").scores["auc_iou_chance"]
    assert f"<small>chance {100 * chance:.1f}</small>" in page
    assert page.count("<img ") == COUNT * (1 + len(METHODS))
    assert page.count('src="data:image/jpeg;base64,') == page.count("src=")
    assert not re.search("https?://|<script", page)
    assert page.count("<figcaption><b>p3</b>") == 1
    assert f"<td>{100 * float(rows['peak_iou']['sem']):.1f}<small>" in page.replace(
        ' class="best"', ""
    )
    with Submission.open(out / "maps" / "cam.h5") as written:
        assert written.header.label == "predicted"
        assert written.top5 is not None
        assert f"the network sees class {written.top5[0, 0]}</figcaption>" in page


def test_baselines_that_see_no_photo_stand_beside_methods(folder: Path) -> None:
    blind, wanted = "trivial:centre-gaussian", "trivial-centre-gaussian"
    done = run(folder, "--methods", f"{blind},cam,sem")
    assert done.exit_code == 0, done.output
    assert run(folder, "--methods", "cam,sem", out="alone").exit_code == 0
    for name in ("cam", "sem"):
        whole, own = (
            read_result(folder / out / f"results/{name}.json") for out in ("out", "alone")
        )
        assert whole.scores == own.scores
    store, maps = folder / "out/annotations.h5", folder / "expected.h5"
    predict_trivial(Dataset.open(store), maps, "centre-gaussian", label="predicted")
    assert (folder / f"out/maps/{wanted}.h5").read_bytes() == maps.read_bytes()
    assert read_result(folder / f"out/results/{wanted}.json").label == "predicted"
    compared = json.loads((folder / "out/comparison.json").read_text())
    assert "Centre Gaussian" in compared["names"][0]
    pages = [(folder / out / "index.html").read_text() for out in ("out", "alone")]
    assert [page.count("<title>Where mini looks</title>") for page in pages] == [1, 1]
    assert [page.count("; the network sees class") for page in pages] == [COUNT, COUNT]
    assert ["add trivial:centre-gaussian" in page for page in pages] == [False, True]
    assert "network:mini|weights:classifier.npz" in done.stdout

    before = (folder / f"out/maps/{wanted}.h5").read_bytes()
    again = run(folder, "--methods", f"cam,{blind}", "--overwrite")
    assert again.exit_code == 0, again.output
    assert (folder / f"out/maps/{wanted}.h5").read_bytes() == before
    assert not (folder / "out/maps/sem.h5").exists()


def test_the_page_names_what_the_network_sees(folder: Path) -> None:
    names = [f"<{place}> & co" for place in range(8)]
    (folder / "names.txt").write_text("\n".join(names) + "\n")
    done = run(folder, "--methods", "cam", "--class-names", folder / "names.txt")
    assert done.exit_code == 0, done.output
    seen = Submission.open(folder / "out/maps/cam.h5").top5[:, 0]
    page = (folder / "out/index.html").read_text()
    for output in seen:
        assert f"the network sees class {output} ({escape(names[output])})</figcaption>" in page
    for lines, found in ((names[:7], "7 names"), ([*names, "more"], "9 names")):
        (folder / "names.txt").write_text("\n".join(lines))
        with pytest.raises(WsolbenchError, match=f"found {found}, expected one for each of .* 8 "):
            read_names(folder / "names.txt", 8)
    (folder / "names.txt").write_text("\n".join([*names[:3], "", *names[3:]]))
    with pytest.raises(WsolbenchError, match="found 8 names on 9 lines"):
        read_names(folder / "names.txt", 8)


def test_masks_of_other_kinds_give_the_same(folder: Path) -> None:
    assert run(folder, "--methods", "cam").exit_code == 0
    first = read_result(folder / "out" / "results" / "cam.json").scores
    export_coco(AnnotationStore.open(folder / "out" / "annotations.h5"), folder / "coco.json")
    for masks in ("coco.json", "out/annotations.h5"):
        done = run(folder, "--methods", "cam", "--overwrite", masks=masks, out="other")
        assert done.exit_code == 0, done.output
        again = read_result(folder / "other" / "results" / "cam.json").scores
        assert again == first


def test_classes_of_a_table(folder: Path) -> None:
    rows = "".join(f"p{place}.png,{place}\n" for place in range(COUNT))
    (folder / "classes.csv").write_text("image_id,output\n" + rows)
    done = run(folder, "--methods", "cam", "--classes", folder / "classes.csv", "--limit", 2)
    assert done.exit_code == 0, done.output
    store = AnnotationStore.open(folder / "out" / "annotations.h5")
    assert dict(zip(store.image_ids, store.class_indices.tolist(), strict=True)) == {
        "p0": 0,
        "p2": 2,
    }
    with Submission.open(folder / "out" / "maps" / "cam.h5") as written:
        assert written.header.label == "gt"
    content, notes = read_truth(folder / "masks", folder / "photos")
    assert [own.class_index for own in content.annotations] == [UNLABELLED] * COUNT
    assert notes == ["1 of 6 photos have no mask"]
    for text, message in (
        ("p0,1\np0,2\n", "line 3: found p0 a second time"),
        ("p0,ant\n", "line 2: found output 'ant'"),
        ("p0,1\np1,2\n", "no row for 3 of 5 images: p2, p3, p4"),
    ):
        (folder / "classes.csv").write_text("image_id,output\n" + text)
        with pytest.raises(WsolbenchError, match=message):
            labelled(content, folder / "classes.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "cam,nonsense"], "method 'nonsense': found an unknown name"),
        (["--methods", "cam,trivial:middle"], "baseline: found 'middle', expected centre-gaussian"),
        (["--methods", "trivial:mask"], "methods: found none of the network, but trivial:mask"),
        (["--methods", "cam,cam"], "methods: found one twice in cam, cam"),
        (["--methods", "attention-rollout"], "found a model with its own class maps"),
        (["--channels", "none"], "found none, expected a number above 0, or all"),
        (["--channels", "0"], "found 0, expected a number above 0, or all"),
        (["--methods", "cam,sem", "--channels", "64"], "expected it only for scorecam"),
        (["--methods", "cam", "--start", "gradcam"], "found gradcam for cam, expected it only for"),
        (["--methods", "cam,sem", "--layer", "x"], "found x for cam, sem, expected it only for"),
        (
            ["--methods", "cam", "--class-map", "same"],
            "--class-map (class_map=): found it beside classes predicted",
        ),
        (
            ["--methods", "cam", "--classes", "classes.csv", "--class-map", "same"],
            "--class-map (class_map=): found it beside classes classes.csv",
        ),
        (
            ["--methods", "cam", "--classes", "annotated", "--class-names", "names.txt"],
            "--class-names (class_names=): found it beside classes annotated",
        ),
        (
            ["--methods", "cam", "--classes", "annotated"],
            "masks: found no class for 5 of 5 images: p0, p1, p2 and 2 more",
        ),
        (["--methods", "cam", "--dataset", "../x"], "--dataset (dataset=): found the name '../x'"),
        (["--methods", "cam", "--classes", "missing.csv"], "missing.csv: found no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    folder: Path, options: list[str], message: str
) -> None:
    done = run(folder, *options)
    assert done.exit_code != 0
    assert message in f"{done.exception} {done.output}"
    assert not (folder / "out").exists()


def test_a_finished_run_of_other_methods_is_replaced_on_request_alone(folder: Path) -> None:
    assert run(folder, "--methods", "cam,sem").exit_code == 0
    out = folder / "out"
    page = (out / "index.html").read_text()
    refused = run(folder, "--methods", "position-score")
    assert "a finished run of cam, sem" in str(refused.exception)
    failed = run(folder, "--methods", "position-score", "--overwrite", "--classes", "missing.csv")
    assert "missing.csv: found no such file" in str(failed.exception)
    assert (out / "index.html").read_text() == page
    done = run(folder, "--methods", "position-score", "--overwrite")
    assert done.exit_code == 0, done.output
    assert {own.stem for part in ("maps", "results") for own in (out / part).iterdir()} == {
        *("position-score", "position-score.counts"),
    }
    assert not (out / "comparison.json").exists()


def test_a_mask_of_another_size_than_its_photo_is_named(folder: Path) -> None:
    Image.fromarray(np.full((40, 30), 255, np.uint8)).save(folder / "masks" / "p3.png")
    done = run(folder, "--methods", "cam")
    assert str(done.exception) == (
        f"{folder / 'masks'}: found masks of another size (width x height) than their photos: "
        "p3 30x40 (p3.png: 51x40), expected the size of the photo; use masks and photos of the "
        "same size, which is never changed here"
    )
    turned = Image.open(folder / "photos" / "p2.png")
    upright = turned.getexif()
    upright[0x0112] = 6
    turned.transpose(Image.Transpose.ROTATE_90).save(folder / "photos" / "p2.png", exif=upright)
    (folder / "masks" / "p3.png").unlink()
    assert "use --exif apply" in str(run(folder, "--methods", "cam").exception)
    done = run(folder, "--methods", "cam", "--exif", "apply")
    assert done.exit_code == 0, done.output


def test_the_data_set_is_named_after_its_masks_or_as_asked(folder: Path) -> None:
    for options, name in (((), "masks"), (("--dataset", "squares"), "squares")):
        done = run(folder, "--methods", "cam", *options, out=name)
        assert done.exit_code == 0, done.output
        result = read_result(folder / name / "results" / "cam.json")
        assert result.dataset == name


def test_an_error_that_only_the_network_finds_leaves_the_earlier_run(folder: Path) -> None:
    assert run(folder, "--methods", "cam").exit_code == 0
    held = {own: own.read_bytes() for own in (folder / "out").rglob("*") if own.is_file()}
    for options, message in (
        (("--methods", "tests.explaining.test_explain:nothing"), "NaN or infinite"),
        (("--methods", "gradcam", "--layer", "nonsense"), "no submodule of this name"),
    ):
        assert message in str(run(folder, *options, "--overwrite").exception)
        now = {own: own.read_bytes() for own in (folder / "out").rglob("*") if own.is_file()}
        assert now == held


def test_photos_without_masks_and_masks_without_photos(folder: Path) -> None:
    (folder / "photos" / "p1.png").unlink()
    content, notes = read_truth(folder / "masks", folder / "photos")
    assert [own.image_id for own in content.annotations] == ["p0", "p2", "p3", "p4"]
    assert notes == ["1 of 5 images have no photo or no mask", "1 of 5 photos have no mask"]
    (folder / "empty").mkdir()
    with pytest.raises(WsolbenchError, match="no photo of the 5 masked images"):
        read_truth(folder / "masks", folder / "empty")


def test_pictures_are_small_and_show_the_map() -> None:
    photo = np.full((300, 600, 3), 200, np.uint8)
    small = thumbnail(photo)
    assert small.shape == (WIDTH // 2, WIDTH, 3)
    levels = np.zeros((300, 600), np.uint8)
    levels[100:200, 400:500] = 255
    nowhere = np.zeros((300, 600), np.bool_)
    drawn = with_map(small, levels, nowhere)
    for row, column, level in ((110, 10, 0), (70, 185, 255)):
        wanted = 0.4 * 200 + 0.6 * COLOURS[level]
        assert np.abs(drawn[row, column] - wanted).max() <= 1
    constant = with_map(small, np.zeros_like(levels), nowhere)
    assert len(np.unique(constant.reshape(-1, 3), axis=0)) == 1
    assert data_uri(drawn).startswith("data:image/jpeg;base64,")


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytorch_grad_cam", reason="pip install grad-cam")
    page = (Path(__file__).resolve().parents[2] / "docs" / "explaining.md").read_text()
    (block,) = re.findall("^```sh\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    demo, command = block.splitlines()
    assert demo == "wsolbench demo --out demo"
    # The demo's own tests run it; its scenes suffice here.
    monkeypatch.chdir(tmp_path)
    _, content = write_benchmark(tmp_path / "demo", val=1, test=1)
    write_store(tmp_path / "demo" / "mini.h5", content)
    done = CliRunner().invoke(cli, command.split()[1:])
    assert done.exit_code == 0, done.output
    assert "Score-CAM (64 channels) beside LayerCAM: ahead in" in done.output
    assert (tmp_path / "explained" / "index.html").read_text().count("<img ") == 2 * 5


def test_splits_that_are_joined_are_told(folder: Path) -> None:
    content, _ = read_truth(folder / "masks", folder / "photos")
    first, *others = content.annotations
    apart = [replace(first, split="test"), *(replace(own, split="val") for own in others)]
    write_store(folder / "two.h5", replace(content, annotations=apart))
    assert "splits test and val together" in read_truth(folder / "two.h5", folder / "photos")[1]


def test_the_page_names_annotated_classes(tmp_path: Path) -> None:
    images, content = write_benchmark(tmp_path, val=4, test=1)
    write_store(tmp_path / "mini.h5", content)
    options = ["--classes", "annotated", "--class-map", "same", "--methods", "cam", "--limit", "4"]
    paths = ["explain", "--images", images, "--masks", tmp_path / "mini.h5", *MODEL, *options]
    asked = [str(own) for own in (*paths, "--quiet", "--out", tmp_path / "out")]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out/index.html").read_text()
    for output in Submission.open(tmp_path / "out/maps/cam.h5").top5[:, 0]:
        assert f"the network sees class {output} ({content.classes[output][1]})" in page
