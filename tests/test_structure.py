"""The layout holds: imports point one way, and starting up loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "wsolbench"
HEAVY = ("torch", "torchvision", "matplotlib", "pandas", "numba", "scipy", "cv2", "h5py", "jinja2")

LAYERS = [
    {"errors"},
    {"files", "progress", "image_ids", "images", "protocols", "normalisations"},
    {"masks", "metrics", "adapters"},
    {"store", "submission", "submission_rules", "submission_writer", "hdf5_gate", "journal"}
    | {"results", "thresholds", "entries", "standings", "site"},
    {"dataset", "torch_dataset", "importers", "export"},
    {"evaluation", "reproductions", "tallies", "groups", "counts", "comparison", "cases"}
    | {"overlays", "gallery", "map_files"},
    {"baselines", "plots", "leaderboard"},
    {"mini"},
    {"cli"},
]
"""From the bottom up; a module imports from its own layer and those below."""


def rank(module: str) -> int:
    return next(place for place, layer in enumerate(LAYERS) if module in layer)


def imported(file: Path) -> set[str]:
    """The project's own modules that a file imports, as their top-level names."""
    found: set[str] = set()
    parts = file.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = list(parts[: len(parts) - node.level + 1])
            path = [*base, *(node.module.split(".") if node.module else [])]
            found |= {path[0]} if path else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wsolbench"):
            raise AssertionError(f"{file}: use relative imports")
    return found - {"__version__", "__init__"}


FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    above = {module for module in imported(file) if rank(module) > rank(own)}
    assert above == set()


def test_metrics_know_arrays_alone() -> None:
    used = set().union(*(imported(file) for file in (PACKAGE / "metrics").glob("*.py")))
    assert used <= {"metrics", "errors"}


def test_only_masks_knows_pycocotools() -> None:
    users = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        if "pycocotools" in _imports(file.read_text())
    }
    assert users == {"masks.py"}


def _imports(text: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize(
    "statement",
    [
        "import wsolbench",
        "import wsolbench.cli",
        "import sys; sys.argv = ['wsolbench', '--help']; from wsolbench.cli import cli\n"
        "cli.main(standalone_mode=False)",
        "from wsolbench.cli import cli; cli.main(['evaluate', '--help'], standalone_mode=False)",
        "from wsolbench.cli import cli; cli.main(['import', '--help'], standalone_mode=False)",
    ],
)
def test_starting_up_loads_nothing_heavy(statement: str) -> None:
    program = f"{statement}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_public_names_are_there() -> None:
    import wsolbench

    for name in wsolbench.__all__:
        assert getattr(wsolbench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = wsolbench.nothing
