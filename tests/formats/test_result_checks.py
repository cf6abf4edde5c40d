"""Every single-field edit of a result is refused, but of the fields listed here."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import random_dataset, random_maps
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.result import Bootstrap, Result, read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.protocols import fields_sha256

COUNT = 24

REMOVED = object()

FREE = (
    # What was scored and how, of which the scores are the only trace.
    *("method(/name|/seed)?", "normalisation", "dataset", "split", "wsolbench"),
    *("submission_sha256", "bootstrap/(seed|resamples|level)"),
    *("boundary/(max_distance|suppression)", "counts/(missing|constant|full_frame_masks)"),
    # Groups may be left out, and have no curves; their accuracies and means must add up.
    *("breakdowns(/boxes)?", "breakdowns/boxes/0/name"),
    r"breakdowns/boxes/0/scores/(peak_iou|peak_threshold|ap|iou_at_threshold|boundary_\w+)",
    # Sums over images that the curves do not hold.
    *("curves/iou_image_mean/[0-9]+", "scores/boundary_ois"),
    # Where another threshold has the same recall, no boundary score reads its precision.
    "curves/boundary_precision/[0-9]+",
    # Ends of intervals, as long as they are in order and hold a score that they must hold.
    r"(breakdowns/boxes/0/)?intervals/\w+/[01]",
)
"""Fields of which one file cannot tell what is right: some other value of them is read."""


def evaluator(folder: Path, protocol: str, label: str = "gt") -> Evaluator:
    dataset = random_dataset(folder / f"{protocol.replace(':', '-')}-{label}.h5", COUNT)
    header = SubmissionHeader(
        method={"name": "CAM", "seed": 3},
        dataset="random",
        split="val",
        label=label,
        normalisation="min-max",
    )
    rng = np.random.default_rng(5)
    top5 = np.stack([rng.permutation(7)[:5] for _ in range(COUNT)])
    metrics = None
    edges = None
    if protocol == "sem":
        metrics, edges = ["pixel", "box", "boundary"], random_maps(COUNT, 3)
    made = Evaluator(dataset, protocol, metrics, header=header, keep_images=True)
    made.update(dataset.image_ids, random_maps(COUNT), top5=top5, edges=edges)
    return made


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    made = evaluator(tmp_path_factory.mktemp("result"), "sem")
    return made.result(bootstrap=Bootstrap(100), by=["boxes"], submission_sha256="a" * 64)


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value; of curves four of their values, of groups the first."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        several = isinstance(content, list) and len(content) > 2
        if several and key not in ((0, 29, 87, 98) if len(content) > 90 else (0,)):
            continue
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def edits(value: Any) -> list[Any]:
    """Other values of the same type, then of another type."""
    if value is None or isinstance(value, bool):
        return [not value, "x"]
    if isinstance(value, int):
        return [value + 1, value - 1, 1 << 70, "x"]
    if isinstance(value, float):
        sign = 1 if value < 0.5 else -1
        return [value + 0.003 * sign, value + 1e-6 * sign, 7.5, None]
    if isinstance(value, str):
        return [value + "x", "a\u202eb", 3]
    if isinstance(value, list):
        return [value[:-1], {}]
    return [{**value, "nothing": 1}, None]


def edited(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    if value is REMOVED:
        del parent[path[-1]]
    return changed


def passing(content: Any, file: Path) -> set[str]:
    """The paths of edits that are read."""
    found = set()
    for path in places(content):
        value: Any = content
        for key in path:
            value = value[key]
        changes = [edited(content, path, new) for new in edits(value) if new != value]
        if isinstance(path[-1], str):
            changes.append(edited(content, path, REMOVED))
        for changed in changes:
            file.write_text(json.dumps(changed))
            try:
                read_result(file)
            except WsolbenchError:
                continue
            found.add("/".join(map(str, path)))
    return found


@pytest.mark.slow
def test_every_edit_is_refused(result: Result, tmp_path: Path) -> None:
    result.write(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text())
    assert read_result(tmp_path / "r.json") == result
    assert passing(content, tmp_path / "edited.json") == {"content_sha256"}
    del content["content_sha256"]  # as one who edits on purpose can do
    free = passing(content, tmp_path / "edited.json")
    assert [name for name in sorted(free) if not re.fullmatch("|".join(FREE), name)] == []


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("scores/peak_iou", 0.5, r"found peak_iou 0\.5, where its curve gives 0\.14\d+, expected"),
        ("scores/ap", 0.5, r"found ap 0\.5, where its curve gives 0\.12\d+"),
        ("scores/peak_threshold", 30, "found peak_threshold 30, where its curve gives 29"),
        ("scores/top1_cls", 0.1, r"found top1_cls 0\.1, which is no number of images of 24"),
        ("scores/top1_cls", 1.0, r"found top1_cls 1\.0 above top5_cls 0\.\d+"),
        ("scores/boundary_ods", 0.5, r"found boundary_ods 0\.5, where its curve gives 0\.09\d+"),
        ("curves/iou/3", 0.5, "found iou is not what precision and recall give at place 3 of"),
        ("curves/recall/3", 1.0, "found recall rises with the threshold at place 2 of the curves"),
        (
            "intervals/top5_cls",
            [0.0, 1 / 24],
            r"found top5_cls 0\.\d+ beside its interval \[0\.0, ",
        ),
        ("breakdowns/boxes/0/images", 7, "found groups by boxes of 23 images, where there are 24"),
        (
            "breakdowns/boxes/0/scores/top5_cls",
            3 / 8,
            r"top5_cls 0\.\d+, where groups by boxes give",
        ),
        ("curves/threshold/3", 3.5, "found thresholds of curves other than the protocol's"),
        ("comparable", False, "found invalid comparable"),
    ],
)
def test_what_is_stated_and_what_follows(
    result: Result, tmp_path: Path, path: str, value: object, found: str
) -> None:
    keys = tuple(int(key) if key.isdecimal() else key for key in path.split("/"))
    (tmp_path / "r.json").write_text(json.dumps(edited(json.loads(result.to_json()), keys, value)))
    with pytest.raises(WsolbenchError, match=found):
        read_result(tmp_path / "r.json")


@pytest.mark.parametrize("label", ["gt", "predicted"])
@pytest.mark.parametrize("rule", ["max", "fixed"])
def test_honest_results_are_read(tmp_path: Path, label: str, rule: str) -> None:
    made = evaluator(tmp_path, "sem", label)
    result = made.result(
        threshold=None if rule == "max" else 87,
        bootstrap=Bootstrap(100),
        by=["area", "boxes", "class"],
    )
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result


def test_a_result_of_another_versions_protocol_is_read_and_checked(
    result: Result, tmp_path: Path
) -> None:
    content = json.loads(result.to_json())
    fields = {**content["protocol"], "another": 1}
    del fields["sha256"]
    content["protocol"] = {**fields, "sha256": fields_sha256(fields)}
    del content["content_sha256"]
    (tmp_path / "r.json").write_text(json.dumps(content))
    assert read_result(tmp_path / "r.json").scores == result.scores
    content["scores"]["peak_iou"] = 0.9
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(WsolbenchError, match=r"peak_iou 0\.9, where its curve gives"):
        read_result(tmp_path / "r.json")
