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

ROOMS = (
    *("", "scores", "metrics", "protocols", "formats", "data", "maps", "evaluation", "baselines"),
    *("leaderboard", "plots", "mini", "cli"),
)
"""From the ground up (docs/architecture.md): a room imports from itself and those before it."""

FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "__init__.py"]


def room(file: Path) -> str:
    """The room of a file: its folder below the package, nothing for the ground."""
    name = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return name if name in ROOMS else ""


def imported(file: Path) -> set[Path]:
    """The project's own modules that a file imports, wherever in it, for types alone too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                places = (folder / f"{alias.name}.py", folder / alias.name / "__init__.py")
                places += (folder.with_suffix(".py"), folder / "__init__.py")
                found.add(next(place for place in places if place.is_file()))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wsolbench"):
            raise AssertionError(f"{file}: use relative imports")
    return found - {PACKAGE / "__init__.py"}


def test_every_folder_is_a_room() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders <= set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    own = ROOMS.index(room(file))
    above = {other for other in imported(file) if ROOMS.index(room(other)) > own}
    assert {str(other.relative_to(PACKAGE)) for other in above} == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    arrows = {file: imported(file) for file in FILES}

    def at_an_end(file: Path) -> bool:
        reached = set().union(*arrows.values())
        return file not in reached or not arrows[file] & arrows.keys()

    while free := [file for file in arrows if at_an_end(file)]:
        for file in free:
            del arrows[file]
    assert sorted(str(file.relative_to(PACKAGE)) for file in arrows) == []


def test_metrics_know_arrays_alone() -> None:
    used = set().union(*(imported(file) for file in (PACKAGE / "metrics").glob("*.py")))
    allowed = {PACKAGE / "errors.py", PACKAGE / "scores.py"}
    assert {file for file in used if room(file) != "metrics"} <= allowed


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
