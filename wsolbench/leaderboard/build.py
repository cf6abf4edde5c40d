"""The generated files of a leaderboard; their bytes do not depend on the order of the entries.

Conventions: a leaderboard's folder contains `entries/<data set>/*.json`, for some of them
`*.counts.npz`, `notes.json`, optionally `gallery.json` and `page.json`, and the files generated
from them: `README.md`, `index.html`, `schema.json` and one CSV file per data set.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from ..errors import WsolbenchError, printable, some
from ..files import require_folder, together, write_text
from ..formats.result import COUNTS_SUFFIX
from ..renames import sweep
from .entries import read_entry, slug
from .files import is_counts_file, plain_files, read_entries, read_notes
from .gallery import read_gallery
from .page.render import page
from .page.settings import read_settings
from .readme import entries_csv, readme
from .recompute import recompute
from .schema import MAX_BYTES, schema_text
from .tables import tables

__all__ = ["LONGEST_LINE", "build", "changes", "check", "generated"]

LONGEST_LINE = 500
"""Longest line that `check` shows, in characters; the page's data is one long line."""


def generated(root: str | os.PathLike[str]) -> dict[str, str]:
    """The files that `build` writes: text by file name.

    Raises:
        WsolbenchError: see `read_entries`; the notes are malformed, or one is missing; the gallery
            or the page's settings are malformed.
    """
    entries = read_entries(root)
    notes = read_notes(root)
    missing = sorted({n for e in entries for ns in e.footnotes.values() for n in ns} - notes.keys())
    if missing:
        raise WsolbenchError(
            Path(root, "notes.json"),
            found=f"no note {some(missing)}",
            expected="every note that an entry refers to",
            cure="add the note",
            exit_status=1,
        )
    path = Path(root, "gallery.json")
    gallery = read_gallery(path) if path.is_file() else None
    shown = tables(entries)
    files = {
        "README.md": readme(shown, notes),
        "index.html": page(shown, notes, gallery, read_settings(root)),
        "schema.json": schema_text(),
    }
    for name in sorted({slug(entry.dataset) for entry in entries}):
        files[f"{name}.csv"] = entries_csv(
            [entry for entry in entries if slug(entry.dataset) == name]
        )
    return files


def build(root: str | os.PathLike[str]) -> list[Path]:
    """Write the generated files and remove the CSV files of data sets without entries.

    Returns:
        The files that changed.

    Raises:
        WsolbenchError: see `generated`; nothing was written.
    """
    sweep(Path(root))  # also where there turns out to be nothing to write
    files = generated(root)
    changed = []
    with together():
        for name, text in files.items():
            path = Path(root, name)
            if not path.is_file() or path.read_bytes() != text.encode():
                write_text(path, text)
                changed.append(path)
    for path in sorted(Path(root).glob("*.csv")):
        if path.name not in files and path.is_file():
            path.unlink()
            changed.append(path)
    return changed


def check(root: str | os.PathLike[str]) -> list[str]:
    """Lines of the generated files that `build` would change; empty if they are up to date.

    Raises:
        WsolbenchError: see `generated`.
    """
    files = generated(root)
    lines = []
    for path in sorted(Path(root).glob("*.csv")):
        if path.name not in files:
            lines.append(f"{printable(str(path))}: no entry of this data set")
    for name, text in files.items():
        path = Path(root, name)
        there = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        if len(there) > 2 * len(text) + MAX_BYTES:  # the time of a diff has no bound
            lines.append(f"{path}: {len(there)} characters, not {len(text)}")
        elif there != text:
            lines += map(
                _visible,
                difflib.unified_diff(
                    there.splitlines(),
                    text.splitlines(),
                    str(path),
                    f"{path} as generated",
                    lineterm="",
                    n=0,
                ),
            )
            if there.splitlines() == text.splitlines():
                lines.append(f"{path}: different line endings")
    return lines


def changes(root: str | os.PathLike[str], against: str | os.PathLike[str]) -> list[str]:
    """Differences between two leaderboards other than new entries, one line each.

    Files that are not generated must be identical. New entries are allowed, with counts from which
    their numbers follow, but none may claim to be reproduced. Git does not store empty folders, so
    an empty folder in a checkout is a submodule.

    Args:
        root: the proposed leaderboard.
        against: the leaderboard that it is to be merged into.

    Raises:
        WsolbenchError: see `generated`, for the proposed leaderboard; a link in either folder.
    """
    made = generated(root).keys()
    there, here = (
        {path.relative_to(folder).as_posix(): path for path in plain_files(folder)}
        for folder in (
            require_folder(against, "a leaderboard's folder", "correct --against"),
            Path(root),
        )
    )
    lines = []
    for name in sorted((there.keys() | here.keys()) - made):
        path = printable(str(Path(root, name)))
        if name not in here:
            lines.append(f"{path}: removed")
        elif name in there:
            if here[name].read_bytes() != there[name].read_bytes():
                lines.append(f"{path}: changed")
        elif not name.startswith("entries/"):
            lines.append(f"{path}: added, but not an entry")
        elif is_counts_file(here[name]):
            lines += _counted_wrong(here[name])
        elif read_entry(here[name]).state == "reproduced":
            lines.append(f"{path}: added as reproduced; new entries must be measured or reported")
    empty = (path for path in Path(root).rglob("*") if path.is_dir() and not any(path.iterdir()))
    return lines + [f"{printable(str(path))}: an empty folder" for path in sorted(empty)]


def _counted_wrong(counts: Path) -> list[str]:
    """Numbers of a new entry that do not follow from its counts, one line each."""
    path = counts.with_name(counts.name.removesuffix(COUNTS_SUFFIX) + ".json")
    differences = recompute(read_entry(path), counts).differences
    return [_visible(f"{printable(str(path))}: {line}") for line in differences]


def _visible(line: str) -> str:
    """The start of an untrusted line, safe for a terminal, with all of its blanks."""
    cut = f"{line[:LONGEST_LINE]}..." if len(line) > LONGEST_LINE else line
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)
