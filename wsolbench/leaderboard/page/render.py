"""The leaderboard's web page: one file that needs no network.

Tables are written as HTML, so they can be read without scripts; `page/page.js` sorts and filters
them and draws the curves with Observable Plot. Texts of entries are untrusted: the template escapes
everything, data for the script is JSON that cannot end its element, and the content security policy
allows only the scripts and styles that this module embeds.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from ... import __version__
from ...errors import WsolbenchError
from ...scores import SCORES, Better, Read, curve_names, level_key
from ...tables import markdown_text
from ..entries import Entry, entry_counts_path, entry_path, slug
from ..papers import PAPERS
from ..readme import table_csv
from ..tables import THRESHOLD_RULES, Cell, Table, floor, heading
from .panels import (
    Panel,
    Summary,
    human_title,
    newest,
    panels,
    summaries,
    table_id,
)
from .settings import Settings

__all__ = ["USUAL_COLUMNS", "bibtex", "latex_row", "markdown_row", "page"]

USUAL_COLUMNS = 5
"""Columns that a table shows before its reader picks others: names, and as many scores as fit."""

_SCRIPTS = (
    ("vendor/d3.min.js",),
    ("vendor/plot.umd.min.js",),
    ("charts.js", "gallery.js", "page.js"),
)
"""Files of the page's scripts, in order; those of one line become one script."""

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_"},
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # after the end of a row, an argument of it
    "*": "{*}",
}


