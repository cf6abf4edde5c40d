"""Tables as text: for a terminal, Markdown, LaTeX or CSV, and columns as a file.

Knows nothing of what the cells mean.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .files import guard_cell

__all__ = ["FORMATS", "csv_text", "grid", "markdown_text"]

FORMATS = ("text", "md", "latex", "csv")
"""How a table may be printed."""

_STYLES = {"plain": "plain", "text": "simple", "md": "github", "latex": "latex_booktabs"}


def grid(
    rows: Sequence[Sequence[str]],
    head: Sequence[str] = (),
    form: str = "text",
    aligned: str = "",
) -> str:
    """Cells as a table.

    Args:
        rows: texts, which are printed as they are; of one length.
        head: titles of the columns.
        form: "text", "md", "latex", or "plain" for columns without any line.
        aligned: a letter a column, `l` or `r`; the last one goes for all that follow.
    """
    from tabulate import tabulate

    columns = len(head) or len(rows[0])
    letters = (aligned or "l").ljust(columns, aligned[-1:] or "l")
    sides = [{"l": "left", "r": "right"}[letter] for letter in letters]
    return tabulate(
        rows, headers=head, tablefmt=_STYLES[form], disable_numparse=True, colalign=sides
    )


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Cells as CSV without a final line end; no text becomes a formula in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([guard_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue().rstrip("\n")


def markdown_text(text: str) -> str:
    """A stranger's text as Markdown that stays text: no column, tag, link, emphasis or formula."""
    safe = re.sub(r"([\\|\[\]*_`~#$])", r"\\\1", html.escape(text, quote=False))
    # GitHub makes links of bare addresses.
    return re.sub(r"(?i)(?<=https):|(?<=http):|(?<=ftp):|(?<=www)\.|@", _entity, safe)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"
