"""The same bytes, however a submission is laid out, read, threaded and scored.

Each test changes one thing that must not matter and compares the bytes of everything that an
evaluation gives: results with intervals and groups, per-image statistics, the table of images.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.conftest import annotation, random_blob
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation import blocks
from wsolbench.evaluation.counts import write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import Request, evaluate
from wsolbench.evaluation.run import run as run_request
from wsolbench.formats.annotations import Annotation, AnnotationSet, write_store
from wsolbench.formats.result import Bootstrap
from wsolbench.formats.submission import scan, writer
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.mini.scenes import write_benchmark
from wsolbench.tables import write_columns

ROOT = Path(__file__).resolve().parents[2]
COUNT = 140
"""More than one block of images."""

HEADER = SubmissionHeader("random", "val", "gt", "none", {"name": "noise", "backbone": "dice"})
SEM_ALONE: dict[str, Any] = {"by": ("area", "boxes", "class"), "per_image": True}
OTHERS = ("dawsol-piou",) if find_spec("cv2") else ()
"""Protocols whose steps run one by one, with OpenCV."""

IN_ORDER = np.arange(COUNT)
SHUFFLED = np.random.default_rng(5).permutation(COUNT)


@dataclass(frozen=True)
class Columns:
    """What a submission says of the images, by their place in the data set."""

    maps: Sequence[np.ndarray]
    edges: Sequence[np.ndarray]
    top5: np.ndarray

    def of(self, rows: Sequence[int]) -> dict[str, Any]:
        """The arguments of `append` and `update` for some images."""
        listed = [*rows]
        return {
            "maps": [self.maps[row] for row in listed],
            "edges": [self.edges[row] for row in listed],
            "top5": self.top5[listed],
        }


def parts(rows: np.ndarray, size: int) -> list[list[int]]:
    """The rows in runs of a size, the last of them shorter."""
    return [rows[first : first + size].tolist() for first in range(0, len(rows), size)]


@pytest.fixture(scope="module")
def annotations() -> list[Annotation]:
    rng = np.random.default_rng(0)
    return [
        annotation(
            f"image_{index:03}",
            random_blob(rng, *rng.integers(12, 30, size=2)),
            class_index=int(rng.integers(7)),
        )
        for index in range(COUNT)
    ]


@pytest.fixture(scope="module")
def columns() -> Columns:
    rng = np.random.default_rng(1)
    return Columns(
        maps=rng.integers(0, 256, (COUNT, 6, 7), dtype=np.uint8),
        edges=rng.integers(0, 256, (COUNT, 8, 8), dtype=np.uint8),
        top5=np.stack([rng.permutation(7)[:5] for _ in range(COUNT)]).astype(np.int32),
    )


@pytest.fixture(scope="module")
def folder(
    annotations: list[Annotation], columns: Columns, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the annotation file random.h5 and the submission s.h5."""
    path = tmp_path_factory.mktemp("determinism")
    write_store(path / "random.h5", AnnotationSet("random", annotations))
    submit(path / "s.h5", columns)
    return path


def submit(path: Path, columns: Columns, order: np.ndarray = IN_ORDER, batch: int = 64) -> Path:
    with SubmissionWriter(path, HEADER) as opened:
        for rows in parts(order, batch):
            opened.append([f"image_{row:03}" for row in rows], **columns.of(rows))
    return path


def scored(submission: Path, annotations: Path, folder: Path, jobs: int = 2) -> dict[str, bytes]:
    """Everything that evaluations give, as the bytes of files.

    The hash of the submission, which states its layout, is left out.
    """
    found = {}
    for protocols, options in (("sem",), SEM_ALONE), (OTHERS, {}):
        if not protocols:
            continue
        outcome = run_request(
            Request(
                *(submission, annotations),
                protocols=protocols,
                bootstrap=Bootstrap(20, seed=3),
                counts=True,
                jobs=jobs,
                **options,
            )
        )
        for name, counts in zip(protocols, outcome.counts, strict=True):
            result = replace(counts.result, submission_sha256="")
            found[f"{name} result"] = result.to_json().encode()
            write_counts(folder / "c.npz", replace(counts, result=result))
            found[f"{name} counts"] = (folder / "c.npz").read_bytes()
        if outcome.table:
            write_columns(folder / "t.csv", outcome.table)
            found["table"] = (folder / "t.csv").read_bytes()
    return found


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, bytes]:
    found = scored(folder / "s.h5", folder / "random.h5", folder, jobs=1)
    scores = json.loads(found["sem result"])["scores"]
    assert {"boundary_ods", "peak_iou", "top1_loc"} <= scores.keys()
    assert b"image_139" in found["table"]
    return found


