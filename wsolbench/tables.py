"""Tables as text: for a terminal, Markdown, LaTeX or CSV, and columns as a file.

Knows nothing of what the cells mean.
"""

from __future__ import annotations

import csv
import html
import io
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .errors import WsolbenchError
from .files import guard_cell, replacing, write_text

__all__ = [
    "FORMATS",
    "csv_text",
    "grid",
    "html_table",
    "markdown_text",
    "require_columns_target",
    "write_columns",
]

FORMATS = ("text", "md", "latex", "csv")
"""How a table may be printed."""

_STYLES = {"plain": "plain", "text": "simple", "md": "github", "latex": "latex_booktabs"}
_BOLD = {"text": ("\x1b[1m", "\x1b[0m"), "md": ("**", "**")}
_GAP = 2  # characters between two columns of text


def grid(
    rows: Sequence[Sequence[str]],
    head: Sequence[str] = (),
    form: str = "text",
    aligned: str = "",
    *,
    bold: Collection[tuple[int, int]] = (),
    width: int | None = None,
    kept: int = 1,
) -> str:
    """Cells as a table.

    Args:
        rows: texts, which are printed as they are; of one length.
        head: titles of the columns.
        form: "text", "md", "latex", or "plain" for columns without any line.
        aligned: a letter a column, `l` or `r`; the last one goes for all that follow.
        bold: row and column of cells in bold, from 0; on a terminal by its codes.
        width: in characters; a wider table of form "text" is cut between columns into several,
            below each other. None for any width.
        kept: number of columns that each of these begins with.
    """
    columns = len(head) or len(rows[0])
    letters = (aligned or "l").ljust(columns, aligned[-1:] or "l")
    if bold and form in _BOLD:
        start, end = _BOLD[form]
        rows = [
            [
                f"{start}{cell}{end}" if (row, column) in bold else cell
                for column, cell in enumerate(cells)
            ]
            for row, cells in enumerate(rows)
        ]
    text = _tabulated(rows, head, form, letters)
    if form == "latex":
        # After the end of a row or a rule, LaTeX takes [ and * for an argument of the command.
        text = re.sub(r"(?m)^( *)([\[*])", r"\1{\2}", text)
        return _bold_latex(text, bold) if bold else text
    if width is None or form != "text":
        return text
    widths = [len(line) for line in text.splitlines()[1].split()]  # of the line below the head
    return "\n\n".join(
        _tabulated(
            [[cells[place] for place in places] for cells in rows],
            [head[place] for place in places],
            form,
            "".join(letters[place] for place in places),
        )
        for places in _cut(widths, width, kept)
    )


def _tabulated(rows: Sequence[Sequence[str]], head: Sequence[str], form: str, letters: str) -> str:
    from tabulate import tabulate

    sides = [{"l": "left", "r": "right"}[letter] for letter in letters]
    text: str = tabulate(
        rows, headers=head, tablefmt=_STYLES[form], disable_numparse=True, colalign=sides
    )
    return text


def _cut(widths: Sequence[int], width: int, kept: int) -> list[list[int]]:
    """The columns of each part of a table that fits a width, if any part does."""
    first = list(range(min(kept, len(widths))))
    parts = [[*first]]
    used = sum(widths[place] for place in first) + _GAP * (len(first) - 1)
    start = used
    for place in range(len(first), len(widths)):
        wide = _GAP + widths[place]
        if used + wide > width and len(parts[-1]) > len(first):
            parts.append([*first])
            used = start
        parts[-1].append(place)
        used += wide
    return parts


def _bold_latex(text: str, bold: Collection[tuple[int, int]]) -> str:
    """Cells of a LaTeX table in bold; a & within a cell has a backslash."""
    head, rule, body = text.partition("\\midrule\n")
    lines = body.split("\n")
    for row, column in bold:
        cells = re.split(r"(?<!\\)&", lines[row])
        cell = cells[column].removesuffix("\\\\").strip()
        cells[column] = cells[column].replace(cell, "\\textbf{" + cell + "}")
        lines[row] = "&".join(cells)
    return head + rule + "\n".join(lines)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Cells as CSV without a final line end; no text becomes a formula in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([guard_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue().rstrip("\n")


def require_columns_target(path: str | os.PathLike[str]) -> None:
    """Check, before long work, that `write_columns` can write a file of this ending.

    Raises:
        WsolbenchError: the ending is neither .csv nor .parquet, or it is .parquet and pyarrow is
            not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise WsolbenchError(
            path,
            found=f"the ending {suffix or 'none'}",
            expected=".csv or .parquet",
            cure="change the file's ending",
        )
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise WsolbenchError(
            path,
            found="pyarrow not installed",
            cure="pip install 'wsolbench[parquet]', or write a .csv file",
        )


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns to a .csv or .parquet file, whole or not at all.

    In CSV, floats have the digits that restore them exactly, booleans are True and False, and None
    and NaN are empty cells; in Parquet both are nulls.

    Args:
        path: the file; its ending chooses the format.
        columns: a title and one value per row: str, int, float, bool or None. All have the same
            length.

    Raises:
        WsolbenchError: see `require_columns_target`; or the file cannot be written.
    """
    require_columns_target(path)
    if Path(path).suffix.lower() == ".csv":
        rows = zip(*columns.values(), strict=True)
        cells = ([None if cell != cell else cell for cell in row] for row in rows)
        write_text(path, csv_text(list(columns), cells) + "\n")
        return
    import pyarrow
    from pyarrow import parquet

    # from_pandas says that NaN is a missing value; it needs no pandas.
    arrays = {name: pyarrow.array(cells, from_pandas=True) for name, cells in columns.items()}
    with replacing(path) as temporary:
        parquet.write_table(pyarrow.table(arrays), temporary)


def html_table(rows: Sequence[Sequence[str]], caption: str) -> str:
    """Cells as an HTML table under a caption, for notebooks; no text becomes markup.

    Args:
        rows: texts; the first of each row is its title.
        caption: what they are of.
    """
    lines = [f"<table><caption>{html.escape(caption)}</caption>"]
    for title, *cells in rows:
        row = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        lines.append(f"<tr><th scope='row'>{html.escape(title)}</th>{row}</tr>")
    return "\n".join([*lines, "</table>"])


def markdown_text(text: str) -> str:
    """A stranger's text as Markdown that stays text: no column, tag, link, emphasis or formula."""
    safe = re.sub(r"([\\|\[\]*_`~#$])", r"\\\1", html.escape(text, quote=False))
    # GitHub makes links of bare addresses.
    return re.sub(r"(?i)(?<=https):|(?<=http):|(?<=ftp):|(?<=www)\.|@", _entity, safe)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"
