"""Comparisons: differences of the same resamples, from files that must add up to their results."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.format import write_array_header_1_0

from tests.conftest import random_dataset, random_maps
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import Comparison, compare, signature
from wsolbench.evaluation.comparison_report import comparison_table, warnings_of
from wsolbench.evaluation.counts import Counts, counts_path, read_counts, write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.statistics import part
from wsolbench.formats.result import Bootstrap, read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.scores import SCORES

COUNT = 15


def counted(
    tmp_path: Path, seed: int, name: str = "", protocol: str = "sem", **options: Any
) -> Counts:
    """What random maps add; maps are those of the seed."""
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    method = {"name": name or f"m{seed}", **options.pop("method", {})}
    header = SubmissionHeader("random", "val", options.pop("label", "gt"), "none", method)
    made = Evaluator(
        dataset, protocol, options.pop("metrics", None), header=header, keep_images=True
    )
    kept = options.pop("kept", COUNT)
    rng = np.random.default_rng(seed)
    top5 = np.stack([rng.permutation(7)[:5] for _ in range(COUNT)])
    made.update(dataset.image_ids[:kept], random_maps(COUNT, seed)[:kept], top5[:kept])
    result = made.result(allow_missing=True, submission_sha256=f"{seed}" * 64, **options)
    return made.counts(result)


@pytest.mark.parametrize("options", [{}, {"threshold": 90}])
def test_a_comparison_is_a_plain_loop_over_the_same_resamples(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    both = [counted(tmp_path, seed, **options) for seed in (1, 2)]
    comparison = compare(both, Bootstrap(50, seed=4))
    rng = np.random.default_rng(4)
    moved: dict[str, list[float]] = {}
    for _ in range(50):
        drawn = rng.integers(COUNT, size=COUNT)
        first, second = (
            own.scoring.scored(own.scoring.sums(part(own.kept, drawn)), own.result.threshold)[0]
            for own in both
        )
        for key, score in first.items():
            moved.setdefault(key, []).append(second[key] - score)
    compared = {key for key in moved if not SCORES[key].is_threshold}
    assert {pair.score for pair in comparison.pairs} == compared
    for pair in comparison.pairs:
        scores = [own.result.scores[pair.score] for own in both]
        assert comparison.scores[pair.score] == scores
        assert pair.difference == scores[1] - scores[0]
        values = sorted(moved[pair.score])
        assert pair.interval == (values[1], values[48])
        sign = np.sign(pair.difference)
        same = np.mean([(value * sign > 0) + (value == 0) / 2 for value in values])
        assert pair.order == pytest.approx(same if sign else 0.5)


def test_pairs_share_their_resamples(tmp_path: Path) -> None:
    """A map and itself: no difference in any resample, however wide the scores' intervals."""
    one = counted(tmp_path, 1)
    unknown = replace(one, result=replace(one.result, submission_sha256=""))
    comparison = compare([one, unknown], Bootstrap(50))
    low, high = comparison.intervals["peak_iou"][0]
    assert low < high
    assert {pair.interval for pair in comparison.pairs} == {(0.0, 0.0)}
    assert {pair.order for pair in comparison.pairs} == {0.5}


def test_turned_round_it_says_the_same(tmp_path: Path) -> None:
    both = [counted(tmp_path, seed) for seed in (1, 2)]
    there, back = compare(both, Bootstrap(41)), compare(both[::-1], Bootstrap(41))
    for pair, other in zip(there.pairs, back.pairs, strict=True):
        assert other.difference == -pair.difference
        assert other.order == pytest.approx(pair.order)
        assert other.interval == pytest.approx((-pair.interval[1], -pair.interval[0]))


