"""The documentation site builds without a warning and needs nothing but itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import wsolbench

pytest.importorskip("material", reason="mkdocs-material builds the site")
pytest.importorskip("mkdocstrings", reason="mkdocstrings writes the API pages")

ROOT = Path(__file__).resolve().parents[2]
ASSETS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""What a browser loads without being asked, and the attribute that says from where."""


class Assets(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(given.get("href") or "")
        elif tag in ASSETS:
            self.found.append(given.get(ASSETS[tag]) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    silent = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=silent)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        parser = Assets()
        parser.feed(text)
        outside = [name for name in parser.found if re.match(r"(https?:)?//", name)]
        assert outside == [], page.name
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", text), page.name


def test_no_page_tells_where_it_was_built(site: Path) -> None:
    homes = {str(ROOT), str(Path.home()), sys.prefix} - {"/", "/usr"}
    for path in site.rglob("*"):
        if path.suffix in (".html", ".json", ".xml", ".js", ".css", ".md", ".txt"):
            text = path.read_text(encoding="utf-8")
            assert [home for home in homes if f"{home}/" in text] == [], path.name


def test_no_program_is_published(site: Path) -> None:
    own = [path for path in site.rglob("*") if path.suffix in (".py", ".pyc")]
    assert {path.relative_to(site).parts[0] for path in own} <= {"examples"}  # pages link to them


def test_every_page_of_the_repository_is_there(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file()
    index = (site / "index.html").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert heads
    assert [head for head in heads if f">{head}<a" not in index] == []
    assert "badge" not in index
    for name in ("changelog", "contributing", "annotations/format", "leaderboard/tables"):
        assert (site / f"{name}.html").is_file()


def test_the_leaderboard_page_is_within_it(site: Path) -> None:
    for name in ("index.html", "entries/mini/cam-mini-val.json"):
        assert (site / "leaderboard" / name).read_bytes() == (
            ROOT / "leaderboard" / name
        ).read_bytes()


def test_every_public_name_is_described(site: Path) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html"))
    assert [name for name in wsolbench.__all__ if f'id="wsolbench.{name}"' not in text] == []
    assert text.count(">Examples:<") >= len(wsolbench.__all__)
