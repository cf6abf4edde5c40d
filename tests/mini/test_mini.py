"""The embedded benchmark: its scenes, its classifier, and what it is for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from wsolbench.baselines.cam import class_activation_maps, class_channels
from wsolbench.baselines.networks import build_network
from wsolbench.baselines.sem import self_enhancement_maps
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationStore, write_store
from wsolbench.masks import tight_box
from wsolbench.mini.classifier import (
    SIZE,
    WEIGHTS,
    load,
    preprocess,
    read_weights,
    write_weights,
)
from wsolbench.mini.drawing import angle, colour, patch, sine
from wsolbench.mini.scenes import CLASSES, PIXELS, Scene, generate_split, write_benchmark
from wsolbench.mini.train import main

FRESH_SEED = 77  # training looked at seeds 0 and 1, the demo at 0
SEEDS = 0.1


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return list(generate_split("val", 64, FRESH_SEED))


@pytest.fixture(scope="module")
def outputs(scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """CAM (64, h, w), SEM (64, h, w) and logits (64, classes) of the shipped weights."""
    model = load()
    labels = torch.tensor([scene.class_index for scene in scenes])
    photos = torch.stack([model.preprocess(Image.fromarray(s.image), SIZE) for s in scenes])
    with torch.inference_mode():
        class_maps, features, logits = model.module(photos)
        cam = class_activation_maps(class_maps, labels)
        sem = self_enhancement_maps(class_channels(class_maps, labels), features, SEEDS)
    return cam, sem, logits


def upsampled(small: torch.Tensor, scene: Scene) -> NDArray[np.float32]:
    large: NDArray[np.float32] = torch.nn.functional.interpolate(
        small[None, None], size=scene.mask.shape, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    return large


def pooled_peak_iou(maps: Iterable[torch.Tensor], scenes: list[Scene]) -> float:
    """The obvious loop: every threshold on every pixel."""
    levels = np.concatenate(
        [np.floor(255 * upsampled(m, scene)).ravel() for m, scene in zip(maps, scenes, strict=True)]
    )
    truth = np.concatenate([scene.mask.ravel() for scene in scenes])
    scores = []
    for threshold in range(256):
        found = levels >= threshold
        scores.append((found & truth).sum() / (found | truth).sum())
    return float(max(scores))


def test_same_seed_same_bytes_and_no_other() -> None:
    first, again = list(generate_split("test", 6, 5)), list(generate_split("test", 9, 5))
    for one, two in zip(first, again[:6], strict=True):
        assert one.image.tobytes() == two.image.tobytes()
        assert one.mask.tobytes() == two.mask.tobytes()
        assert one.boxes.tobytes() == two.boxes.tobytes()
        assert one.image_id == two.image_id
    for other in (generate_split("test", 6, 6), generate_split("val", 6, 5)):
        for one, two in zip(first, other, strict=True):
            assert one.image.tobytes() != two.image.tobytes()


def test_split_and_count_are_checked() -> None:
    with pytest.raises(WsolbenchError, match=r"split: found 'dev', expected val, test or train"):
        list(generate_split("dev", 1))
    with pytest.raises(WsolbenchError, match="count: found -1"):
        list(generate_split("val", -1))
    with pytest.raises(WsolbenchError, match="seed: found -3"):
        list(generate_split("val", 1, -3))


def test_scene_types_and_sizes(scenes: list[Scene]) -> None:
    shapes = {scene.mask.shape for scene in scenes}
    assert len(shapes) > 50
    assert all(height != width for height, width in shapes)
    assert {height < width for height, width in shapes} == {True, False}
    for scene in scenes:
        assert scene.image.shape == (*scene.mask.shape, 3)
        assert PIXELS[0] <= min(scene.mask.shape) < max(scene.mask.shape) <= PIXELS[1]
        assert scene.image.dtype == np.uint8
        assert scene.mask.dtype == scene.part.dtype == np.bool_
        assert scene.boxes.dtype == np.int32


def test_classes_come_in_turn(scenes: list[Scene]) -> None:
    assert [scene.class_index for scene in scenes[:10]] == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert len(CLASSES) == len(set(CLASSES)) == 8


def test_boxes_are_tight_and_cover_the_mask(scenes: list[Scene]) -> None:
    counts = set()
    for scene in scenes:
        covered = np.zeros_like(scene.mask)
        for x0, y0, x1, y1 in scene.boxes:
            inside = scene.mask[y0:y1, x0:x1]
            assert inside.shape == (y1 - y0, x1 - x0)
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
            covered[y0:y1, x0:x1] = True
        assert not (scene.mask & ~covered).any()
        corners = np.array(scene.boxes)
        union = (*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0))
        assert union == tight_box(scene.mask)
        counts.add(len(scene.boxes))
    assert counts == {1, 2, 3}


def test_badge_is_a_small_part_of_the_toy(scenes: list[Scene]) -> None:
    shares = [scene.part.sum() / scene.mask.sum() for scene in scenes]
    assert not any((scene.part & ~scene.mask).any() for scene in scenes)
    assert min(shares) > 0.05
    assert max(shares) < 0.2
    assert min(scene.mask.mean() for scene in scenes) > 0.05
    assert max(scene.mask.mean() for scene in scenes) < 0.6


def test_benchmark_is_written_and_read_back(tmp_path: Path) -> None:
    images, content = write_benchmark(tmp_path / "mini", val=3, test=2, seed=4)
    write_store(tmp_path / "mini.h5", content)
    store = AnnotationStore.open(tmp_path / "mini.h5")
    assert store.dataset == "mini"
    assert [name for _, name in store.classes][:2] == ["toy with a star", "toy with a ring"]
    drawn = {s.image_id: s for split in ("val", "test") for s in generate_split(split, 3, 4)}
    assert len(store) == 5
    assert sorted(path.name for path in images.iterdir()) == [f"{i}.png" for i in store.image_ids]
    for row, image_id in enumerate(store.image_ids):
        scene = drawn[image_id]
        with Image.open(images / f"{image_id}.png") as photo:
            assert np.array_equal(np.asarray(photo), scene.image)
        assert np.array_equal(store.mask(row), scene.mask)
        assert np.array_equal(store.boxes(row), scene.boxes)
        assert store.class_indices[row] == scene.class_index
        assert store.splits[row] == image_id.split("_")[1]


def test_benchmark_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WsolbenchError, match=r"cannot be created .*; name another folder"):
        write_benchmark(tmp_path / "file", val=1, test=1)


def test_exact_sine_and_angle_are_near_the_true_ones() -> None:
    turns = np.linspace(-2, 2, 1001, dtype=np.float32)
    assert np.abs(sine(turns) - np.sin(2 * np.pi * turns.astype(np.float64))).max() < 0.002
    y, x = (
        np.sin(2 * np.pi * turns).astype(np.float32),
        np.cos(2 * np.pi * turns).astype(np.float32),
    )
    true = np.arctan2(y, x) / (2 * np.pi)
    assert np.abs(angle(y, x) - true).max() < 0.001
    assert angle(np.zeros(1, np.float32), np.zeros(1, np.float32))[0] == 0


def test_colour_names() -> None:
    assert colour(0, 1, 1) == (1, 0, 0)
    assert colour(1 / 3, 1, 0.5) == pytest.approx((0, 0.5, 0))
    assert colour(-1 / 3, 0.5, 1) == pytest.approx((0.5, 0.5, 1))


def test_patch_outside_the_canvas_is_empty() -> None:
    assert patch((10, 10), (-50.0, 5.0), 4).x.shape[0] == 0
    middle = patch((10, 10), (5.0, 5.0), 1)
    assert (middle.rows, middle.columns) == (slice(4, 8), slice(4, 8))
    assert middle.x[0].tolist() == [-0.5, 0.5, 1.5, 2.5]


def test_weights_file_is_small_and_plain() -> None:
    assert WEIGHTS.stat().st_size < 1_000_000
    with np.load(WEIGHTS, allow_pickle=False) as content:
        kinds = {content[name].dtype.name for name in content}
        assert all(np.isfinite(content[name]).all() for name in content)
    assert kinds == {"float16", "float32"}


def test_class_maps_average_to_the_logits() -> None:
    torch.manual_seed(3)
    model = load()
    with torch.inference_mode():
        class_maps, features, logits = model.module(torch.randn(2, 3, SIZE, SIZE))
    assert class_maps.shape == (2, 8, 32, 32)
    assert features.shape == (2, 96, 32, 32)
    assert features.min() >= 0
    assert torch.allclose(class_maps.mean(dim=(2, 3)), logits, atol=1e-5)


def test_preprocess_levels() -> None:
    grey = preprocess(Image.new("L", (40, 30), 255), 16)
    assert grey.shape == (3, 16, 16)
    assert grey.dtype == torch.float32
    assert grey.unique().tolist() == pytest.approx([0.55 / 0.25])


def test_classifier_is_right_on_fresh_scenes(
    scenes: list[Scene], outputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    labels = torch.tensor([scene.class_index for scene in scenes])
    assert (outputs[2].argmax(dim=1) == labels).float().mean() > 0.9


def test_cam_finds_the_badge(
    scenes: list[Scene], outputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    on_part, whole, area, pixels, peaks = 0.0, 0.0, 0, 0, 0
    for small, scene in zip(outputs[0], scenes, strict=True):
        large = upsampled(small, scene)
        on_part += float(large[scene.part].sum())
        whole += float(large.sum())
        area += int(scene.part.sum())
        pixels += scene.part.size
        peaks += bool(scene.mask.flat[large.argmax()])
    assert on_part / whole > 3 * area / pixels
    assert peaks / len(scenes) > 0.9


def test_self_enhancement_finds_more_of_the_toy(
    scenes: list[Scene], outputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    cam, sem, _ = outputs
    everything = pooled_peak_iou(torch.ones(len(scenes), 2, 2), scenes)
    assert pooled_peak_iou(cam, scenes) > everything + 0.05
    assert pooled_peak_iou(sem, scenes) > pooled_peak_iou(cam, scenes) + 0.03


def test_weights_round_trip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    one, two = (build_network("mini", 8, seed=seed) for seed in (0, 1))
    write_weights(tmp_path / "w.npz", one)
    write_weights(tmp_path / "again.npz", one)
    assert (tmp_path / "w.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    read_weights(tmp_path / "w.npz", two)
    kept, found = one.trunk[0].conv.weight, two.trunk[0].conv.weight
    assert torch.equal(kept.half().float(), found)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WsolbenchError, match="no such file, expected a state dict"):
        load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(WsolbenchError, match=r"text\.npz: found a file that cannot be read safely"):
        load(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    with pytest.raises(WsolbenchError, match=r"missing .*1 unexpected \(a\), .*mini\.train"):
        load(tmp_path / "other.npz")
    write_weights(tmp_path / "three.npz", build_network("mini", 3, seed=0))
    with pytest.raises(WsolbenchError, match=r"of another shape \(classifier\.weight \(3, "):
        load(tmp_path / "three.npz")


def test_training_repeats_and_follows_its_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        files.append(tmp_path / f"{name}.npz")
        small = ["--scenes", "32", "--epochs", "1", "--threads", "1", "--seed", str(seed)]
        assert main(["--out", str(files[-1]), *small]) == 0
    printed = capsys.readouterr()
    assert "c.npz: val accuracy 0." in printed.out
    assert "epoch 1/1: loss " in printed.err
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()
    load(files[2])


def test_training_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", "x.npz", "--epochs", "0"]) == 2
    assert (
        capsys.readouterr().err
        == "Error: epochs: found 0, expected 1 or more; pass a larger number\n"
    )