def test_only_images_that_all_hold_count(tmp_path: Path) -> None:
    whole, part = counted(tmp_path, 1), counted(tmp_path, 2, kept=9)
    comparison = compare([whole, part], Bootstrap(30), common=True)
    assert (comparison.images, comparison.of) == (9, (COUNT, COUNT))
    assert comparison.maps == (COUNT, 9)
    told = "|images:9 shared by all of 15, 15 (common images only; maps of 15, 9)|"
    assert told in signature(comparison)
    assert warnings_of(comparison)[:-1] == [
        "only 9 images are compared, those that all methods have maps of: "
        "m1 has 15 of 15, m2 has 9 of 15"
    ]
    nine = [counted(tmp_path, seed, kept=9) for seed in (1, 2)]
    again = compare(nine, Bootstrap(30))
    assert again.scores == comparison.scores
    assert again.pairs == comparison.pairs
    assert "|images:9 shared by all of 15, 15|" in signature(again)
    assert warnings_of(again)[0].endswith("m1 has 9 of 15, m2 has 9 of 15")
    every = compare([counted(tmp_path, seed) for seed in (1, 2)], Bootstrap(30), common=True)
    assert "|images:15 shared by all|" in signature(every)
    assert warnings_of(every) == [
        "every verdict is undecided: 30 resamples cannot decide any of 6 comparisons after "
        "Holm's correction: draw 239 or more (--bootstrap 239)"
    ]
    enough = compare([counted(tmp_path, seed) for seed in (1, 2)], Bootstrap(239))
    assert warnings_of(enough) == []


@pytest.mark.parametrize(
    "kept, at_fault",
    [
        ([15, 9], r"method 2 \(m2\): .* method 2 \(m2\) has 9 of the 15 .*, without image_009, "
         r"image_010, image_011 and 3 more; method 1 \(m1\) has 15, expected"),
        ([14, 15, 15], r"method 1 \(m1\): .* 14 of the 15 .*, without image_014; method 2 \(m2\)"),
        ([15, 12, 9], r"methods: .* method 2 \(m2\) has 12 of the 15 .*, without image_012, .*; "
         r"method 3 \(m3\) has 9 of the 15 .*, without .*; method 1 \(m1\) has 15"),
    ],
)  # fmt: skip
def test_methods_with_maps_of_different_images_are_refused(
    tmp_path: Path, kept: list[int], at_fault: str
) -> None:
    made = [counted(tmp_path, seed, kept=count) for seed, count in enumerate(kept, start=1)]
    with pytest.raises(WsolbenchError, match=f"^{at_fault}") as raised:
        compare(made, Bootstrap(20))
    instead = f"use only the {min(kept)} shared images with --common (common=True in Python)"
    assert str(raised.value).endswith(instead)
    assert raised.value.exit_status == 1
    assert compare(made, Bootstrap(20), common=True).images == min(kept)


def test_seeds_are_summarised_on_the_images_that_are_compared(tmp_path: Path) -> None:
    made = [
        counted(tmp_path, seed, "CAM", kept=kept, method={"seed": seed, "weights": f"{seed}.pth"})
        for seed, kept in ((1, 15), (2, 9), (3, 12))
    ]
    other = counted(tmp_path, 4)
    comparison = compare([other, *made], Bootstrap(20), common=True)
    (group,) = comparison.seeds
    assert (group.seeds, group.places) == ((1, 2, 3), (1, 2, 3))
    assert comparison.names == ("m4", "CAM, seed 1", "CAM, seed 2", "CAM, seed 3")
    assert group.mean.keys() == group.std.keys() == comparison.scores.keys()
    for key, values in comparison.scores.items():
        assert group.mean[key] == pytest.approx(np.mean(values[1:]))
        assert group.std[key] == pytest.approx(np.std(values[1:], ddof=1))
    again = replace(made[1], result=replace(made[1].result, method=made[0].result.method))
    comparison = compare([made[0], again], Bootstrap(20), common=True)
    assert comparison.seeds == []
    assert "the same seed 1, which is one seed" in warnings_of(comparison)[0]


def test_as_many_maps_of_other_images_are_not_the_same(tmp_path: Path) -> None:
    one, two = counted(tmp_path, 1, kept=9), counted(tmp_path, 2)
    held = np.arange(COUNT) >= 6
    shifted = replace(two, held=held)
    with pytest.raises(
        WsolbenchError, match=r"m1\) has 9 of the 15 .*m2\) has 9 of the 15 .*only the 3 "
    ):
        compare([one, shifted], Bootstrap(20))
    comparison = compare([one, shifted], Bootstrap(20), common=True)
    assert (comparison.images, comparison.maps) == (3, (9, 9))
    assert "(common images only; maps of 9, 9)" in signature(comparison)
    for common in (False, True):
        with pytest.raises(WsolbenchError, match="no image with a map of every method"):
            compare([one, replace(two, held=np.arange(COUNT) >= 9)], Bootstrap(20), common=common)


