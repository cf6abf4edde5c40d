"""The extension of loops: what it takes, what it leaves alone, and that numba gives the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.metrics import bin_kernels, compiled, kernels, outline_kernels

needs_extension = pytest.mark.skipif(
    not compiled.uses_extension(),
    reason="no extension of these loops: pip install -e . builds it, where there is a compiler",
)

PROGRAM = """
import hashlib, sys
import numpy as np
from wsolbench.metrics import bin_kernels, boundary_kernels, compiled, kernels, outline_kernels
from wsolbench.metrics import segments, sum_kernels

def told(name, *found):
    digest = hashlib.sha256()
    for array in found:
        digest.update(f"{np.asarray(array).dtype} {np.shape(array)}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    print(name, digest.hexdigest())

rng = np.random.default_rng(0)
coarse = (rng.random((9, 11)) * 255).astype(np.float32)
levels = kernels.upsample_levels(coarse, 60, 83)
mask = rng.random((60, 83)) < 0.3
told("upsample", levels)
told("count", kernels.count_levels(levels, mask, np.zeros((0, 0), np.bool_)))
told("flood", kernels.flood_boxes(levels))
told("segments", *segments.segment_boxes(levels, 1, 1 << 24))
told("limits", segments.most_segments(60, 83, 12), segments.most_bytes(60, 83))
components = outline_kernels.components(levels, 8)
truth = np.array([[3.0, 4.0, 50.0, 40.0]])
told("components", components, outline_kernels.drains(levels))
told("outlines", *outline_kernels.largest_outlines(levels, components))
told("every", outline_kernels.every_outline(components, components, 60, 83, truth, True, 1))
values = rng.random(1000)
for kind in (np.float32, np.float64):
    told("bins", bin_kernels.bins_of(values.astype(kind), np.linspace(0, 1, 101)))
bins = bin_kernels.bins_of(values, np.linspace(0, 1, 101))
told("histogram", bin_kernels.count_bins(bins, 101, values < 0.5, np.zeros(0, np.bool_)))
weights = rng.integers(0, 4, (20, 30)).astype(np.uint16)
columns = np.sort(rng.integers(0, 9, (20, 12)), axis=1)
told("changes", sum_kernels.add_changes(weights, columns))
told("weighted", sum_kernels.add_weighted(np.ascontiguousarray(weights.T), columns))
told("steps", *sum_kernels.curve_steps(rng.integers(0, 99, (5, 2, 256)), True))
told("otsu", sum_kernels.otsu_levels(rng.integers(0, 99, (5, 256))))
told("suppress", boundary_kernels.suppress(levels))
told("resize", boundary_kernels.resize_levels(coarse, 60, 83))
thin = boundary_kernels.thin_picture(mask)
told("thin", thin)
offsets = np.array([[0, 0], [0, 1], [1, 0], [0, -1], [-1, 0]])
pairs = boundary_kernels.pair_count(thin, levels, 100, offsets)
cuts = np.arange(100, 255, 20)
told("curve", boundary_kernels.level_curve(levels, thin, offsets, cuts, True, pairs), pairs)
boxes = kernels.flood_boxes(levels)[None]
told("overlaps", kernels.overlaps(boxes, truth.astype(np.int32), np.array([0, 1])))
print(compiled.uses_extension())
"""


@pytest.mark.slow
@needs_extension
def test_numba_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    built = _printed()
    monkeypatch.setenv("WSOLBENCH_KERNELS", "numba")
    called = _printed()
    assert built[-1] == "True"
    assert called[-1] == "False"
    assert built[:-1] == called[:-1]


def _printed() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_extension
def test_numba_is_not_loaded() -> None:
    program = "import sys, wsolbench.evaluation.run; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@needs_extension
@pytest.mark.parametrize(
    "levels, found",
    [
        (np.zeros((3, 4), np.int16), "int16 array of 2 axes"),
        (np.zeros((3, 4), np.uint8).T, "uint8 array of 2 axes, not contiguous"),
        (np.zeros(3, np.uint8), "uint8 array of 1 axes"),
        ([[0]], "list"),
    ],
)
def test_other_arrays_are_refused(levels: object, found: str) -> None:
    told = f"arguments of flood_boxes: found {found}, expected uint8 array of 2 axes; convert"
    with pytest.raises(WsolbenchError, match=told):
        kernels.flood_boxes(levels)  # type: ignore[arg-type]


@needs_extension
@pytest.mark.parametrize("side", [5.5, "5", np.float32(5), None])
def test_other_numbers_are_refused(side: object) -> None:
    with pytest.raises(WsolbenchError, match="expected float32 array of 2 axes, integer, integer"):
        kernels.upsample_levels(np.zeros((2, 2), np.float32), side, 6)  # type: ignore[arg-type]


def test_without_a_compiler_numba_is_left_to_do_it(tmp_path: Path) -> None:
    root = Path(compiled.__file__).parents[2]
    built = shutil.ignore_patterns("__pycache__", "_compiled.*")
    shutil.copytree(root / "wsolbench", tmp_path / "wsolbench", ignore=built)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path)
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=tmp_path,
        env={**os.environ, "CC": "/bin/false", "CXX": "/bin/false"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "the loops are left to numba" in done.stderr
    assert not list(tmp_path.rglob("_compiled.*"))


@needs_extension
def test_the_kind_of_array_chooses_the_loop() -> None:
    edges = np.linspace(0, 1, 11)
    single = bin_kernels.bins_of(np.array([0.1], np.float32), edges)
    double = bin_kernels.bins_of(np.array([0.1]), edges)
    assert single.tolist() == double.tolist() == [1]  # float32's 0.1 is above float64's


@needs_extension
def test_an_error_in_a_loop_is_raised() -> None:
    nothing = np.zeros(1, np.bool_)
    with pytest.raises(ValueError, match="a value below the first bin"):
        bin_kernels.count_bins(np.array([9], np.uint16), 3, nothing, nothing)


@needs_extension
def test_loops_release_the_lock() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (1200, 1200), dtype=np.uint8)
    worker = threading.Thread(target=outline_kernels.components, args=(levels, 8))
    worker.start()
    turns = 0
    while worker.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 10  # with the lock held, two or three


def test_an_extension_that_does_not_load_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wsolbench.metrics._compiled", ModuleType("_compiled"))
    assert compiled._extension() is None


def test_another_choice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSOLBENCH_KERNELS", "Numba")
    with pytest.raises(WsolbenchError, match="found Numba, expected numba, or nothing; set or un"):
        compiled._extension()


def test_every_file_of_loops_is_a_source() -> None:
    files = Path(compiled.__file__).parent.glob("*.py")
    marked = {file.stem for file in files if "from .compiled import" in file.read_text()}
    assert marked == set(compiled.SOURCES)


def test_changed_loops_are_left_to_numba(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in compiled.SOURCES:
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "compiled.py"))
    assert compiled._extension() is None
    (tmp_path / "kernels.py").unlink()
    assert compiled.sources() == -1
    assert compiled._extension() is None


@pytest.mark.parametrize(
    "caller, names", [(kernels, ("flood", "segments")), (outline_kernels, ("flood",))]
)
def test_numba_compiles_callers_again_when_what_they_call_changes(
    caller: ModuleType, names: tuple[str, ...]
) -> None:
    files = [Path(compiled.__file__).with_name(f"{name}.py") for name in names]
    found = zlib.crc32(b"".join(file.read_bytes() for file in files))
    assert f"0x{found:08X}" == f"0x{caller.CALLED:08X}"  # to be stated there
