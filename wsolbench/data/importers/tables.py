"""Text lists and CSV tables of published annotations, with a size limit and full fault reports.

Text is UTF-8 or has a byte order mark of UTF-16, or is gzip of that if the name ends in .gz; lines
end in LF, CRLF or CR, optional on the last line. A list has one record per line and no header.

A table is CSV with a header, whose cells are separated by commas, semicolons or tabs. It may come
from pandas, R or a spreadsheet: names of columns in any case, a first column without a name (an
index), whole floats and NaN among numbers, file names or quoted texts for image ids. Other columns
are an error, because a misspelt column must not be dropped silently.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
import shlex
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

from ...errors import WsolbenchError, some
from ...files import sha256_of, unguard_cell
from ...formats.annotations import Source
from ...formats.untrusted.contents import read_bytes
from ...image_ids import image_id_of

__all__ = [
    "read_lines",
    "read_table",
    "refuse",
    "same_ids",
    "source_of",
    "whole_number",
]

MAX_TEXT_BYTES = 1 << 28
"""Maximum decompressed size of a list or table in bytes: fifty times the largest in use."""

ID_COLUMN = "image_id"

_INTEGER = re.compile(r"(-?[0-9]{1,9})(?:\.0*)?")
_UNNAMED = re.compile(r"|unnamed: [0-9.]+")  # how pandas writes and reads an index
_FORMULA = re.compile(r'="(.*)"')  # keeps a spreadsheet from reading a number
_MISSING = frozenset({"", "nan", "na", "<na>", "n/a", "#n/a", "none", "null"})

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts with the mark of UTF-16, and so comes before it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_lines(path: str | os.PathLike[str], what: str) -> list[tuple[int, str]]:
    """The non-blank lines of a list, stripped, each with its line number from 1.

    Args:
        path: a text file, or a gzip file whose name ends in .gz.
        what: description of the expected content, for messages.

    Raises:
        WsolbenchError: the file is missing, not UTF-8, damaged, too large or empty.
    """
    text = _read_text(path, what)
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    numbered = ((number, line.strip()) for number, line in enumerate(unix.split("\n"), start=1))
    lines = [(number, line) for number, line in numbered if line]
    if not lines:
        raise WsolbenchError(path, found="an empty file", expected=what, cure="download it again")
    return lines


def read_table(
    path: str | os.PathLike[str],
    what: str,
    *,
    required: Sequence[str],
    optional: Sequence[str],
    numbers: Collection[str] = (),
    known_ids: Collection[str] = (),
    folder_ids: bool | None = None,
    ignored: Sequence[str] | None = None,
) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV table with a header, each with the number of its last line.

    Args:
        path: the table.
        what: description of the expected content, for messages.
        required: required columns.
        optional: further accepted columns.
        numbers: columns of numbers: their cells are stripped, `3.0` becomes `3`, and NaN and the
            like become empty. All other cells are returned as they are, without stripping.
        known_ids: the ids that `image_id` should name. Cells that are none of them are taken for
            file names, whose ids are returned.
        folder_ids: keep the folders of such file names in the ids; None if the caller does not
            offer that.
        ignored: further columns, to be left out; None if the caller does not offer that.

    Returns:
        (line number, cell text by column), in the file's order; blank lines are skipped, rows of
        empty cells are not.

    Raises:
        WsolbenchError: the file is unreadable; a column is unknown, missing or duplicated; a row
            has the wrong number of cells; two file names have the same id; ids have lost the zeros
            that the known ids begin with.
    """
    text = _read_text(path, what)
    mark = _delimiter(text, required)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
    rows: list[tuple[int, dict[str, str]]] = []
    faults: list[str] = []
    try:
        header = _header(path, next(reader, []), required, optional, ignored)
        for cells in reader:
            if len(cells) < 2 and not "".join(cells).strip():
                continue
            if len(cells) < len(header) or any(cells[len(header) :]):
                faults.append(f"line {reader.line_num} has {len(cells)} cells")
                continue
            pairs = zip(header, map(unguard_cell, cells), strict=False)
            rows.append((reader.line_num, dict(pairs)))
    except csv.Error as error:
        raise WsolbenchError(
            path,
            found=f"invalid CSV near line {reader.line_num} ({error})",
            cure="save it as CSV again",
        ) from error
    refuse(path, faults, expected=f"{len(header)} cells per line", cure="correct those lines")
    if not rows:
        raise WsolbenchError(path, found="no row", expected=what, cure="fill the table")
    kept = {*required, *optional}
    rows = [(line, {name: row[name] for name in row if name in kept}) for line, row in rows]
    for _, row in rows:
        row.update({name: _number(row[name], mark) for name in numbers if name in row})
    if ID_COLUMN in required:
        _name_ids(path, rows, known_ids, folder_ids)
    return rows


def whole_number(text: str) -> int | None:
    """The integer in a text such as 12 or 12.0, of at most nine digits, or None."""
    found = _INTEGER.fullmatch(text)
    return int(found[1]) if found else None