def test_three_methods_are_three_pairs(tmp_path: Path) -> None:
    comparison = compare([counted(tmp_path, seed) for seed in (1, 2, 3)], Bootstrap(30))
    pairs = [(pair.first, pair.second) for pair in comparison.pairs if pair.score == "ap"]
    assert pairs == [(0, 1), (0, 2), (1, 2)]
    short = compare([counted(tmp_path, k) for k in (1, 2, 3)], Bootstrap(30), against_first=True)
    assert [replace(pair, p_holm=1) for pair in short.pairs] == [
        replace(pair, p_holm=1) for pair in comparison.pairs if pair.first == 0
    ]
    content = json.loads(comparison.to_json())
    assert content["format"] == "wsolbench-comparison"
    assert content["pairs"][0].keys() == vars(comparison.pairs[0]).keys()


def test_names_are_told_apart(tmp_path: Path) -> None:
    alike = [counted(tmp_path, seed, "same") for seed in (1, 2)]
    assert compare(alike, Bootstrap(20)).names == ("same (1)", "same (2)")
    seeded = [
        replace(own, result=replace(own.result, method={"name": "S", "parameters": {"seeds": k}}))
        for own, k in zip(alike, (40, 60), strict=True)
    ]
    assert compare(seeded, Bootstrap(20)).names == ("S, seeds 40", "S, seeds 60")
    bare = replace(seeded[0], result=replace(seeded[0].result, method={"name": "S"}))
    assert compare([bare, seeded[1]], Bootstrap(20)).names == ("S", "S, seeds 60")
    trial = replace(alike[0], result=replace(alike[0].result, limit=COUNT))
    tried = compare([trial, alike[1]], Bootstrap(20))
    assert tried.names == ("same, trial", "same")
    assert signature(tried).endswith(f"|TRIAL:first {COUNT} images only")
    assert "TRIAL" not in signature(compare(alike, Bootstrap(20)))


def test_scores_that_not_all_have_are_named(tmp_path: Path) -> None:
    both = [counted(tmp_path, 1), counted(tmp_path, 2, metrics=["pixel"])]
    comparison = compare(both, Bootstrap(20))
    assert "gt_known_loc" not in comparison.scores
    assert "gt_known_loc" in comparison.left_out
    assert "not shared:GT-known, Top-1 loc" in signature(comparison)


def test_the_same_maps_twice_are_refused(tmp_path: Path) -> None:
    one = counted(tmp_path, 1)
    with pytest.raises(WsolbenchError, match=r"method 2 \(m1\): found the same maps as method 1"):
        compare([one, one], Bootstrap(20))
    at = replace(one.result.threshold, source={"method": "m1", "split": "test"})
    other = replace(one, result=replace(one.result, threshold=at))
    assert {pair.difference for pair in compare([one, other], Bootstrap(20)).pairs} == {0}