def page(
    tables: Sequence[Table],
    notes: Mapping[int, str],
    gallery: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> str:
    """The page's HTML.

    Args:
        tables: of all entries.
        notes: text by number, with every note of the tables.
        gallery: from `gallery.read_gallery`; None for a page without a gallery.
        settings: title, address and links; None for the usual ones.

    Raises:
        WsolbenchError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise WsolbenchError(
            "page",
            found="jinja2 not installed",
            expected="it for the leaderboard's page",
            cure="pip install 'wsolbench[page]'",
        ) from error

    environment = Environment(
        loader=PackageLoader("wsolbench.leaderboard", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Curves and maps are long lists: blanks after their commas would add 30 kB.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    own = settings or Settings()
    tabs = panels(tables, own.datasets)
    shown = [_panel(panel, tables, own, gallery) for panel in tabs]
    boards = [table for panel in shown for table in panel["tables"]]
    rows = [row for table in boards for row in table["rows"]]
    if not any(panel["gallery"] for panel in shown):
        gallery = None
    embedded = sum(len(table.entries) for tab in tabs if tab.embedded for table in tab.tables)
    citations = sorted({row["bibtex"] for row in rows})
    folder = files("wsolbench.leaderboard") / "page"
    style = (folder / "page.css").read_text(encoding="utf-8")
    scripts = [
        "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
        for names in _SCRIPTS
    ]
    return environment.get_template("leaderboard.html.j2").render(
        settings=own,
        panels=shown,
        summaries=[_summarised(item) for item in summaries(tabs, own.datasets)],
        version=__version__,
        newest=newest(tables),
        embedded=embedded,
        notes=notes,
        gallery=gallery,
        choices={key: sorted({table[key] for table in boards}) for key in ("split", "protocol")},
        backbones=sorted({row["backbone"] for row in rows}),
        entries=len(rows),
        measured=sum(row["state"] != "reported" for row in rows),
        counted=any(row["counts"] for row in rows),
        curves=any(row["curves"] for row in rows),
        rules=THRESHOLD_RULES,
        data={
            "curves": {row["id"]: row["curves"] for row in rows if row["curves"]},
            "copies": {row["id"]: row["copies"] for row in rows},
            "citations": citations,
            "cited": {row["id"]: citations.index(row["bibtex"]) for row in rows},
            "peaks": {row["id"]: row["peak"] for row in rows if row["peak"] is not None},
            "box_levels": {row["id"]: row["box"] for row in rows if row["box"] is not None},
            "csv": _csv(tables),
            "bases": {row["id"]: row["base"] for row in rows if row["base"]},
            "gallery": gallery,
        },
        style=style,
        icon=f"data:image/svg+xml,{quote((folder / 'icon.svg').read_text(encoding='utf-8'))}",
        scripts=scripts,
        policy=_policy(style, scripts),
        licences=(folder / "vendor" / "LICENSES.txt").read_text(encoding="utf-8"),
    )


def latex_row(table: Table, entry: Entry, cells: Mapping[str, Cell]) -> str:
    """One entry as a row of a LaTeX table, below a comment that names the columns."""
    head = ["Method", "Backbone", *(heading(key) for key in cells)]
    scores = [cell.shown.replace("-", "--") for cell in cells.values()]
    row = map(_latex, [entry.name, entry.backbone, *scores])
    about = f"{table.dataset} {table.split}; {table.title}; {_threshold(entry)}"
    return f"% {about}\n% {' & '.join(head)}\n{' & '.join(row)} \\\\"


def markdown_row(table: Table, entry: Entry, cells: Mapping[str, Cell]) -> str:
    """One entry as a Markdown table with one row."""
    head = ["Method", "Backbone", *(heading(key) for key in cells), "Protocol"]
    about = f"{table.dataset} {table.split}; {table.title}; {_threshold(entry)}"
    row = [entry.name, entry.backbone, *(cell.shown for cell in cells.values()), about]
    lines = [head, ["---"] * 2 + ["---:"] * len(cells) + ["---"], map(markdown_text, row)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_AUTHORS = {paper.link: paper.authors for paper in PAPERS.values()}


def bibtex(entry: Entry) -> str:
    """The papers to cite: the method's, if known, and the one that printed the entry."""
    papers = [{**entry.paper, "authors": entry.authors}] if entry.paper else []
    printed = entry.provenance.get("paper")
    if printed and printed != entry.paper:
        papers.append({"authors": _AUTHORS.get(printed.get("link", ""), ""), **printed})
    return "\n\n".join(map(_misc, papers)) or f"% {_latex(entry.name)}: no paper is known"


def _misc(paper: Mapping[str, str]) -> str:
    link = paper.get("link", "")
    arxiv = re.fullmatch(r"https://arxiv\.org/abs/(([0-9]{2})[0-9]{2}\.[0-9]{4,5})", link)
    authors = re.sub(r",? et al\.?$", " and others", paper.get("authors", ""))
    fields = {
        "title": f"{{{_latex(paper['title'])}}}",
        "author": "" if authors == "unstated" else _latex(authors.replace(", ", " and ")),
        "year": f"20{arxiv[2]}" if arxiv else "",
        "eprint": arxiv[1] if arxiv else "",
        "archiveprefix": "arXiv" if arxiv else "",
        "url": link,
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    key = f"arxiv{arxiv[1]}" if arxiv else "-".join(slug(paper["title"]).split("-")[:4])
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _threshold(entry: Entry) -> str:
    rule = THRESHOLD_RULES[entry.threshold["rule"]]
    source = entry.threshold.get("source")
    return f"threshold {rule} from {source['split']}" if source else f"threshold {rule}"


def _panel(
    panel: Panel, tables: Sequence[Table], settings: Settings, gallery: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "key": panel.key,
        "title": panel.title,
        "hint": panel.hint,
        "files": [f"{slug(name)}.csv" for name in dict.fromkeys(t.dataset for t in panel.tables)],
        "gallery": gallery is not None
        and gallery["dataset"] in {table.dataset for table in panel.tables},
        "tables": [
            {
                **_table(table),
                "human": human_title(table, settings.datasets),
                "floor": _floor(table, tables),
            }
            for table in panel.tables
        ],
    }


def _csv(tables: Sequence[Table]) -> dict[str, str]:
    """Lines of CSV: the columns by the table's id, each entry by its own."""
    lines = {}
    for table in tables:
        head, *rows = table_csv(table)
        lines[table_id(table)] = head
        lines |= zip(map(_row_id, table.entries), rows, strict=True)
    return lines


def _summarised(summary: Summary) -> dict[str, Any]:
    first = summary.table.entries[0]
    return {
        "id": table_id(summary.table),
        "title": summary.title,
        "from": summary.table.title,
        "reported": first.state == "reported",
        "column": summary.column,
        "rows": [
            {
                "backbone": row.backbone,
                "names": [entry.name for entry in row.entries],
                "near": [entry.name for entry in row.near],
                "shown": row.cell.shown,
                "interval": row.cell.interval,
            }
            for row in summary.rows
        ],
    }


def _drawn_curves() -> list[str]:
    """Curves that the page draws: those of scores that have a panel in plots."""
    drawn = {score.curve for score in SCORES.values() if score.drawn}
    # Precision is drawn against recall.
    drawn |= {"recall"} if "precision" in drawn else set()
    return [name for name in curve_names() if name in drawn]


def _followed() -> dict[str, str]:
    """Titles of the columns that follow the slider, by the curve they are read off."""
    return {
        score.curve: f"{score.title.removesuffix(' at T')} at slider"
        for score in SCORES.values()
        if score.drawn and score.read is Read.THRESHOLD
    }


def _usual_scores(table: Table, room: int) -> list[str]:
    """The scores that a table shows at first: those that rank, then the others but thresholds."""
    ranking = [key for key in table.shown_keys if SCORES[key].rank]
    ranking.sort(key=lambda key: SCORES[key].rank)
    others = [key for key in table.shown_keys if key not in ranking]
    others.sort(key=lambda key: SCORES[key].is_threshold)  # sorting keeps the order of equals
    return [*ranking, *others][:room]


def _table(table: Table) -> dict[str, Any]:
    keys = table.shown_keys
    ranked = any(table.ranks)
    usual = _usual_scores(table, USUAL_COLUMNS - 2 - ranked)
    columns = {key: table.column(key) for key in keys}
    held = {curve for entry in table.entries for curve in entry.curves}
    followed = {curve: name for curve, name in _followed().items() if curve in held}
    return {
        "id": table_id(table),
        "dataset": table.dataset,
        "split": table.split,
        "title": table.title,
        "link": table.entries[0].provenance.get("paper", {}).get("link", ""),
        "protocol": table.protocol,
        "notes": table.notes,
        "title_notes": table.common_notes("entry"),
        "ranked": ranked,
        "intervals": any(entry.intervals for entry in table.entries),
        "columns": [
            {
                "key": key,
                "name": heading(key),
                "lower": SCORES[key].better is Better.LOWER,
                "usual": key in usual,
                "notes": table.common_notes(key),
            }
            for key in keys
        ],
        "followed": [{"curve": curve, "name": name} for curve, name in followed.items()],
        "rows": [
            {**_row(table, index, {key: columns[key][index] for key in keys}), "notes": notes}
            for index, notes in enumerate(table.own_notes("entry"))
        ],
    }


def _floor(table: Table, tables: Sequence[Table]) -> dict[str, Any] | None:
    said = floor(table, tables)
    if said is None:
        return None
    places = [
        {"id": table_id(place), "name": f"{place.dataset}, {place.split}"} for place in said.places
    ]
    return {"text": said.text, "places": places, "command": said.command}


def _row(table: Table, index: int, cells: Mapping[str, Cell]) -> dict[str, Any]:
    entry = table.entries[index]
    path, base = entry_path(entry), table.bases[index]
    link = entry.paper.get("link") or entry.code
    return {
        "id": _row_id(entry),
        "base": "" if base is None else _row_id(base),
        "name": entry.name,
        "link": link,
        "backbone": entry.backbone,
        "rank": table.ranks[index],
        "state": entry.state,
        "threshold": _threshold(entry).removeprefix("threshold "),
        "path": path.as_posix(),
        "counts": entry_counts_path(entry).as_posix() if entry.counts_sha256 else "",
        "cells": [
            {
                "shown": cell.shown,
                "value": entry.scores.get(key, ""),
                "interval": cell.interval,
                "no_interval": key == table.ranked_by and key in entry.scores and not cell.interval,
                "gain": cell.gain,
                "worse": cell.worse,
                "notes": cell.notes,
                "best": cell.best,
            }
            for key, cell in cells.items()
        ],
        "curves": {
            key: [round(10_000 * value) for value in entry.curves[key]]
            for key in _drawn_curves()
            if key in entry.curves
        },
        "peak": entry.scores.get(level_key("pixel")) if entry.curves else None,
        "box": entry.scores.get(level_key("box")) if entry.curves else None,
        "copies": {
            "LaTeX": latex_row(table, entry, cells),
            "Markdown": markdown_row(table, entry, cells),
        },
        "bibtex": bibtex(entry),
    }


def _row_id(entry: Entry) -> str:
    path = entry_path(entry)
    return f"{path.parent.name}/{path.stem}"


def _policy(style: str, scripts: Sequence[str]) -> str:
    """A content security policy that allows this style and these scripts, and nothing else."""
    hashes = [" ".join(map(_hash, group)) for group in (scripts, [style])]
    return (
        f"default-src 'none'; script-src {hashes[0]}; style-src {hashes[1]}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
