"""Entries side by side: which stand in one table, their ranks, and what each cell shows.

Tables stand by data set and split. Measured entries are ranked within one protocol, reported ones
within one source, never together. They rank by pooled Peak-IoU; equal scores share a rank.
The README, the CSV files and the page are three drawings of what this module decides.

Source: paper, Tables 1 and 2, for the differences with and without SEM.

Public names: `Table`, `Cell`, `tables`, `RANKED_BY`, `THRESHOLD_RULES`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .entries import SCORES, Entry, entry_path
from .results import THRESHOLD_SCORES, shown

RANKED_BY = "peak_iou"

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
        gain: signed, over the entry without post-processing; or nothing.
        notes: numbers of notes about this score, but for those of its whole column.
    """

    shown: str
    interval: str = ""
    gain: str = ""
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """Entries that may be ranked against each other, or one study.

    Attributes:
        dataset: the data set's name.
        split: the split's name.
        title: what the entries have in common.
        entries: best first.
        ranks: of each entry, e.g. "1", "2=", "3~"; "-" without the score that ranks.
        bases: of each entry: the same without post-processing; None where there is none.
    """

    dataset: str
    split: str
    title: str
    entries: tuple[Entry, ...]
    ranks: tuple[str, ...]
    bases: tuple[Entry | None, ...]

    @property
    def keys(self) -> list[str]:
        """The scores that any of the entries has."""
        return [key for key in SCORES if any(key in entry.scores for entry in self.entries)]

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

    def own_notes(self, entry: Entry, key: str) -> tuple[int, ...]:
        """Notes of one entry's score that are not those of the column."""
        common = self.common_notes(key)
        return tuple(sorted(n for n in entry.footnotes.get(key, ()) if n not in common))

    def column(self, key: str) -> list[Cell]:
        """The cells of one score, in the order of the entries."""
        decimals = max(_decimals(entry, key) for entry in self.entries)
        pairs = zip(self.entries, self.bases, strict=True)
        return [self._cell(entry, base, key, decimals) for entry, base in pairs]

    def _cell(self, entry: Entry, base: Entry | None, key: str, decimals: int) -> Cell:
        if key not in entry.scores:
            return Cell("-")
        value = entry.scores[key]
        notes = self.own_notes(entry, key)
        if key in THRESHOLD_SCORES:
            return Cell(shown(key, value), notes=notes)
        interval = gain = ""
        if key in entry.intervals:
            low, high = entry.intervals[key]
            interval = f"[{100 * low:.{decimals}f}, {100 * high:.{decimals}f}]"
        if base is not None and key in base.scores and not key.endswith("_cls"):
            gain = f"{100 * (value - base.scores[key]):+.{decimals}f}"
        return Cell(f"{100 * value:.{decimals}f}", interval, gain, notes)


def tables(entries: Sequence[Entry]) -> list[Table]:
    """The entries as tables: measured ones first, studies last, in one order for any input."""
    groups: dict[tuple[str, str, int, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_group(entry), []).append(entry)
    return [_table(*key, groups[key]) for key in sorted(groups)]


def _group(entry: Entry) -> tuple[str, str, int, str]:
    """Data set, split, kind and title of the table that an entry stands in."""
    if entry.state == "reported":
        source = entry.provenance["paper"]["title"]
        if entry.study:
            return entry.dataset, entry.split, 2, f"Reported in {source}: {entry.study}"
        return entry.dataset, entry.split, 1, f"Reported in {source}"
    protocol = entry.provenance["protocol"]
    name = f"{protocol['name']}.v{protocol['version']} ({protocol['sha256'][:8]})"
    return entry.dataset, entry.split, 0, f"Measured, protocol {name}"


def _table(dataset: str, split: str, kind: int, title: str, entries: Sequence[Entry]) -> Table:
    if kind == 2:
        rows = sorted(entries, key=lambda e: (_natural(e.variant or e.method), _order(e)))
        none = tuple(None for _ in rows)
        return Table(dataset, split, title, tuple(rows), tuple("" for _ in rows), none)
    rows = sorted(entries, key=_order)
    ranks: list[str] = []
    values = [entry.scores.get(RANKED_BY) for entry in rows]
    for place, (entry, value) in enumerate(zip(rows, values, strict=True)):
        if value is None:
            ranks.append("-")
            continue
        shared = "=" if values.count(value) > 1 else ""
        overlap = "~" if place and _overlap(rows[place - 1], entry) else ""
        ranks.append(f"{values.index(value) + 1}{shared}{overlap}")
    bases = tuple(_base(entry, rows) for entry in rows)
    return Table(dataset, split, title, tuple(rows), tuple(ranks), bases)


def _order(entry: Entry) -> tuple[object, ...]:
    return -entry.scores.get(RANKED_BY, -1), entry.name, entry.backbone, str(entry_path(entry))


def _natural(text: str) -> list[tuple[int, str]]:
    """Texts with numbers in them, in the order of the numbers."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _overlap(above: Entry, entry: Entry) -> bool:
    both = (above.intervals.get(RANKED_BY), entry.intervals.get(RANKED_BY))
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
    return entry.method, entry.backbone, entry.map_size, entry.label, entry.threshold["rule"]


def _decimals(entry: Entry, key: str) -> int:
    """Decimals of a percent: as printed for a reported score, else two."""
    if key not in entry.scores or key in THRESHOLD_SCORES:
        return 0
    if entry.state != "reported":
        return 2
    texts = [cell["text"] for cell in entry.provenance["printed"] if cell["score"] == key]
    return len(texts[0].partition(".")[2])
