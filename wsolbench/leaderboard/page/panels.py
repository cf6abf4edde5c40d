"""The page's tabs: which tables each one has, under which titles, and the summary before them.

The summary names the best entry of every backbone, table by table: numbers of different protocols,
and reported and measured ones, are never put in one order. Results on the embedded benchmark rank
nothing, so they have a tab of their own and no place in the summary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..entries import Entry, slug
from ..tables import BOXES_ALONE, EMBEDDED, NO_NETWORK, Cell, Table, heading, overlap

__all__ = [
    "Best",
    "Panel",
    "Summary",
    "human_title",
    "newest",
    "panels",
    "summaries",
    "table_id",
]

_HOMES = {boxes: dataset for (dataset, _), (boxes, _) in BOXES_ALONE.items()}
"""Data sets whose tabs follow that of another one."""

_DATASETS = {
    "ILSVRC": "ImageNet",
    "ilsvrc-boxes": "ImageNet boxes",
    "animals": "Photos of animals",
    "boundaries": "Boundaries",
    "mini": "Embedded benchmark",
    "mini-study": "Embedded benchmark, study",
}

_SPLITS = {
    "val": "validation",
    "unstated": "split not stated",
}

_BOX_SPLITS = {
    "all": "all validation images",
    "val": "validation images with a mask",
    "others": "all other validation images",
}

_HINTS = {
    "ilsvrc-boxes": "Box accuracy alone: these boxes need no mask. Nothing here is a pixel score.",
    "animals": (
        "Photos of ten animals of Caltech-101 with hand-drawn masks, most with one in the middle: "
        "see what a method has beside a Gaussian that sees no photo."
    ),
    "mini": (
        "Drawn scenes that come with wsolbench, to try the page and the commands. Results on them "
        "rank nothing: pictures, network and training were all made up together."
    ),
}


@dataclass(frozen=True)
class Panel:
    """One tab with tables.

    Attributes:
        key: in links to the tab.
        title: on the tab.
        hint: what to know before reading its tables; may be empty.
        tables: in order.
        embedded: whether they are of the embedded benchmark.
    """

    key: str
    title: str
    hint: str
    tables: tuple[Table, ...]
    embedded: bool


@dataclass(frozen=True)
class Best:
    """The best entries of one backbone in one table.

    Attributes:
        backbone: its name; "no network" for network-free baselines.
        entries: one, or several with equal scores.
        cell: their score.
        near: entries of this backbone whose intervals overlap that of the best, best first.
    """

    backbone: str
    entries: tuple[Entry, ...]
    cell: Cell
    near: tuple[Entry, ...]


@dataclass(frozen=True)
class Summary:
    """The best by backbone of one table.

    Attributes:
        table: the table.
        title: data set and split, for people.
        column: title of the score.
        rows: by backbone, network-free baselines last.
    """

    table: Table
    title: str
    column: str
    rows: tuple[Best, ...]


def panels(tables: Sequence[Table], titles: Mapping[str, str]) -> list[Panel]:
    """The tabs: data sets with most entries first, then related ones, the embedded benchmark last.

    Args:
        tables: of all entries.
        titles: of data sets by name, in place of the usual ones.
    """
    counts: dict[str, int] = {}
    groups: dict[str, list[Table]] = {}
    for table in tables:
        counts[table.dataset] = counts.get(table.dataset, 0) + len(table.entries)
        groups.setdefault(_key(table.dataset), []).append(table)

    def place(group: list[Table]) -> tuple[object, ...]:
        own = group[0].dataset
        home = _HOMES.get(own, own)
        home = home if home in counts else own
        return own in EMBEDDED, -counts[home], home, own != home

    return [
        _panel(key, groups[key], titles) for key in sorted(groups, key=lambda k: place(groups[k]))
    ]


def _key(dataset: str) -> str:
    if dataset in EMBEDDED:
        return "try"
    key = slug(dataset)
    return f"{key}-data" if key in ("summary", "try", "about") else key


def _panel(key: str, group: Sequence[Table], titles: Mapping[str, str]) -> Panel:
    own = group[0].dataset
    embedded = own in EMBEDDED
    title = "Try it" if embedded else _dataset(own, titles)
    return Panel(key, title, _HINTS.get(own, ""), tuple(group), embedded)


def _dataset(name: str, titles: Mapping[str, str]) -> str:
    return titles.get(name) or _DATASETS.get(name, name)


def human_title(table: Table, titles: Mapping[str, str]) -> str:
    """A table's title for people, e.g. "ImageNet, validation: reported".

    Args:
        table: the table.
        titles: of data sets by name, in place of the usual ones.
    """
    first = table.entries[0]
    named = first.study.casefold() == table.dataset.casefold()
    parts = [first.study] if first.study and not named else []
    parts.append("reported" if first.state == "reported" else "measured")
    return f"{_place(table, titles)}: {', '.join(parts)}"


def _place(table: Table, titles: Mapping[str, str]) -> str:
    splits = _BOX_SPLITS if table.dataset == "ilsvrc-boxes" else _SPLITS
    return f"{_dataset(table.dataset, titles)}, {splits.get(table.split, table.split)}"


def table_id(table: Table) -> str:
    """The anchor of a table, which does not depend on its entries."""
    digest = hashlib.sha256(table.title.encode()).hexdigest()
    return f"table-{slug(f'{table.dataset} {table.split}')}-{digest[:6]}"


def summaries(shown: Sequence[Panel], titles: Mapping[str, str]) -> list[Summary]:
    """The best by backbone of every table that ranks something, in the order of the tabs.

    Tables of network-free baselines alone come last.
    """
    ranked = (
        table
        for panel in shown
        if not panel.embedded
        for table in panel.tables
        if any(rank not in ("", "-") for rank in table.ranks)
    )

    def blind(table: Table) -> bool:
        return all(own.backbone == NO_NETWORK for own in table.entries)

    return [_summary(table, titles) for table in sorted(ranked, key=blind)]


def _summary(table: Table, titles: Mapping[str, str]) -> Summary:
    key = table.ranked_by
    cells = table.column(key)
    best: dict[str, list[int]] = {}
    for place, entry in enumerate(table.entries):
        if key not in entry.scores:
            continue
        places = best.setdefault(entry.backbone, [place])
        if place != places[0] and entry.scores[key] == table.entries[places[0]].scores[key]:
            places.append(place)

    def near(places: Sequence[int]) -> tuple[Entry, ...]:
        first = table.entries[places[0]]
        return tuple(
            entry
            for place, entry in enumerate(table.entries)
            if place not in places
            and entry.backbone == first.backbone
            and overlap(first, entry, key)
        )

    rows = [
        Best(
            "no network" if backbone == NO_NETWORK else backbone,
            tuple(table.entries[place] for place in best[backbone]),
            cells[best[backbone][0]],
            near(best[backbone]),
        )
        for backbone in sorted(best, key=lambda name: (name == NO_NETWORK, name))
    ]
    return Summary(table, _place(table, titles), heading(key), tuple(rows))


def newest(tables: Sequence[Table]) -> str:
    """The date of the newest entry: YYYY-MM-DD, YYYY-MM or YYYY; empty without entries."""
    return max((entry.date for table in tables for entry in table.entries), default="")