@pytest.mark.parametrize("jobs", [2, 5])
def test_jobs(folder: Path, expected: dict[str, bytes], tmp_path: Path, jobs: int) -> None:
    assert scored(folder / "s.h5", folder / "random.h5", tmp_path, jobs) == expected


def test_order_of_images_in_the_submission(
    folder: Path, columns: Columns, expected: dict[str, bytes], tmp_path: Path
) -> None:
    path = submit(tmp_path / "shuffled.h5", columns, SHUFFLED)
    with Submission.open(path) as opened:
        assert opened.image_ids[0] == f"image_{SHUFFLED[0]:03}"
    assert scored(path, folder / "random.h5", tmp_path) == expected


def ragged(file: h5py.File, name: str, **options: Any) -> None:
    """Store dense planes as one run of values, with their offsets and shapes."""
    planes = file[name][()]
    del file[name]
    count, height, width = planes.shape
    file[f"{name}/offsets"] = np.arange(count + 1, dtype="<i8") * height * width
    file[f"{name}/shapes"] = np.tile(np.int32([height, width]), (count, 1))
    file.create_dataset(f"{name}/values", data=planes.reshape(-1), **options)


def dense(file: h5py.File, name: str, **options: Any) -> None:
    """Store the same planes in other chunks."""
    planes = file[name][()]
    del file[name]
    file.create_dataset(name, data=planes, **options)