@pytest.mark.parametrize(
    "change, found",
    [
        ({"annotations_sha256": "f" * 64}, "another annotations: ffffffff, expected"),
        ({"dataset": "other"}, "another data set: other, expected random"),
        ({"split": "test"}, "another split: test, expected val"),
        ({"label": "predicted"}, "another label: predicted, expected gt"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, change: dict[str, Any], found: str) -> None:
    one, two = (counted(tmp_path, seed) for seed in (1, 2))
    changed = replace(two, result=replace(two.result, **change))
    with pytest.raises(WsolbenchError, match=found):
        compare([one, changed], Bootstrap(20))


@pytest.mark.parametrize("metrics", [None, ["box"]])
def test_labels_of_class_agnostic_methods_decide_nothing(
    tmp_path: Path, metrics: list[str] | None
) -> None:
    """The same maps under both labels score the same, whatever the labels call it."""
    given: dict[str, Any] = {"metrics": metrics, "method": {"class_agnostic": True}}
    one = counted(tmp_path, 1, **given)
    two = counted(tmp_path, 1, label="predicted", **given)
    two = replace(two, result=replace(two.result, submission_sha256="f" * 64))
    assert "predicted_loc" in two.result.scores
    comparison = compare([one, two], Bootstrap(20))
    assert comparison.label == "gt and predicted"
    assert "|maps:gt and predicted (class-agnostic)|" in signature(comparison)
    assert comparison.scores.keys() >= {"gt_known_loc", "top1_loc", "top5_loc", "max_box_acc"}
    assert comparison.left_out == ()
    assert {pair.difference for pair in comparison.pairs} == {0}
    assert comparison.scores["gt_known_loc"][1] == two.result.scores["predicted_loc"]
    same = compare([one, counted(tmp_path, 2, **given)], Bootstrap(20))
    assert "|maps:gt|" in signature(same)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_method_with_a_class_makes_the_label_matter(tmp_path: Path, place: int) -> None:
    """Wherever it stands, also between two that are class-agnostic."""
    agnostic = {"class_agnostic": True}
    made = [
        counted(tmp_path, 1, method=agnostic),
        counted(tmp_path, 2, label="predicted", method=agnostic),
    ]
    made.insert(place, counted(tmp_path, 3))
    with pytest.raises(WsolbenchError, match=r"another label: .*; make both with the same --label"):
        compare(made, Bootstrap(20))
    claims = [replace(made[place], result=replace(made[place].result, method={"name": "m3", **own}))
              for own in ({"class_agnostic": "true"}, {"class_agnostic": 1})]  # fmt: skip
    for claim in claims:
        made[place] = claim
        with pytest.raises(WsolbenchError, match="another label"):
            compare(made, Bootstrap(20))


def test_other_protocols_and_thresholds_are_named(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    one = counted(tmp_path, 1)
    with pytest.raises(WsolbenchError, match=r"another protocol .and .*: adl.v3, expected sem.v2"):
        compare([one, counted(tmp_path, 2, protocol="adl")], Bootstrap(20))
    with pytest.raises(WsolbenchError, match="another threshold: fixed, expected max"):
        compare([one, counted(tmp_path, 2, threshold=8)], Bootstrap(20))


def test_what_is_no_list_of_counts_is_one_line(tmp_path: Path) -> None:
    one = counted(tmp_path, 1)
    with pytest.raises(WsolbenchError, match="found tuple, tuple, expected a list of Counts"):
        compare([(one,), (one,)], Bootstrap(20))  # type: ignore[list-item]
    with pytest.raises(
        WsolbenchError, match=r"bootstrap: found 50, expected a wsolbench\.Bootstrap"
    ):
        compare([one, one], 50)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, 1, 13])
def test_too_few_or_too_many(tmp_path: Path, number: int) -> None:
    with pytest.raises(WsolbenchError, match=rf"{number} methods?, expected 2 to 12"):
        compare([counted(tmp_path, 1)] * number, Bootstrap(20))


@pytest.mark.parametrize(
    "protocol", ["sem", "wsoleval-v2", "wsoleval-pxap", "spa2net", "bas", "adl"]
)
def test_counts_come_back_from_their_file(tmp_path: Path, protocol: str) -> None:
    if protocol != "sem":
        pytest.importorskip("cv2")
    made = counted(tmp_path, 1, protocol=protocol, kept=12)
    path = counts_path(tmp_path / "r.json")
    assert path.name == "r.counts.npz"
    assert counts_path("a/r.v1").name == "r.v1.counts.npz"
    write_counts(path, made)
    read = read_counts(path, made.result)
    assert read.kept.keys() == made.kept.keys()
    for name, kept in made.kept.items():
        assert (read.kept[name] == kept).all()
        assert read.kept[name].dtype == kept.dtype
    assert list(read.image_ids) == list(made.image_ids)
    assert read.held.tolist() == [True] * 12 + [False] * 3
    assert read.scoring == made.scoring
    first = path.read_bytes()
    write_counts(path, made)
    assert path.read_bytes() == first
    other = counted(tmp_path, 2, protocol=protocol, kept=12)
    assert (
        compare([read, other], Bootstrap(20)).to_json()
        == compare([made, other], Bootstrap(20)).to_json()
    )


def test_boxes_of_a_submission_are_counted_and_grouped(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "boxes"})
    made = Evaluator(dataset, header=header, keep_images=True)
    boxes = np.array([dataset[place].boxes[0] for place in range(COUNT)])
    boxes[::3] = (0, 0, 1, 1)
    made.update(dataset.image_ids, random_maps(COUNT, 1), boxes=boxes)
    result = made.result(by=["boxes"], bootstrap=Bootstrap(20))
    write_counts(tmp_path / "b.counts.npz", made.counts(result))
    read = read_counts(tmp_path / "b.counts.npz", result)
    assert read.scoring.boxed
    comparison = compare([read, counted(tmp_path, 2)], Bootstrap(20))
    assert comparison.scores["gt_known_loc"][0] == result.scores["gt_known_loc"]
    assert comparison.thresholds == ("max on this split; own boxes", "max on this split")
    total = sum(g.images * g.scores["gt_known_loc"] for g in result.breakdowns["boxes"])
    assert total == pytest.approx(COUNT * result.scores["gt_known_loc"])


