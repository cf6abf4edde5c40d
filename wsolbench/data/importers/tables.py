"""Text lists and CSV tables of published annotations, with a size limit and full fault reports.

Text is UTF-8, or gzip of it if the name ends in .gz; lines end in LF or CRLF, optional on the last
line. A list has one record per line and no header; a table is CSV with a header. Unknown columns
are an error, because a misspelt column must not be dropped silently.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ...errors import WsolbenchError, some
from ...files import require_file, sha256_of, unguard_cell
from ...formats.annotations import Source
from ...image_ids import PICTURE_ENDINGS, is_image_id

__all__ = [
    "image_id_of",
    "read_lines",
    "read_table",
    "refuse",
    "source_of",
    "split_fields",
    "whole_number",
]

MAX_TEXT_BYTES = 1 << 28
"""Maximum decompressed size of a list or table in bytes: fifty times the largest in use."""

_INTEGER = re.compile(r"-?[0-9]{1,9}")


def read_lines(path: str | os.PathLike[str], what: str) -> list[tuple[int, str]]:
    """The non-blank lines of a list, stripped, each with its line number from 1.

    Args:
        path: a text file, or a gzip file whose name ends in .gz.
        what: description of the expected content, for messages.

    Raises:
        WsolbenchError: the file is missing, not UTF-8, damaged, too large or empty.
    """
    text = _read_text(path, what)
    numbered = ((number, line.strip()) for number, line in enumerate(text.split("\n"), start=1))
    lines = [(number, line) for number, line in numbered if line]
    if not lines:
        raise WsolbenchError(path, found="an empty file", expected=what, cure="download it again")
    return lines


def read_table(
    path: str | os.PathLike[str], what: str, *, required: Sequence[str], optional: Sequence[str]
) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV table with a header, each with the number of its last line.

    Args:
        path: the table, UTF-8.
        what: description of the expected content, for messages.
        required: required columns.
        optional: further accepted columns.

    Returns:
        (line number, cell text by column), in the file's order, without stripping; blank lines are
        skipped, rows of empty cells are not.

    Raises:
        WsolbenchError: the file is unreadable; a column is unknown, missing or duplicated; a row
            has the wrong number of cells.
    """
    known = ", ".join(required) + (f" and any of {', '.join(optional)}" if optional else "")
    reader = csv.reader(io.StringIO(_read_text(path, what), newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    faults: list[str] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        wrong = [name for name in header if name not in (*required, *optional)]
        missing = [name for name in required if name not in header]
        if wrong or missing or len(set(header)) != len(header):
            raise WsolbenchError(
                path,
                found=f"columns {', '.join(header) or 'none'}",
                expected=known,
                cure="correct the first line"
                + (f" (unknown: {some(wrong)})" if wrong else "")
                + (f" (missing: {some(missing)})" if missing else ""),
            )
        for cells in reader:
            if len(cells) < 2 and not "".join(cells).strip():
                continue
            if len(cells) != len(header):
                faults.append(f"line {reader.line_num} has {len(cells)} cells")
                continue
            texts = map(unguard_cell, cells)
            rows.append((reader.line_num, dict(zip(header, texts, strict=True))))
    except csv.Error as error:
        raise WsolbenchError(
            path,
            found=f"invalid CSV near line {reader.line_num} ({error})",
            cure="save it as CSV again",
        ) from error
    refuse(path, faults, expected=f"{len(header)} cells per line", cure="correct those lines")
    if not rows:
        raise WsolbenchError(path, found="no row", expected=what, cure="fill the table")
    return rows


def split_fields(line: str) -> list[str]:
    """The fields of a line, separated by commas if it has any, otherwise by spaces."""
    return [field.strip() for field in line.split(",")] if "," in line else line.split()


def image_id_of(name: str) -> str | None:
    """The image id in a file name, without folder and picture ending; None if it is invalid."""
    last = PurePosixPath(name.replace("\\", "/")).name
    for ending in PICTURE_ENDINGS:
        if last.lower().endswith(ending):
            last = last[: -len(ending)]
            break
    return last if is_image_id(last) else None


def whole_number(text: str) -> int | None:
    """The integer in a text, of at most nine digits, or None."""
    return int(text) if _INTEGER.fullmatch(text) else None


def refuse(where: object, faults: Sequence[str], *, expected: str = "", cure: str) -> None:
    """Raise all faults of one input as one error; do nothing if there is none."""
    if faults:
        count = f"{len(faults)} faults: " if len(faults) > 1 else ""
        # Faults may be clauses, which would not fit into "found ..., expected ...".
        wanted = f" (expected {expected})" if expected else ""
        raise WsolbenchError(where, found=f"{count}{some(faults)}{wanted}", cure=cure)


def source_of(path: str | os.PathLike[str], *, licence: str = "", citation: str = "") -> Source:
    """The source record of a file, named without its folder."""
    return Source(Path(path).name, sha256_of(path), licence, citation)


def _read_text(path: str | os.PathLike[str], what: str) -> str:
    file = require_file(path, what)
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else open(file, "rb") as stream:
            content = stream.read(MAX_TEXT_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise WsolbenchError(
            file, found=f"a damaged gzip file ({error})", expected=what, cure="download it again"
        ) from error
    except OSError as error:
        raise WsolbenchError(
            file,
            found=f"an unreadable file ({error.strerror})",
            expected=what,
            cure="check its permissions",
        ) from error
    if len(content) > MAX_TEXT_BYTES:
        raise WsolbenchError(
            file,
            found=f"more than {MAX_TEXT_BYTES} bytes of text",
            expected=what,
            cure="name the correct file",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise WsolbenchError(
            file,
            found=f"bytes that are not UTF-8 in line {line}",
            expected=what,
            cure="save it as UTF-8 text",
        ) from error