@pytest.mark.parametrize(
    "store, options",
    [
        (dense, {"chunks": (1, 6, 7)}),
        (dense, {"chunks": (64, 4, 5), "compression": "gzip", "compression_opts": 9}),
        (ragged, {}),
        (ragged, {"chunks": (77,), "compression": "gzip", "compression_opts": 1}),
    ],
)
def test_layout_of_the_submission(
    folder: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    store: Callable[..., None],
    options: dict[str, Any],
) -> None:
    path = tmp_path / "other.h5"
    path.write_bytes((folder / "s.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        store(file, "maps", **options)
        store(file, "edges", **options)
    assert scored(path, folder / "random.h5", tmp_path) == expected


@pytest.mark.parametrize("size", [1, 500])
def test_batch_size_of_reading(
    folder: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> None:
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", size)
    monkeypatch.setattr(scan, "BLOCK_BYTES", size)
    assert scored(folder / "s.h5", folder / "random.h5", tmp_path) == expected


@pytest.mark.parametrize("batch, block", [(1, 1 << 20), (140, 1 << 20), (7, 100)])
def test_batch_size_of_writing(
    folder: Path,
    columns: Columns,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    block: int,
) -> None:
    monkeypatch.setattr(writer, "_BLOCK_BYTES", block)
    path = submit(tmp_path / "s.h5", columns, batch=batch)
    assert path.read_bytes() == (folder / "s.h5").read_bytes()


@pytest.mark.parametrize("order", [IN_ORDER[::-1], SHUFFLED], ids=["reversed", "shuffled"])
def test_order_of_the_annotations(
    folder: Path, annotations: list[Annotation], tmp_path: Path, order: np.ndarray
) -> None:
    given = [annotations[row] for row in order]
    write_store(tmp_path / "random.h5", AnnotationSet("random", given))
    assert (tmp_path / "random.h5").read_bytes() == (folder / "random.h5").read_bytes()


def test_layers(
    run: Run,  # noqa: F811
    folder: Path,
    columns: Columns,
    tmp_path: Path,
) -> None:
    dataset = Dataset.open(folder / "random.h5", "val")
    kinds = SEM_ALONE["by"]
    chosen = {"bootstrap": Bootstrap(20, seed=3), "by": kinds}
    by_hand = Evaluator(
        dataset, metrics=("pixel", "box", "boundary"), header=HEADER, keep_images=True
    )
    for rows in parts(SHUFFLED, 11):
        by_hand.update([f"image_{row:03}" for row in rows], **columns.of(rows))
    with Submission.open(folder / "s.h5") as opened:
        result = by_hand.result(submission_sha256=opened.sha256, **chosen)
    result.write(tmp_path / "hand.json")
    write_counts(tmp_path / "hand.counts.npz", by_hand.counts(result))
    write_columns(tmp_path / "hand.csv", by_hand.image_table(result))

    run(
        *("evaluate", folder / "s.h5", "--annotations", folder / "random.h5", "--quiet"),
        *("--bootstrap", 20, "--seed", 3, "--by", ",".join(kinds)),
        *("--out", "cli.json", "--counts", "--per-image", "cli.csv"),
    )
    evaluate(folder / "random.h5", folder / "s.h5", **chosen).write(tmp_path / "function.json")
    one = (tmp_path / "cli.json").read_bytes()
    assert (tmp_path / "function.json").read_bytes() == one
    assert (tmp_path / "hand.json").read_bytes() == one
    for ending in (".counts.npz", ".csv"):
        assert (tmp_path / f"hand{ending}").read_bytes() == (tmp_path / f"cli{ending}").read_bytes()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("scenes")
    images, content = write_benchmark(folder, val=9, test=0)
    write_store(folder / "mini.h5", content)
    return Dataset.open(folder / "mini.h5", "val", images)


@pytest.mark.parametrize("threads, batch", [(1, 9), (2, 4), (2, 1)])
def test_maps_of_a_network_by_threads_and_batches(
    photos: Dataset, tmp_path: Path, threads: int, batch: int
) -> None:
    torch = pytest.importorskip("torch", reason="of predictions")
    from wsolbench.baselines.predict import predict
    from wsolbench.mini.classifier import load

    before = torch.get_num_threads()
    found = []
    for count, size in ((2, 9), (threads, batch)):
        torch.set_num_threads(count)
        path = tmp_path / f"{count}-{size}.h5"
        options: dict[str, Any] = {"device": "cpu", "batch_size": size, "overwrite": True}
        predict(load(), photos, path, method="sem", size=64, seeds=0.1, workers=0, **options)
        found.append(path.read_bytes())
    torch.set_num_threads(before)
    assert found[0] == found[1]


CHAIN = """
import sys
import numpy as np
from PIL import Image
from pathlib import Path
from wsolbench.cli import main

rng = np.random.default_rng(0)
for folder in ("masks", "maps"):
    Path(folder).mkdir()
rows = ["image_id,class_index,split"]
for index in range(40):
    side = 20 + index
    Image.fromarray(rng.random((side, 30)) < (1 + index) / 41).save(f"masks/im{index:02}.png")
    Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).save(f"maps/im{index:02}.png")
    rows.append(f"im{index:02},{index % 5},val")
Path("table.csv").write_text("\\n".join(rows) + "\\n")
for line in sys.argv[1:]:
    sys.argv = ["wsolbench", *line.split()]
    try:
        main()
    except SystemExit as left:
        assert left.code == 0, line
"""
"""A folder of masks and maps, then commands on it in one process."""

COMMANDS = (
    "import masks masks --table table.csv --dataset toy --out toy.h5",
    "import-maps maps --annotations toy.h5 --out s.h5 --name folder --normalise min-max --quiet",
    "predict trivial:noise --annotations toy.h5 --out n.h5 --quiet",
    "predict trivial:centre-gaussian --annotations toy.h5 --out g.h5 --quiet",
    "evaluate s.h5 --annotations toy.h5 --bootstrap 20 --by area,class --counts "
    "--out s.json --per-image s.csv --quiet",
    "evaluate g.h5 --annotations toy.h5 --out g.json --quiet",
    "export coco toy.h5 --out coco.json",
)
SETTINGS = {
    "hash seed": {"PYTHONHASHSEED": "4242"},
    "locale and time zone": {"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de", "TZ": "Pacific/Kiritimati"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "threads": {f"{library}_NUM_THREADS": "1" for library in ("NUMBA", "OMP", "OPENBLAS", "MKL")},
}


def chain(folder: Path, **changes: str) -> dict[str, bytes]:
    """The files that the commands write in an environment with some changes."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CHAIN, *COMMANDS],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", **changes},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
    return {**written, "printed": done.stdout.encode()}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    found = chain(tmp_path_factory.mktemp("usual") / "work")
    assert {"toy.h5", "s.h5", "s.json", "s.counts.npz", "s.csv", "coco.json"} <= found.keys()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_environment(usual: dict[str, bytes], tmp_path: Path, name: str) -> None:
    found = chain(tmp_path / "work", **SETTINGS[name])
    assert {key for key in usual if found[key] != usual[key]} == set()
    assert found.keys() == usual.keys()