def test_counts_of_another_result_are_refused(tmp_path: Path) -> None:
    one, two = (counted(tmp_path, seed) for seed in (1, 2))
    path = tmp_path / "one.counts.npz"
    write_counts(path, one)
    with pytest.raises(WsolbenchError, match="counts of another result"):
        read_counts(path, two.result)


def test_counts_are_no_result(tmp_path: Path) -> None:
    write_counts(tmp_path / "one.counts.npz", counted(tmp_path, 1))
    with pytest.raises(WsolbenchError, match=r"counts of a result, .*name one\.json"):
        read_result(tmp_path / "one.counts.npz")


def test_counts_must_add_up(tmp_path: Path) -> None:
    one = counted(tmp_path, 1)
    path = tmp_path / "one.counts.npz"
    better = one.kept["pixels"].copy()
    better[:, 0, 200] = 0
    write_counts(path, replace(one, kept={**one.kept, "pixels": better}))
    with pytest.raises(WsolbenchError, match="do not add up"):
        read_counts(path, one.result)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive at all"])
def test_damaged_counts_are_refused(tmp_path: Path, content: bytes) -> None:
    one = counted(tmp_path, 1)
    path = tmp_path / "one.counts.npz"
    path.write_bytes(content)
    with pytest.raises(WsolbenchError, match=r"--counts"):
        read_counts(path, one.result)


@pytest.mark.parametrize("name", ["pixels", "correct", "top", "held", "image_id", "class_index"])
def test_counts_of_other_shapes_are_refused(tmp_path: Path, name: str) -> None:
    one = counted(tmp_path, 1)
    path = tmp_path / "one.counts.npz"
    write_counts(path, one)
    with np.load(path) as archive:
        columns = {key: archive[key] for key in archive.files}
    kept = columns[name]
    for other in (kept[:-1], np.array("x"), kept[None], np.full(kept.shape, 1j), kept[:0]):
        np.savez(path, **{**columns, name: other})
        with pytest.raises(WsolbenchError, match="evaluate again with --counts"):
            read_counts(path, one.result)
    del columns[name]
    np.savez(path, **columns)
    with pytest.raises(WsolbenchError, match="evaluate again with --counts"):
        read_counts(path, one.result)


def test_images_twice_and_pixels_below_none_are_refused(tmp_path: Path) -> None:
    one = counted(tmp_path, 1)
    path = tmp_path / "one.counts.npz"
    moved = one.kept["pixels"].copy()
    moved[0, 0, 0] -= 10**6
    moved[1, 0, 0] += 10**6
    for changed, found in (
        (replace(one, image_ids=[one.image_ids[0]] * COUNT), "an image twice"),
        (replace(one, kept={**one.kept, "pixels": moved}), "pixels below 0"),
    ):
        write_counts(path, changed)
        with pytest.raises(WsolbenchError, match=found):
            read_counts(path, one.result)


