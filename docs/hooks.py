"""What the site has besides this folder, and links that lead there.

Pages keep the links of the repository, where they are read on their own. For the site, pages and
files of other folders are added here, and links are turned into the places that these get.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "annotations/FORMAT.md": "annotations/format.md",
    "annotations/README.md": "annotations/masks.md",
    "leaderboard/README.md": "leaderboard/tables.md",
    "docs/notebook.ipynb": "notebook.md",
}
"""Pages outside of docs/, and the notebook, with their places in the site."""

FILES = (
    *("CITATION.cff", "LICENSE", "examples/*.py"),
    *("annotations/registry.txt", "annotations/croissant.json"),
    *("leaderboard/index.html", "leaderboard/*.csv", "leaderboard/entries/**/*.*"),
)
"""Files outside of docs/ that pages link to, or that the leaderboard's page needs beside it."""

_BADGES = re.compile(r"^\[?!\[.*(?:/badge\.svg|img\.shields\.io).*\n\n?", re.MULTILINE)
_LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files of other folders."""
    places = {path.relative_to(ROOT).as_posix() for text in FILES for path in ROOT.glob(text)}
    for source, place in {**PAGES, **{path: path for path in sorted(places)}}.items():
        if source.endswith(".ipynb"):
            notebook = json.loads((ROOT / source).read_text(encoding="utf-8"))
            text = "\n\n".join(as_markdown(notebook, Path(source).name))
            files.append(File.generated(config, place, content=text))
        else:
            files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def as_markdown(notebook: dict[str, Any], name: str) -> Iterator[str]:
    """The cells of a notebook and what they showed, as parts of a page."""
    for place, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
        if place == 0:
            yield f'<a href="{name}" download>Download the notebook</a>'
        for shown in cell.get("outputs", ()):
            data = shown.get("data", {})
            if "image/png" in data:
                yield f"![What the cell draws](data:image/png;base64,{data['image/png'].strip()})"
            else:
                text = "".join(shown.get("text", ()) or data["text/plain"])
                yield f"```text\n{text.rstrip()}\n```"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between places in the site."""
    place = page.file.src_uri
    source = next((own for own, other in PAGES.items() if other == place), f"docs/{place}")

    def turned(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        if not (ROOT / target).is_file():
            return link[0]  # no link, or one that the strict build refuses
        there = PAGES.get(target, target.removeprefix("docs/"))
        return f"{link[1]}{posixpath.relpath(there, posixpath.dirname(place))}{link[3]}"

    # Badges are pictures of another host, and their links lead to where the repository is kept.
    return _LINK.sub(turned, _BADGES.sub("", markdown))
