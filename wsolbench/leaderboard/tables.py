"""Entries side by side: which stand in one table, their ranks, and what each cell shows.

Tables stand by data set and split. Measured entries are ranked within one protocol, reported ones
within one source, never together. They rank by pooled Peak-IoU, a table of box scores alone by
GT-known; equal scores share a rank. A table without a network-free baseline says so (`floor`).
The README, the CSV files and the page are three drawings of what this module decides.

Source: paper, Tables 1 and 2, for the differences with and without SEM.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..protocols import label_of
from ..scores import SCORES, Better, in_order
from .entries import Entry, entry_path

__all__ = [
    "BOXES_ALONE",
    "NO_NETWORK",
    "THRESHOLD_RULES",
    "Cell",
    "Floor",
    "Table",
    "floor",
    "heading",
    "tables",
]

NO_NETWORK = "none"
"""The backbone of network-free baselines."""

BOXES_ALONE = {("ILSVRC", "val"): ("ilsvrc-boxes", ("all", "val"))}
"""Data set and splits of the same images' boxes, for tables whose masks are not available.

A paper that reads box accuracy on "the ILSVRC validation set" does not say whether it means all
images or those with a mask of val.
"""

THRESHOLD_RULES = {
    "max": "best on this split",
    "carried": "carried",
    "fixed": "fixed",
    "unstated": "not stated",
}
"""How a threshold was chosen, in the words of the tables."""


@dataclass(frozen=True)
class Cell:
    """One score of one entry as text; fractions as percent.

    Attributes:
        shown: the score, or "-" where there is none.
        interval: "[low, high]", or nothing.
        gain: the difference, signed, from the entry without post-processing; or nothing.
        worse: whether that difference is for the worse.
        notes: numbers of notes about this score, but for those of its whole column.
    """

    shown: str
    interval: str = ""
    gain: str = ""
    worse: bool = False
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """Entries that may be ranked against each other, or one study.

    Attributes:
        dataset: the data set's name.
        split: the split's name.
        title: what the entries have in common.
        protocol: name, version and hash; "as reported" of reported entries.
        entries: best first.
        ranks: of each entry, e.g. "1", "2=", "3~"; "-" without the score that ranks, nothing in a
            study.
        bases: of each entry: the same without post-processing; None where there is none.
    """

    dataset: str
    split: str
    title: str
    protocol: str
    entries: tuple[Entry, ...]
    ranks: tuple[str, ...]
    bases: tuple[Entry | None, ...]

    @property
    def keys(self) -> list[str]:
        """The scores that any of the entries has."""
        return in_order({key for entry in self.entries for key in entry.scores})

    @property
    def shown_keys(self) -> list[str]:
        """Those of them that tables with little room have; the CSV files have all."""
        return [key for key in self.keys if SCORES[key].shown]

    @property
    def ranked_by(self) -> str:
        """The score that its rows are ordered by."""
        return _ranked_by(self.entries)

    @property
    def has_floor(self) -> bool:
        """Whether it has a network-free baseline."""
        return any(entry.backbone == NO_NETWORK for entry in self.entries)

    @property
    def notes(self) -> list[int]:
        """Numbers of all notes that concern it, ascending."""
        return sorted({n for e in self.entries for notes in e.footnotes.values() for n in notes})

    def common_notes(self, key: str) -> list[int]:
        """Notes that every entry with this score ("entry": every one) points to.

        They stand at the head of the column instead of in each of its cells.
        """
        rows = [e for e in self.entries if key == "entry" or key in e.scores]
        if len(rows) < 2:
            return []
        return sorted(set.intersection(*(set(entry.footnotes.get(key, ())) for entry in rows)))

    def own_notes(self, key: str) -> list[tuple[int, ...]]:
        """Notes of each entry's score that are not those of the whole column."""
        common = self.common_notes(key)
        own = (
            [n for n in entry.footnotes.get(key, ()) if n not in common] for entry in self.entries
        )
        return [tuple(sorted(notes)) for notes in own]

    def column(self, key: str) -> list[Cell]:
        """The cells of one score, in the order of the entries."""
        rows = zip(self.entries, self.bases, self.own_notes(key), strict=True)
        return [_cell(entry, base, key, notes) for entry, base, notes in rows]


@dataclass(frozen=True)
class Floor:
    """What a table without a network-free baseline says about that.

    Attributes:
        text: a sentence; with `places` it ends where they are to be named.
        places: tables that have one.
        command: what makes one, to be measured; empty where it cannot be measured.
    """

    text: str
    places: tuple[Table, ...] = ()
    command: str = ""


def heading(key: str) -> str:
    """The title of a score's column; it says so where lower is better."""
    score = SCORES[key]
    return f"{score.title} (lower is better)" if score.better is Better.LOWER else score.title


def floor(table: Table, others: Sequence[Table]) -> Floor | None:
    """Where the network-free baselines of a table are, or how to measure one.

    Args:
        table: any.
        others: all tables, this one among them or not.

    Returns:
        None where the table has one.
    """
    if table.has_floor:
        return None
    lack = "This table has no network-free baseline"
    if all(SCORES[key].family == "boundary" for key in table.keys):
        return Floor(f"{lack}; wsolbench does not score boundaries.")
    # A study bounds from above, or varies a parameter: no place to compare with.
    floored = [other for other in others if other.has_floor and not other.entries[0].study]
    alike = [other for other in floored if _conditions(other) == _conditions(table)]
    if alike and table.entries[0].state != "reported":
        return Floor(f"{lack}; for the same images and protocol see", (alike[0],))
    command = "wsolbench predict trivial:NAME"
    dataset, splits = BOXES_ALONE.get((table.dataset, table.split), ("", ()))
    boxes = [
        other
        for split in splits
        for other in floored
        if (other.dataset, other.split) == (dataset, split)
    ]
    if boxes and "gt_known_loc" in table.keys:
        return Floor(f"{lack}; for the box accuracy of some see", tuple(boxes), command)
    return Floor(f"{lack}.", command=command)


