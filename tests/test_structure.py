"""The layout holds: imports point one way, and starting up loads nothing heavy."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "wsolbench"
HEAVY = (
    *("torch", "torchvision", "matplotlib", "pandas", "numba", "scipy", "cv2", "h5py", "jinja2"),
    "sklearn",
)

ROOMS = (
    *("", "scores", "metrics", "protocols", "formats", "data", "maps", "evaluation", "baselines"),
    *("boundaries", "leaderboard", "plots", "mini", "study", "explaining", "competitions", "cli"),
)
"""From the ground up (docs/architecture.md): a room imports from itself and those before it."""

GROUND = {
    *("errors", "files", "image_ids", "images", "interrupts", "locks", "masks", "output_file"),
    *("progress", "renames", "tables", "__init__"),
}

FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "__init__.py"]


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def room(file: Path) -> str:
    """The room of a file: its folder below the package, nothing for the ground."""
    if file.parent == PACKAGE / "formats" / "untrusted":
        return ""  # pictures, which the ground reads, pass the same door
    name = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "cli" if name == "__main__" else "" if name in GROUND else name


@functools.cache
def imported(file: Path) -> set[Path]:
    """The project's own modules that a file imports, wherever in it, for types alone too."""
    found = set()
    for node in ast.walk(parsed(file)):
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
    users = {str(file.relative_to(PACKAGE)) for file in FILES if "pycocotools" in _imports(file)}
    assert users == {"masks.py"}


def _imports(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(parsed(file)):
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


@functools.cache
def listed(file: Path) -> list[str] | None:
    """The names in a module's `__all__`, or None."""
    for node in parsed(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def defined(file: Path) -> set[str]:
    """The names that a module defines or imports at its top level."""
    names: set[str] = set()
    statements = list(parsed(file).body)
    for node in statements:
        if isinstance(node, ast.If):
            statements += node.body
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_all_lists_names_that_exist(file: Path) -> None:
    names = listed(file)
    if names is not None:
        assert len(set(names)) == len(names)
        assert set(names) <= defined(file)
    docstring = ast.get_docstring(parsed(file)) or ""
    assert "Public name" not in docstring
    if any(
        isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        for node in parsed(file).body
    ):
        assert names, "list the public names in __all__"


def test_modules_import_only_listed_names_from_each_other() -> None:
    unlisted: set[str] = set()
    for file in FILES:
        for node in ast.walk(parsed(file)):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            folder = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            source = folder.with_suffix(".py")
            names = listed(source) if source.is_file() else None
            if names is not None:
                unlisted |= {
                    f"{file.relative_to(PACKAGE)}: {source.relative_to(PACKAGE)}: {alias.name}"
                    for alias in node.names
                    if alias.name not in names
                }
    assert sorted(unlisted) == []


def test_no_module_is_long() -> None:
    lengths = {file: len(file.read_text().splitlines()) for file in FILES}
    assert {str(file): length for file, length in lengths.items() if length > 600} == {}
