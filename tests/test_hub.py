"""Files for the Hugging Face Hub: huggingface_hub and PyYAML read them back, offline."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import annotation, random_dataset, random_maps
from wsolbench.cli import cli
from wsolbench.competitions.hub import task_id, write_hub, yaml_text
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, AnnotationStore, Source, write_store
from wsolbench.formats.result import Bootstrap, Result, Threshold
from wsolbench.formats.submission.reader import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.masks import RunLengths, decode
from wsolbench.scores import SCORES

yaml = pytest.importorskip("yaml", reason="the files are YAML: PyYAML reads them back")

COUNT = 6
ID = "someone/random-masks"


def submit(path: Path, dataset: Dataset, name: str, seed: int = 0) -> Path:
    header = SubmissionHeader(dataset.name, dataset.split, "gt", "none", {"name": name})
    with SubmissionWriter(path, header) as writer:
        writer.append(dataset.image_ids, random_maps(len(dataset), seed))
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnnotationStore, list[Result]]:
    """Two methods on one split, of which one has intervals."""
    folder = tmp_path_factory.mktemp("hub")
    dataset = random_dataset(folder / "random.h5", COUNT)
    found = [
        evaluate(dataset, submit(folder / f"{seed}.h5", dataset, name, seed), bootstrap=drawn)
        for seed, (name, drawn) in enumerate((("CAM", Bootstrap(30)), ("Grad: CAM #2", None)))
    ]
    return dataset.store, found


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_huggingface_hub_reads_the_results_back(
    results: tuple[AnnotationStore, list[Result]], tmp_path: Path
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="it defines what it reads")

    store, (cam, other) = results
    link = "https://example.org/entry.json"
    files = write_hub(tmp_path / "hub", [cam, other], ID, source=link, date="2026-11-27")
    names = [file.relative_to(tmp_path / "hub").as_posix() for file in files]
    assert names == [
        "models/cam/.eval_results/sem_v2_val.yaml",
        "models/grad-cam-2/.eval_results/sem_v2_val.yaml",
    ]
    from huggingface_hub.constants import EVAL_RESULTS_FOLDER

    assert files[0].parent.name == EVAL_RESULTS_FOLDER
    for file, result in zip(files, (cam, other), strict=True):
        content = read(file)
        entries = hub.parse_eval_result_entries(content)
        assert hub.eval_result_entries_to_yaml(entries) == content
        shown = [key for key in result.scores if SCORES[key].shown and not SCORES[key].is_threshold]
        assert {entry.task_id: entry.value for entry in entries} == {
            task_id(result, key): result.scores[key] for key in shown
        }
        for entry in entries:
            assert (entry.dataset_id, entry.date) == (ID, "2026-11-27")
            assert (entry.source_url, entry.source_name) == (link, "wsolbench")
            assert f"annotations:random/val/{store.content_sha256[:8]}" in entry.notes
            assert ("; interval [" in entry.notes) == (result is cam)


def test_tasks_differ_where_numbers_must_not_be_compared(
    results: tuple[AnnotationStore, list[Result]],
) -> None:
    cam = results[1][0]
    fixed = replace(cam, threshold=Threshold("fixed", pixel=128, box=128))
    predicted = replace(cam, label="predicted", split="test-2")
    assert task_id(cam, "peak_iou") == task_id(fixed, "peak_iou") == "sem_v2_val_peak_iou"
    assert task_id(cam, "gt_known_loc") == "sem_v2_val_gt_known_loc_at_max"
    assert task_id(fixed, "gt_known_loc") == "sem_v2_val_gt_known_loc_at_fixed_128"
    own = replace(cam, threshold=Threshold("per_image", per_image="max:0.2"))
    assert task_id(own, "gt_known_loc") == "sem_v2_val_gt_known_loc_at_max_0.2"
    apart = replace(cam, threshold=Threshold("fixed", pixel=50, box=128))
    assert task_id(apart, "gt_known_loc") == "sem_v2_val_gt_known_loc_at_fixed_128"
    assert task_id(predicted, "ap") == "sem_v2_test_2_predicted_ap"


def test_the_data_set_has_a_card_tasks_and_tables(
    results: tuple[AnnotationStore, list[Result]], tmp_path: Path
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="it reads the card")
    store, (cam, _) = results
    write_hub(
        tmp_path / "hub", [cam], ID, store=store, scores=["ap", "peak_iou"], licence="cc0-1.0"
    )
    folder = tmp_path / "hub" / "dataset"
    tasks = read(folder / "eval.yaml")
    assert tasks["evaluation_framework"] == "wsolbench"
    assert tasks["tasks"] == [
        {"id": f"sem_v2_val_{key}", "config": "default", "split": "val"}
        for key in ("ap", "peak_iou")
    ]
    (published,) = (tmp_path / "hub" / "models" / "cam").rglob("*.yaml")
    assert [own["dataset"]["task_id"] for own in read(published)] == [
        "sem_v2_val_peak_iou",
        "sem_v2_val_ap",
    ]
    card = hub.DatasetCard.load(folder / "README.md")
    about = card.data.to_dict()
    assert about["license"] == "cc0-1.0"
    assert about["size_categories"] == ["n<1K"]
    assert about["configs"][0]["data_files"] == [{"split": "val", "path": "data/val.jsonl"}]
    assert "| val | 6 |" in card.text
    assert "| `sem_v2_val_ap` | AP | val |" in card.text
    assert store.content_sha256 in card.text

    rows = [json.loads(line) for line in (folder / "data" / "val.jsonl").read_text().splitlines()]
    assert [row["image_id"] for row in rows] == list(store.image_ids)
    for place, row in enumerate(rows):
        lengths = RunLengths(row["height"], row["width"], row["mask"].encode())
        assert np.array_equal(decode(lengths), store.mask(place))
        assert row["boxes"] == store.boxes(place).tolist()
        assert row["class_index"] == store.class_indices[place]


HOSTILE = '"]\n---\nlicense: mit # | <b>x</b> \u2028 \U0001f600 \\ \x7f'


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """Of sources and methods, in the card, its metadata and the results."""
    pytest.importorskip("huggingface_hub", reason="it reads the card")
    from huggingface_hub import DatasetCard

    mask = np.eye(3, dtype=np.bool_)
    content = AnnotationSet(
        "drawn",
        [annotation("a", mask, class_index=-1)],
        sources=[Source(HOSTILE, "0" * 64, HOSTILE, HOSTILE)],
    )
    write_store(tmp_path / "drawn.h5", content)
    dataset = Dataset.open(tmp_path / "drawn.h5")
    scored = evaluate(dataset, submit(tmp_path / "maps.h5", dataset, "CAM"))
    source = Threshold("carried", 3, 4, {"method": HOSTILE, "split": "val"})
    result = replace(scored, method={"name": HOSTILE}, threshold=source)
    write_hub(tmp_path / "hub", [result], ID, store=dataset.store)
    card = DatasetCard.load(tmp_path / "hub" / "dataset" / "README.md")
    assert "license" not in card.data.to_dict()
    assert "<b>" not in card.text
    assert len(re.findall("^---$", card.content, re.MULTILINE)) == 2
    (published,) = (tmp_path / "hub" / "models").rglob("*.yaml")
    assert all(set(own) == {"dataset", "value", "notes"} for own in read(published))


VALUES: list[Any] = [
    *(0, 1, 255, 0.0, 1.0, 0.1, 1e-05, 1e-17, 5e-324, 1 / 3, 0.30000000000000004, -0.5, 1e300),
    *("", "yes", "null", "0.5", "2026-11-27", "a: b", "- a", "#", "é \U0001f600", "\\n", '"'),
]


def test_yaml_reads_every_value_back_with_its_type() -> None:
    for value in VALUES:
        (found,) = yaml.safe_load(yaml_text([value]))
        assert (found, type(found)) == (value, type(value))
    nested = {"a": [{"b": 1, "c": [{"d": "e"}]}, {"b": 2.5}], "f": {"g": "h"}, "i": ["j"]}
    assert yaml.safe_load(yaml_text(nested)) == nested


def test_what_cannot_be_published_is_refused(
    results: tuple[AnnotationStore, list[Result]], tmp_path: Path
) -> None:
    store, (cam, other) = results
    moved = replace(other, annotations_sha256="0" * 64)
    for own, options, message in (
        ([], {}, "results: none"),
        ([replace(cam, limit=3)], {}, "found a result of a trial, expected the result of a whole"),
        ([replace(cam, counts={"missing": 2})], {}, "found 2 missing images"),
        ([cam, cam], {}, "found two results of one method, protocol and split"),
        ([cam, moved], {}, "found annotations_sha256 0000"),
        ([moved], {"store": store}, "expected 00000000, on which the results were scored"),
        ([cam], {"scores": ["ap", "nothing"]}, "--scores: found nothing, expected peak_iou, "),
        ([cam], {"source": "http://x"}, "--source: found 'http://x'"),
        ([cam], {"date": "27.11.2026"}, "--date: found '27.11.2026', expected YYYY-MM-DD"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            write_hub(tmp_path / "hub", own, ID, **options)
    with pytest.raises(WsolbenchError, match="--dataset-id: found 'name', expected OWNER/NAME"):
        write_hub(tmp_path / "hub", [cam], "name")
    assert not (tmp_path / "hub").exists()


def test_the_command_writes_the_same(
    results: tuple[AnnotationStore, list[Result]], tmp_path: Path
) -> None:
    store, (cam, other) = results
    for name, result in (("cam", cam), ("other", other)):
        result.write(tmp_path / f"{name}.json")
    arguments = [
        *("export", "hub", str(tmp_path / "cam.json"), str(tmp_path / "other.json")),
        *("--dataset-id", ID, "--annotations", str(store.path), "--scores", "peak_iou, ap"),
        *("--out", str(tmp_path / "hub")),
    ]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    expected = write_hub(
        tmp_path / "again", [cam, other], ID, store=store, scores=["peak_iou", "ap"]
    )
    written = [Path(line) for line in done.output.splitlines()]
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in expected]
    with pytest.raises(WsolbenchError, match="hub: found a folder that is not empty, expected an"):
        write_hub(tmp_path / "hub", [cam], ID)