def _conditions(table: Table) -> tuple[object, ...]:
    """What tables share whose entries were measured alike, be it in a study or not."""
    provenance = table.entries[0].provenance
    return table.dataset, table.split, table.protocol, provenance.get("annotations_sha256")


def tables(entries: Sequence[Entry]) -> list[Table]:
    """The entries as tables: measured ones first, studies last, in one order for any input."""
    groups: dict[tuple[str, str, int, str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_group(entry), []).append(entry)
    return [_table(*key[:4], groups[key]) for key in sorted(groups)]


def _group(entry: Entry) -> tuple[str, str, int, str, str]:
    """Data set, split, kind and title of an entry's table, and what else its rows share."""
    study = f": {entry.study}" if entry.study else ""
    kind = 2 if entry.study else int(entry.state == "reported")
    if entry.state == "reported":
        paper = entry.provenance["paper"]
        title = f"Reported in {paper['title']}{study}"
        return entry.dataset, entry.split, kind, title, paper.get("link", "")
    annotations = entry.provenance["annotations_sha256"]
    title = (
        f"Measured, protocol {_protocol(entry)}, "
        f"{entry.images} images, annotations {annotations[:8]}"
    )
    whose = "" if entry.label == "gt" else ", maps of the predicted class"
    shared = f"{entry.provenance['protocol']['sha256']} {annotations}"
    return entry.dataset, entry.split, kind, f"{title}{whose}{study}", shared


def _protocol(entry: Entry) -> str:
    if entry.state == "reported":
        return "as reported"
    return label_of(entry.provenance["protocol"])


def _table(dataset: str, split: str, kind: int, title: str, entries: Sequence[Entry]) -> Table:
    protocol = _protocol(entries[0])
    by = _ranked_by(entries)
    if kind == 2:
        rows = sorted(entries, key=lambda e: (_natural(e.variant or e.method), _order(e, by)))
        none = tuple(None for _ in rows)
        return Table(dataset, split, title, protocol, tuple(rows), tuple("" for _ in rows), none)
    rows = sorted(entries, key=lambda e: _order(e, by))
    ranks: list[str] = []
    values = [entry.scores.get(by) for entry in rows]
    for place, (entry, value) in enumerate(zip(rows, values, strict=True)):
        if value is None:
            ranks.append("-")
            continue
        shared = "=" if values.count(value) > 1 else ""
        overlap = "~" if place and _overlap(rows[place - 1], entry, by) else ""
        ranks.append(f"{values.index(value) + 1}{shared}{overlap}")
    bases = tuple(_base(entry, rows) for entry in rows)
    return Table(dataset, split, title, protocol, tuple(rows), tuple(ranks), bases)


def _order(entry: Entry, by: str) -> tuple[object, ...]:
    best_first = SCORES[by].order(entry.scores.get(by))
    return best_first, entry.name, entry.backbone, str(entry_path(entry))


def _ranked_by(entries: Sequence[Entry]) -> str:
    """The first score that ranks and that any of the entries has."""
    ranking = sorted((score for score in SCORES.values() if score.rank), key=lambda own: own.rank)
    held = {key for entry in entries for key in entry.scores}
    return next((score.key for score in ranking if score.key in held), ranking[0].key)


def _natural(text: str) -> list[tuple[int, str]]:
    """Texts with numbers in them, in the order of the numbers."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _overlap(above: Entry, entry: Entry, by: str) -> bool:
    both = (above.intervals.get(by), entry.intervals.get(by))
    if both[0] is None or both[1] is None:
        return False
    return both[0][0] <= both[1][1] and both[1][0] <= both[0][1]


def _base(entry: Entry, others: Sequence[Entry]) -> Entry | None:
    """The same method, backbone, map size and threshold's rule without post-processing."""
    if not entry.post_processing:
        return None
    alike = [
        other
        for other in others
        if not other.post_processing and not other.variant and _sameness(other) == _sameness(entry)
    ]
    return alike[0] if len(alike) == 1 else None


def _sameness(entry: Entry) -> tuple[object, ...]:
    made = (entry.method, entry.backbone, entry.map_size, entry.supervision, entry.pretraining)
    return *made, entry.label, entry.threshold["rule"]


def _cell(entry: Entry, base: Entry | None, key: str, notes: tuple[int, ...]) -> Cell:
    if key not in entry.scores:
        return Cell("-")
    score = SCORES[key]
    value, decimals = entry.scores[key], _decimals(entry, key)
    ends = [score.text(end, decimals) for end in entry.intervals.get(key, ())]
    gain, worse = "", False
    # What is done to maps moves no class prediction.
    gains = not score.is_threshold and score.family != "class"
    if gains and base is not None and key in base.scores:
        finer = max(decimals, _decimals(base, key))
        gain = score.text(value - base.scores[key], finer, signed=True)
        worse = score.order(value) > score.order(base.scores[key])
    interval = f"[{', '.join(ends)}]" if ends else ""
    return Cell(score.text(value, decimals), interval, gain, worse, notes)


def _decimals(entry: Entry, key: str) -> int:
    """Decimals of a percent: as printed for a reported score, else two."""
    if key not in entry.scores or SCORES[key].is_threshold:
        return 0
    if entry.state != "reported":
        return 2
    texts = [cell["text"] for cell in entry.provenance["printed"] if cell["score"] == key]
    return len(texts[0].partition(".")[2])
