"""Read the entries and notes of a leaderboard's folder.

The folder is untrusted: links in it are refused, never followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..errors import WsolbenchError, require_path
from ..files import require_folder, sha256_of, strict_json
from ..formats.result import COUNTS_SUFFIX
from ..formats.untrusted.contents import read_bytes
from ..renames import is_leftover
from .entries import Entry, entry_counts_path, entry_path, read_entry
from .schema import MAX_BYTES

__all__ = [
    "MAX_FILE_BYTES",
    "is_counts_file",
    "plain_files",
    "read_entries",
    "read_notes",
    "scored_alike",
]

MAX_FILE_BYTES = 16 << 20
"""Largest file allowed in the leaderboard's folder; the limit for entries is lower."""


def read_entries(root: str | os.PathLike[str]) -> list[Entry]:
    """All entries below the leaderboard's folder, in the order of their paths.

    Raises:
        WsolbenchError: an entry is malformed or its path does not match its names; two entries have
            the same maps, protocol and threshold; a counts file is missing, changed or of no entry;
            the folder contains links, pipes or huge files.
    """
    require_path("root", root, "the path of the leaderboard's folder")
    folder = Path(root, "entries")
    files = plain_files(root)
    require_folder(
        folder,
        "the folder of entries",
        "name the leaderboard's folder with --root, or make a first entry with wsolbench "
        "leaderboard add",
    )
    entries: dict[tuple[object, ...], Entry] = {}
    for path in files:
        if folder not in path.parents or is_leftover(path) or is_counts_file(path):
            continue
        entry = read_entry(path)
        if path.relative_to(root) != entry_path(entry):
            raise WsolbenchError(
                path,
                found="an entry in the wrong place",
                expected=str(entry_path(entry)),
                cure="move it there",
                exit_status=1,
            )
        same = entries.setdefault(scored_alike(entry), entry)
        if same is not entry:
            raise WsolbenchError(
                path,
                found=f"the maps, protocol, split and threshold of {entry_path(same)}",
                expected="one entry per result",
                cure="delete one of the two",
                exit_status=1,
            )
    _check_counts(Path(root), list(entries.values()), files)
    return list(entries.values())


def is_counts_file(path: Path) -> bool:
    """Whether a file of the leaderboard's folder holds the counts of an entry."""
    return path.name.endswith(COUNTS_SUFFIX)


def _check_counts(root: Path, entries: Sequence[Entry], files: Sequence[Path]) -> None:
    """Refuse counts files that are missing, changed or of no entry."""
    stated = {Path(root, entry_counts_path(entry)): entry for entry in entries}
    counted = {path for path, entry in stated.items() if entry.counts_sha256}
    there = {path for path in files if is_counts_file(path)}
    for path in sorted(there | counted):
        if path not in there:
            raise WsolbenchError(
                path,
                found="no file",
                expected="the counts that the entry next to it states",
                cure="add the file, or remove counts_sha256 from the entry",
                exit_status=1,
            )
        if path not in counted or sha256_of(path) != stated[path].counts_sha256:
            raise WsolbenchError(
                path,
                found="changed counts" if path in counted else "counts that no entry states",
                expected="a counts file whose hash is in the provenance of the entry next to it",
                cure="restore or delete the file",
                exit_status=1,
            )


def read_notes(root: str | os.PathLike[str]) -> dict[int, str]:
    """The notes that entries refer to, text by number; empty if there is no `notes.json`.

    Raises:
        WsolbenchError: `notes.json` does not map numbers to lines of text.
    """
    require_path("root", root, "the path of the leaderboard's folder")
    path = Path(root, "notes.json")
    if not path.exists():
        return {}
    try:
        content = strict_json(read_bytes(path, "notes", MAX_BYTES, exit_status=1).decode())
        notes = {int(key): text for key, text in content.items()}
        sound = all(isinstance(text, str) and text.isprintable() for text in notes.values())
        sound = sound and len(notes) == len(content)
    except (ValueError, AttributeError):
        sound = False
    if not sound:
        raise WsolbenchError(
            path,
            found="invalid notes",
            expected='JSON such as {"1": "One line of text."}',
            cure="correct the file",
            exit_status=1,
        )
    return notes


def plain_files(root: str | os.PathLike[str]) -> list[Path]:
    """All files below the leaderboard's folder, in the order of their paths.

    Raises:
        WsolbenchError: the folder or something in it is a link, a device or pipe, or too large.
    """
    files = []
    for path in [Path(root), *sorted(Path(root).rglob("*"))]:
        if not path.is_symlink() and not path.exists():
            continue  # the folder itself is missing, which the caller reports
        about = path.lstat()
        if stat.S_ISREG(about.st_mode) and about.st_size <= MAX_FILE_BYTES:
            files.append(path)
        elif not stat.S_ISDIR(about.st_mode):
            kind = "a link" if stat.S_ISLNK(about.st_mode) else "a device or pipe"
            large = stat.S_ISREG(about.st_mode)
            raise WsolbenchError(
                path,
                found=f"{about.st_size} bytes" if large else kind,
                expected=f"files of at most {MAX_FILE_BYTES} bytes, and folders",
                cure="delete it, or replace it by the file itself",
                exit_status=1,
            )
    return files


def scored_alike(entry: Entry) -> tuple[object, ...]:
    """What duplicate measured entries share: maps, protocol, split and threshold."""
    if entry.state == "reported":
        return (entry_path(entry),)
    provenance = entry.provenance
    rule = (entry.threshold["rule"], entry.threshold.get("pixel"), entry.threshold.get("box"))
    return (provenance["submission_sha256"], provenance["protocol"]["sha256"], entry.split, rule)
