"""What the project shows in public: its workflows, source archive and pages for contributors."""

from __future__ import annotations

import re
import runpy
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
ACTION = r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+"
ADDRESS = re.compile(r"https?://[^\s)>\"']*(?:pypi|anaconda|npmjs)")
ALWAYS = {"MANIFEST.in", "LICENSE", "README.md", "pyproject.toml", "setup.cfg", "setup.py"}
"""What setuptools takes into every source archive."""


def read(path: Path) -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml", reason="reads the workflows")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(path)["jobs"]
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def pythons() -> list[str]:
    """The versions of setup.cfg's classifiers, in their order."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    found = re.findall(r"Python :: (3\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE)
    assert config["options"]["python_requires"] == f">={found[0]}"
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_few_rights_and_pinned_actions(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    content = read(path)
    assert content["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in content["jobs"].values())
    used = re.findall(r"\buses: *(.*)", text)
    assert [name for name in used if not re.fullmatch(ACTION, name)] == []
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    for word in ("secrets", "pull_request_target", "password"):
        assert word not in text
    commands = "\n".join(step["run"] for step in steps(path) if "run" in step)
    assert set(re.findall(r"\$\{\{ *([\w.-]+)", commands)) <= {"matrix.tests"}


def test_one_action_has_one_version() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, pin in re.findall(r"uses: (\S+)@(.*)", path.read_text(encoding="utf-8")):
            pins.setdefault(name, set()).add(pin)
    assert {name: pin for name, pin in pins.items() if len(pin) > 1} == {}


def test_only_the_publishing_jobs_may_prove_who_they_are() -> None:
    rights = {
        f"{path.stem}/{name}": job["permissions"]
        for path in WORKFLOWS
        for name, job in jobs(path).items()
        if "permissions" in job
    }
    assert rights == {
        "docs/page": {"pages": "write", "id-token": "write"},
        "release/publish": {"id-token": "write"},
    }
    release = jobs(GITHUB / "workflows" / "release.yml")
    assert release["publish"]["needs"] == ["sdist", "wheels"]
    assert "ref_type == 'tag'" in release["publish"]["if"]


def test_every_python_and_system_is_tested() -> None:
    matrix = jobs(GITHUB / "workflows" / "tests.yml")["wheel"]["strategy"]["matrix"]
    assert matrix["python"] == pythons()
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    tests = matrix["include"][0]["tests"].split()
    assert [name for name in tests if not (ROOT / name).is_dir()] == []
    wheels = jobs(GITHUB / "workflows" / "release.yml")["wheels"]["strategy"]["matrix"]["os"]
    assert set(matrix["os"]) <= set(wheels)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    built = re.search(r'^build = "(.*)"$', text, re.MULTILINE)
    assert built is not None
    assert built[1].split() == [f"cp{version.replace('.', '')}-*" for version in pythons()]


@pytest.mark.parametrize("path", [*WORKFLOWS, *PAGES], ids=lambda path: path.stem)
def test_the_commands_are_there(path: Path) -> None:
    """Make's targets, scripts and test folders that workflows and pages name."""
    text = path.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    told = set(re.findall(r"(?:^|`|run: )make (?:-C \S+ )?([a-z][\w-]*)", text, re.MULTILINE))
    assert told <= set(phony[1].split())
    for script in re.findall(r"(?<![\w/])\.ci/[\w.]+", text):
        assert (ROOT / script).is_file(), script
    named = re.findall(r"(?<![\w/])tests/[\w./]+", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_documentation_tests_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = re.search(r"^DOCS := \$\(addprefix tests/,((?:.|\\\n)*?)\)$", makefile, re.MULTILINE)
    assert listed is not None
    names = listed[1].replace("\\", "").split()
    assert "test_readme.py" in names
    assert [name for name in names if not (ROOT / "tests" / name).is_file()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_of_a_page_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", text)
    assert links
    for name, anchor in links:
        target = (path.parent / name).read_text(encoding="utf-8")
        heads = re.findall(r"^#+ (.*)$", target, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not anchor or anchor in anchors, (name, anchor)


def test_no_text_has_the_address_of_a_registry() -> None:
    files = [*GITHUB.rglob("*.*"), *PAGES, ROOT / ".pre-commit-config.yaml", *ROOT.glob(".ci/*")]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.is_file()}
    assert [path.name for path, text in texts.items() if ADDRESS.search(text)] == []


def test_forms_and_hooks_are_whole() -> None:
    for path in FORMS:
        form = read(path)
        if path.stem == "config":
            continue
        assert form["name"]
        assert form["description"]
        ids = [part["id"] for part in form["body"]]
        assert len(set(ids)) == len(ids) > 0
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook["entry"].split()[0] for hook in repository["hooks"]}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for program in hooks.values():
        assert f"$(BIN)/{program.removeprefix('.venv/bin/')}" in makefile
    assert list(hooks) == ["ruff-check", "ruff-format", "mypy"]


def test_the_source_archive_has_every_tracked_file() -> None:
    """By the words of MANIFEST.in; `.ci/wheel` builds the archive and runs its tests."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: nothing says which files are tracked")
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    words = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines() if line]
    files = {name for word, *names in words if word == "include" for name in names}
    folders = {name for word, *names in words if word == "graft" for name in names}
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert [name for name in folders if not (ROOT / name).is_dir()] == []
    outside = {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}
    left = {name.partition("/")[0] for name in outside} - files - folders - ALWAYS
    assert left == {"wsolbench"}


def test_a_release_links_to_its_repository() -> None:
    published = runpy.run_path(str(ROOT / "setup.py"))["published"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = published("https://example.org/team/wsolbench", readme, "1.2.3")
    links = re.findall(r"\]\(([^)]+)\)", found["long_description"])
    assert [link for link in links if not link.startswith("https://")] == []
    base = "https://example.org/team/wsolbench"
    for link in (
        *(f"{base}/blob/v1.2.3/docs/scores.md", f"{base}/raw/v1.2.3/docs/pictures/strip.png"),
        *(f"{base}/actions/workflows/tests.yml", "https://arxiv.org/abs/2006.05220"),
    ):
        assert link in links
    assert found["url"] == base
    assert set(found["project_urls"]) == {"Documentation", "Changelog", "Issues"}


def test_a_build_leaves_out_modules_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = pytest.importorskip("setuptools").Distribution
    build = runpy.run_path(str(ROOT / "setup.py"))["BuildModules"]
    (tmp_path / "wsolbench").mkdir()
    (tmp_path / "wsolbench" / "__init__.py").touch()
    (tmp_path / "build" / "wsolbench").mkdir(parents=True)
    (tmp_path / "build" / "wsolbench" / "renamed.py").touch()
    monkeypatch.chdir(tmp_path)
    command = build(dist({"packages": ["wsolbench"], "script_name": "setup.py"}))
    command.build_lib = "build"
    command.ensure_finalized()
    command.run()
    left = {own.name for own in (tmp_path / "build" / "wsolbench").iterdir()}
    assert left == {"__init__.py"}


def test_setup_names_a_repository_only_where_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    release = runpy.run_path(str(ROOT / "setup.py"))["release"]
    monkeypatch.delenv("WSOLBENCH_REPOSITORY", raising=False)
    assert release() == {}
    monkeypatch.setenv("WSOLBENCH_REPOSITORY", "https://example.org/team/wsolbench/")
    assert release()["url"] == "https://example.org/team/wsolbench"
