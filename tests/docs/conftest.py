"""The demo's folder, made once for all tests of the documentation."""

from __future__ import annotations

import fcntl
import os
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest

from wsolbench.formats.annotations import write_store
from wsolbench.mini.scenes import write_benchmark

NEEDED = (
    *("torch", "torchvision", "torchmetrics", "matplotlib", "jinja2", "sklearn"),
    "pytorch_grad_cam",
)
LACKING = [package for package in NEEDED if find_spec(package) is None]
"""Without one of these, the demo is not run, and neither are pages that take its maps."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `wsolbench demo --out demo` writes; where packages are lacking, its scenes alone."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "demo"
    with open(base / "demo.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker makes it, the others wait
        if not (folder / "done").exists():
            if not LACKING:
                from wsolbench.mini.demo import run_demo

                run_demo(folder, say=lambda line: None, progress_bar=lambda title: nullcontext())
            else:
                _, content = write_benchmark(folder)
                write_store(folder / "mini.h5", content)
            (folder / "done").touch()
    return folder


@pytest.fixture
def beside_demo(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder in which `wsolbench demo --out demo` was run."""
    os.symlink(demo, tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path
