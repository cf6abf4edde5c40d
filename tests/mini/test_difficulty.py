"""The demo's scenes stay as they are; those of the study have grounds that indicate the class."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationStore, write_store
from wsolbench.mini.grounds import GROUNDS
from wsolbench.mini.scenes import (
    CLASS_GROUNDS,
    CLASSES,
    DEMO,
    STUDY,
    Difficulty,
    draw_scene,
    generate_split,
    scene_ground,
    write_benchmark,
)

DEMO_SHA256 = "a3763898fe6ebc940cdc165de97f34f7471c3d951325a0de20935b0cff3c3cd4"
"""Image, mask, part and boxes of the first 8 val scenes of seed 0, hashed at commit cca3e72, before
there was a difficulty."""


def test_scenes_of_the_demo_are_the_same_to_the_byte() -> None:
    digest = hashlib.sha256()
    for scene in generate_split("val", 8, 0):
        for array in (scene.image, scene.mask, scene.part, scene.boxes):
            digest.update(array.tobytes())
    assert digest.hexdigest() == DEMO_SHA256


def test_every_class_has_a_ground_and_two_share_one() -> None:
    assert list(CLASS_GROUNDS) == list(CLASSES)
    assert set(CLASS_GROUNDS.values()) == set(GROUNDS)
    assert CLASS_GROUNDS["cross"] == CLASS_GROUNDS["dots"] == "meadow"


def own_grounds(difficulty: Difficulty, count: int, split: str = "val") -> int:
    """The number of scenes that have the ground of their class."""
    return sum(
        scene_ground(split, n, 0, difficulty) == CLASS_GROUNDS[CLASSES[n % 8]] for n in range(count)
    )


def test_ground_share_within_three_deviations() -> None:
    count = 2000
    for difficulty in (DEMO, STUDY, Difficulty(ground_share=0.9)):
        share = difficulty.ground_share + (1 - difficulty.ground_share) / 7
        deviation = (count * share * (1 - share)) ** 0.5
        assert abs(own_grounds(difficulty, count) - count * share) < 3 * deviation
    assert own_grounds(Difficulty(ground_share=1), 200) == 200


def test_grounds_change_one_way_as_the_share_grows() -> None:
    demo, study, most = (
        [scene_ground("test", n, 5, d) for n in range(200)]
        for d in (DEMO, STUDY, Difficulty(ground_share=0.9))
    )
    own = [CLASS_GROUNDS[CLASSES[n % 8]] for n in range(200)]
    assert all(s in (d, o) for s, d, o in zip(study, demo, own, strict=True))
    assert all(m == o for m, s, o in zip(most, study, own, strict=True) if s == o)
    assert sum(m != s for m, s in zip(most, study, strict=True)) > 20


def test_scene_with_an_unchanged_ground_is_that_of_the_demo() -> None:
    demo, study = list(generate_split("val", 6, 0)), list(generate_split("val", 6, 0, STUDY))
    kept = [one.ground == other.ground for one, other in zip(demo, study, strict=True)]
    assert True in kept
    assert False in kept
    for number, (one, other) in enumerate(zip(demo, study, strict=True)):
        assert np.array_equal(one.image, other.image) == kept[number]
        assert other.ground == scene_ground("val", number, 0, STUDY)
        assert other.image_id == f"mini-study_val_{number:05d}"
        assert one.mask.shape == other.mask.shape


def test_ground_named_and_refused() -> None:
    rng = np.random.default_rng
    scene = draw_scene(rng(3), "a", 2, ground="sand")
    assert scene.ground == "sand"
    assert np.array_equal(scene.image, draw_scene(rng(3), "a", 2, DEMO, "sand").image)
    assert not np.array_equal(scene.image, draw_scene(rng(3), "a", 2, ground="water").image)
    with pytest.raises(WsolbenchError, match="ground: found 'mud', expected meadow, sand"):
        draw_scene(rng(3), "a", 2, ground="mud")
    with pytest.raises(WsolbenchError, match="number: found -1, expected 0 or more"):
        scene_ground("val", -1)


def test_hue_share_decides_the_hue() -> None:
    lean, free = (
        draw_scene(np.random.default_rng(7), "a", 0, Difficulty(hue_share=share))
        for share in (1, 0)
    )
    body = lean.mask & ~lean.part
    red, green, blue = lean.image[body].mean(axis=0)
    assert red > 1.3 * max(green, blue)  # class 0 is red
    assert not np.array_equal(lean.image, free.image)


@pytest.mark.parametrize("name", ["ground_share", "hue_share", "loose_share"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_share_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(WsolbenchError) as error:
        replace(STUDY, **{name: value})
    assert str(error.value) == (
        f"{name}: found {value}, expected a number from 0 to 1; pass a probability"
    )


def test_share_of_another_type_is_refused() -> None:
    with pytest.raises(WsolbenchError, match=r"ground_share: .*str, expected a number from 0 to 1"):
        Difficulty(ground_share="0.6")  # type: ignore[arg-type]


def test_names_of_data_sets_differ() -> None:
    assert DEMO.dataset == Difficulty().dataset == "mini"
    assert STUDY.dataset == "mini-study"
    assert replace(STUDY, ground_share=0.9).dataset == "mini-0.9-0.45-0.45"
    assert replace(DEMO, loose_share=1).dataset == "mini-0-0.45-1"


def test_study_is_written_with_a_train_split(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    images, content = write_benchmark(
        tmp_path,
        train=3,
        val=2,
        test=1,
        seed=4,
        difficulty=STUDY,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(n, 6) for n in range(1, 7)]
    write_store(tmp_path / "mini-study.h5", content)
    store = AnnotationStore.open(tmp_path / "mini-study.h5")
    assert store.dataset == "mini-study"
    assert sorted(store.splits) == ["test", "train", "train", "train", "val", "val"]
    assert sorted(path.stem for path in images.iterdir()) == sorted(store.image_ids)
    scene = list(generate_split("train", 3, 4, STUDY))[2]
    row = list(store.image_ids).index("mini-study_train_00002")
    assert store.class_indices[row] == scene.class_index == 2
    assert np.array_equal(store.mask(row), scene.mask)
    assert list(content.notes) == [
        "generated by wsolbench.mini.scenes, seed 4: 3 train, 2 val, 1 test",
        "Difficulty(ground_share=0.6, hue_share=0.45, loose_share=0.45)",
    ]


def test_notes_of_the_demo_stay_as_they_are(tmp_path: Path) -> None:
    _, content = write_benchmark(tmp_path, val=1, test=0)
    assert list(content.notes) == ["generated by wsolbench.mini.scenes, seed 0: 1 val, 0 test"]
    with pytest.raises(WsolbenchError, match="train: found -1, expected 0 or more"):
        write_benchmark(tmp_path, train=-1)
