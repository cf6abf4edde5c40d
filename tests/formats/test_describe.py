"""What is said of a file: a summary of annotations and submissions, all of a result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_dataset
from wsolbench import __version__
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.describe import describe, is_hdf5, versions
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter


def test_each_kind_of_file_is_described(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "store.h5", 4)
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "ones"})
    with SubmissionWriter(tmp_path / "maps.h5", header) as writer:
        for index, image_id in enumerate(dataset.image_ids):
            writer.append([image_id], np.ones((1, 2 + index // 2, 3), np.float32))
    evaluate(dataset, tmp_path / "maps.h5").write(tmp_path / "result.json")

    store = describe(tmp_path / "store.h5")
    assert store.pop("content_sha256") == dataset.store.content_sha256
    assert (store.pop("sources"), store.pop("notes"), store.pop("class_names")) == ([], [], 0)
    assert store == {
        "kind": "annotations",
        "dataset": "random",
        "images": 4,
        "splits": {"val": 4},
        "with_class": 4,
        "masks": 4,
        "boxes": 1 + 2 + 3 + 1,
        "ignored_pixels": False,
    }
    maps = describe(tmp_path / "maps.h5")
    assert len(maps.pop("sha256")) == 64
    assert maps == {
        "kind": "submission",
        "format_version": 2,
        "dataset": "random",
        "split": "val",
        "label": "gt",
        "normalisation": "none",
        "method": {"name": "ones"},
        "maps": 4,
        "sizes": "2 sizes, 2x3 to 3x3",
        "dtype": "float32",
        "top5": False,
        "boxes": False,
        "windows": False,
    }
    result = json.loads((tmp_path / "result.json").read_text())
    assert describe(tmp_path / "result.json") == {"kind": "result", **result}
    assert [is_hdf5(tmp_path / name) for name in ("maps.h5", "result.json")] == [True, False]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WsolbenchError, match="no such file, expected annotations, a submission"):
        describe(tmp_path / "none.h5")
    (tmp_path / "short.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(WsolbenchError, match=r"short\.h5"):
        describe(tmp_path / "short.h5")


def test_versions_need_no_package_to_work() -> None:
    found = versions()
    assert found["wsolbench"] == __version__
    assert found["numpy"] == np.__version__
    assert found["loops"] in ("built with the package", "compiled by numba")
    program = "import sys; sys.modules['h5py'] = sys.modules['numpy'] = None\n"
    program += "from wsolbench.formats.describe import versions; print(versions()['h5py'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == found["h5py"], done.stderr