def same_ids(
    where: object,
    names: Sequence[str],
    ids: Sequence[str],
    *,
    folder_ids: bool | None,
) -> None:
    """Refuse file names of which several have the same id.

    Args:
        where: the input that lists them.
        names: the file names.
        ids: the id of each.
        folder_ids: see `read_table`.

    Raises:
        WsolbenchError: two different names have the same id.
    """
    first: dict[str, str] = {}
    clashes = [
        f"{first[image_id]} and {name}"
        for name, image_id in zip(names, ids, strict=True)
        if first.setdefault(image_id, name) != name
    ]
    if clashes:
        paths = {image_id_of(name, folders=True) or name for name in names}
        cured = folder_ids is False and len(paths) == len(first) + len(clashes)
        raise WsolbenchError(
            where,
            found=f"{len(first)} image ids for {len(first) + len(clashes)} file names: "
            f"{some(clashes)}",
            expected="a different id for each image",
            cure="keep the folders in the ids: --folder-ids, in Python folder_ids=True"
            if cured
            else "give each image a file name of its own",
        )


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
    file = Path(path)
    content = read_bytes(file, what, MAX_TEXT_BYTES)
    if file.suffix == ".gz":
        content = _gunzipped(file, what, content)
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        kind = encoding.removesuffix("-sig").upper()
        raise WsolbenchError(
            file,
            found=f"bytes that are not {kind} in line {line}",
            expected=what,
            cure="save it as UTF-8 text (in Excel: CSV UTF-8; in R: fileEncoding='UTF-8')",
        ) from error
    if "\0" in text:
        raise WsolbenchError(
            file,
            found="NUL characters, as in UTF-16 without a byte order mark or in binary files",
            expected=what,
            cure="save it as UTF-8 text",
        )
    return text


def _gunzipped(file: Path, what: str, packed: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            content = stream.read(MAX_TEXT_BYTES + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise WsolbenchError(
            file, found=f"a damaged gzip file ({error})", expected=what, cure="download it again"
        ) from error
    if len(content) > MAX_TEXT_BYTES:
        raise WsolbenchError(
            file,
            found=f"more than {MAX_TEXT_BYTES} bytes of text",
            expected=what,
            cure="name the correct file",
        )
    return content


def _delimiter(text: str, required: Sequence[str]) -> str:
    """The character that separates the cells of the header."""
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]

    def fit(mark: str) -> tuple[bool, int]:
        names = [name.strip().lower() for name in next(csv.reader([first], delimiter=mark), [])]
        return set(required) <= set(names), len(names)

    return max((",", ";", "\t"), key=fit)


def _header(
    path: str | os.PathLike[str],
    cells: Sequence[str],
    required: Sequence[str],
    optional: Sequence[str],
    ignored: Sequence[str] | None,
) -> list[str]:
    """The columns' names as required, with a number for each column that is left out."""
    named = {name.lower(): name for name in (*required, *optional)}
    names = [cell.strip() for cell in cells]
    while len(names) > 1 and not names[-1]:  # a spreadsheet's empty columns
        names.pop()
    index = next((at for at, name in enumerate(names) if not _is_index(name)), 0)
    header = [named.get(name.lower(), name) for name in names]
    unknown = [
        name for name in header[index:] if name.lower() not in named and name not in (ignored or ())
    ]
    missing = [name for name in required if name not in header]
    absent = [name for name in ignored or () if name not in header]
    twice = sorted({name for name in header[index:] if header[index:].count(name) > 1})
    parts = {"unknown": unknown, "missing": missing, "twice": twice, "not there": absent}
    if any(parts.values()):
        listed = ", ".join(f"{word}: {some(part)}" for word, part in parts.items() if part)
        cure = f"correct the first line ({listed})"
        if unknown and ignored is not None and not (missing or twice or absent):
            flags = " ".join(f"--ignore-column {shlex.quote(name)}" for name in unknown)
            cure += f", or leave such columns out: {flags}"
        raise WsolbenchError(
            path,
            found=f"columns {', '.join(names) or 'none'}",
            expected=", ".join(required) + (f" and any of {', '.join(optional)}" * bool(optional)),
            cure=cure,
        )
    return [str(at) if at < index else name for at, name in enumerate(header)]


def _is_index(name: str) -> bool:
    return _UNNAMED.fullmatch(name.lower()) is not None


def _unquoted(text: str) -> str:
    """A cell's text without the marks that keep a spreadsheet from reading a number."""
    formula = _FORMULA.fullmatch(text)
    return formula[1] if formula else text.removeprefix("'")


def _number(text: str, mark: str) -> str:
    """A number as Python reads it; empty if it is missing. Tables with `;` may have 1,5 for 1.5."""
    bare = _unquoted(text.strip())
    bare = bare if mark == "," else bare.replace(",", ".")
    whole = whole_number(bare)
    if whole is not None:
        return str(whole)
    return "" if bare.lower() in _MISSING else bare


def _name_ids(
    path: str | os.PathLike[str],
    rows: Sequence[tuple[int, dict[str, str]]],
    known_ids: Collection[str],
    folder_ids: bool | None,
) -> None:
    """Replace file names in the column of ids by ids."""
    known = frozenset(known_ids)
    texts = [row[ID_COLUMN].strip() for _, row in rows]
    names = [text if text in known else _unquoted(text) for text in texts]
    ids = [
        name if name in known else image_id_of(name, folders=folder_ids is True) or name
        for name in names
    ]
    unknown = [name for name, image_id in zip(names, ids, strict=True) if image_id not in known]
    _check_zeros(path, [name for name in unknown if name], known)
    same_ids(path, names, ids, folder_ids=folder_ids)
    for (_, row), image_id in zip(rows, ids, strict=True):
        row[ID_COLUMN] = image_id


def _check_zeros(
    path: str | os.PathLike[str], strange: Sequence[str], known: Collection[str]
) -> None:
    """Refuse ids that a program took for numbers, dropping their leading zeros."""
    whole = {text.lstrip("0") or "0": text for text in known if text.isdecimal()}
    meant = {text: whole.get(str(whole_number(text))) for text in strange}
    if strange and None not in meant.values():
        first = strange[0]
        raise WsolbenchError(
            path,
            found=f"{len(meant)} ids that have lost their leading zeros, such as {first} for "
            f"{meant[first]}",
            cure="write the ids as text: in pandas read them with dtype=str, in a spreadsheet "
            "format their column as text",
        )
