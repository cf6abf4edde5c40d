"""Each protocol against what its program itself scored: golden/golden.json says which, and how.

Curves are equal to the bit and scores to one unit in the last place; SPA2Net's AP within 1e-11,
since its evaluator adds 1e-10 to the denominators.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.annotations import Annotation, AnnotationSet, write_store
from wsolbench.formats.result import Result
from wsolbench.protocols import PROTOCOLS, Protocol

pytest.importorskip("cv2", reason="pip install 'wsolbench[opencv]'")

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden.json").read_text())
IOUS = {"50": 0.5, "30": 0.3, "70": 0.7}
V1_AT_ALL = dataclasses.replace(
    PROTOCOLS["wsoleval-v1"], name="v1-at-all", box_iou_thresholds=tuple(IOUS.values())
)
"""wsolevaluation's evaluator without multi-contour, at the three IoUs that it was run at."""


class Golden(NamedTuple):
    """A data set, its maps and predicted classes, and the programs' curves and scores."""

    dataset: Dataset
    maps: list[np.ndarray]
    top5: np.ndarray
    arrays: dict[str, np.ndarray]
    scores: dict[str, Any]

    def scored(self, protocol: str | Protocol) -> Result:
        evaluator = Evaluator(self.dataset, protocol)
        evaluator.update(self.dataset.image_ids, self.maps, self.top5)
        return evaluator.result()


def parts(values: np.ndarray, shapes: np.ndarray) -> list[np.ndarray]:
    """Arrays stored one after the other."""
    ends = np.cumsum(shapes.astype(np.int64).prod(axis=1))
    cut = np.split(values[: ends[-1]], ends[:-1])
    return [part.reshape(shape) for part, shape in zip(cut, shapes, strict=True)]


@pytest.fixture(scope="module", params=sorted(GOLDEN["scores"]))
def golden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    with np.load(FOLDER / f"{request.param}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    bits = np.unpackbits(arrays["masks"]).astype(bool)
    rows = [
        Annotation(f"image_{place:02}", "val", int(index), masks.encode(mask), boxes)
        for place, (index, mask, boxes) in enumerate(
            zip(
                arrays["classes"],
                parts(bits, arrays["mask_shapes"]),
                np.split(arrays["boxes"].astype(np.int32), np.cumsum(arrays["box_counts"])[:-1]),
                strict=True,
            )
        )
    ]
    path = tmp_path_factory.mktemp("golden") / "golden.h5"
    write_store(path, AnnotationSet("golden", rows))
    maps = parts(arrays["maps"], arrays["map_shapes"])
    scores = GOLDEN["scores"][request.param]
    return Golden(Dataset.open(path), maps, arrays["top5"].astype(np.int64), arrays, scores)


def same(found: dict[str, float], expected: dict[str, float]) -> bool:
    """Whether all scores are equal to one unit in the last place."""
    return all(abs(found[key] - value) <= math.ulp(value) for key, value in expected.items())


def box_scores(of: dict[str, Any]) -> dict[str, float]:
    """wsolevaluation's scores under the names that they have here."""
    names = {"50": "max_box_acc", "30": "max_box_acc_30", "70": "max_box_acc_70"}
    return {name: of[iou] for iou, name in names.items()}


@pytest.mark.parametrize("name, protocol", [("v1", V1_AT_ALL), ("v2", PROTOCOLS["wsoleval-v2"])])
def test_wsolevaluations_boxes(golden: Golden, name: str, protocol: Protocol) -> None:
    result, own = golden.scored(protocol), golden.scores["wsoleval"]
    for iou, key in (("50", "gt_known_loc"), ("30", "box_acc_30"), ("70", "box_acc_70")):
        assert result.curves[key] == golden.arrays[f"{name}_{iou}"].tolist(), iou
    assert same(result.scores, box_scores(own[name]) | {"max_box_acc_v2": own[f"{name}_mean"]})


def test_wsoleval_v1_is_its_curve_at_one_half(golden: Golden) -> None:
    result = golden.scored("wsoleval-v1")
    assert result.curves["gt_known_loc"] == golden.arrays["v1_50"].tolist()
    assert same(result.scores, {"max_box_acc": golden.scores["wsoleval"]["v1"]["50"]})


def test_pxap_and_piou(golden: Golden) -> None:
    pxap, piou = golden.scored("wsoleval-pxap"), golden.scored("dawsol-piou")
    assert same(pxap.scores, {"ap": golden.scores["wsoleval"]["pxap"]})
    own = golden.scores["dawsol"]
    assert same(piou.scores, {"ap": own["pxap"], "peak_iou": own["piou"]})
    # The program gives percents, and has a bin for values of 2 and more, in which there are none.
    in_percent = np.array([*piou.curves["iou"], 0]) * 100
    assert (in_percent / 100).tolist() == golden.arrays["dawsol_iou"].tolist()


def test_spa2nets_masks(golden: Golden) -> None:
    result, own = golden.scored("spa2net"), golden.scores["spa2net"]
    # The program has a bin for levels of 258 and more, in which there are none.
    assert [*result.curves["iou"], 0] == golden.arrays["spa2net_iou"].tolist()
    assert same(result.scores, {"peak_iou": own["peak_iou"]})
    assert result.scores["peak_threshold"] == own["peak_threshold"]
    assert result.scores["ap"] == pytest.approx(own["ap"], rel=0, abs=1e-11)


@pytest.mark.parametrize("name", ["tscam", "adl"])
def test_boxes_at_a_fixed_threshold(golden: Golden, name: str) -> None:
    own = golden.scores[name]
    assert {"gt_known_loc", "top1_loc", "top1_cls"} <= own.keys()
    assert same(golden.scored(name).scores, own)


@pytest.mark.parametrize("name", ["bas", "bas-resnet", "bas-inception"])
def test_boxes_averaged_over_classes(golden: Golden, name: str) -> None:
    own = golden.scores["bas"][name]
    assert own.keys() == {"gt_known_loc", "top1_loc", "top5_loc"}
    assert same(golden.scored(name).scores, own)


def test_the_files_say_where_they_are_from() -> None:
    assert {path.stem for path in FOLDER.glob("*.npz")} == GOLDEN["scores"].keys()
    assert len(GOLDEN["scores"]) == 6
    for programs in GOLDEN["scores"].values():
        assert programs.keys() == GOLDEN["programs"].keys()
    for program in GOLDEN["programs"].values():
        assert program.keys() == {"repository", "commit", "run"}
        assert len(program["commit"]) == 7
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000