def test_a_strangers_archive_is_refused_unread(tmp_path: Path) -> None:
    """No array, a header of 9 TB, numbers that would wrap, another count of missing images."""
    one = counted(tmp_path, 1)
    path = tmp_path / "one.counts.npz"
    write_counts(path, one)
    with np.load(path) as archive:
        columns = {key: archive[key] for key in archive.files}
    header = io.BytesIO()
    write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)})
    for name, content in (("held.npy", b"hello"), ("more", b""), ("more.npy", header.getvalue())):
        np.savez(path, **{key: own for key, own in columns.items() if f"{key}.npy" != name})
        with zipfile.ZipFile(path, "a") as added:
            added.writestr(name, content)
        with pytest.raises(WsolbenchError, match="no counts of a result"):
            read_counts(path, one.result)
    for name, changed, found in (
        (
            "class_index",
            columns["class_index"].astype("i8") + (1 << 40),
            "class_index beyond int32",
        ),
        ("held", np.zeros(COUNT, np.bool_), "another number of images without map"),
        ("families", np.array("pixel"), "metric families of shape"),
        ("correct_shape", np.array(5), "correct of shape 5"),
    ):
        np.savez(path, **{**columns, name: changed})
        with pytest.raises(WsolbenchError, match=found):
            read_counts(path, one.result)


def test_ids_at_other_images_are_refused(tmp_path: Path) -> None:
    one, two = (counted(tmp_path, seed) for seed in (1, 2))
    with pytest.raises(WsolbenchError, match="counts of m2: found another number of pixels"):
        compare([one, replace(two, image_ids=list(two.image_ids)[::-1])], Bootstrap(20))


def compared(tmp_path: Path) -> Comparison:
    return compare([counted(tmp_path, seed) for seed in (1, 2)], Bootstrap(30))


def test_tables_print_what_was_compared(tmp_path: Path) -> None:
    comparison = compared(tmp_path)
    pair = next(pair for pair in comparison.pairs if pair.score == "peak_iou")
    low, high = (100 * end for end in pair.interval)
    told = [f"{100 * pair.difference:+.2f}", f"[{low:+.2f}, {high:+.2f}]"]
    for form in ("text", "md", "latex"):
        shown = comparison_table(comparison, form).replace("\\", "")
        assert all(text in shown for text in [*told, SCORES["peak_iou"].title, "A: m1", "B: m2"])
    head, *rows = comparison_table(comparison, "csv").splitlines()
    assert len(rows) == len(comparison.pairs)
    cells = dict(zip(head.split(","), rows[0].split(","), strict=True))
    assert float(cells["difference"]) == pair.difference
    assert float(cells["order"]) == pair.order


def test_notebooks_show_what_the_numbers_rest_on(tmp_path: Path) -> None:
    """A stranger's name stays text; numbers are those of the tables."""
    one, two = (counted(tmp_path, seed) for seed in (1, 2))
    hostile = replace(one.result, method={"name": "<b>&"})
    page = hostile._repr_html_()
    assert "<caption>&lt;b&gt;&amp; on random val: 15 images, protocol sem.v2 (" in page
    assert "thresholds max; fractions in percent</caption>" in page
    score = f"{100 * one.result.scores['peak_iou']:.2f}"
    assert f"<tr><th scope='row'>Peak-IoU</th><td>{score}</td></tr>" in page
    assert "15 images (a trial)" in replace(hostile, limit=15)._repr_html_()
    assert repr(hostile).startswith("Result(<b>& on random val, 15 images, sem.v2: Peak-IoU")
    comparison = compare(
        [one, replace(two, result=replace(two.result, method=hostile.method))], Bootstrap(20)
    )
    page = comparison._repr_html_()
    pair = next(pair for pair in comparison.pairs if pair.score == "peak_iou")
    assert f"<td>{100 * pair.difference:+.2f}</td>" in page
    assert "<b>" not in page
    assert f"percentage points; {signature(comparison)}" in page
    evaluator = Evaluator(random_dataset(tmp_path / "e.h5", COUNT))
    evaluator.update(evaluator.dataset.image_ids[:4], random_maps(4))
    assert "<th scope='row'>images scored</th><td>4 of 15</td>" in evaluator._repr_html_()
    assert "4 of 15 images" in repr(evaluator)
