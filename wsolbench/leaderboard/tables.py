"""Tables of entries: which entries share a table, their ranks, and the text of each cell.

Tables are grouped by data set and split. Measured entries are ranked within one protocol, reported
entries within one source, never together. A table is ranked by the first score that ranks (see
`scores`), in that score's direction: pooled Peak-IoU, or GT-known if it contains only box scores;
equal scores share a rank. Results on the embedded benchmark are sorted alike and have no ranks,
because its scenes, network and training were all made up together. A table without a network-free
baseline says so (`floor`). The README, the CSV files and the page all show the tables made here.

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
    "EMBEDDED",
    "NO_NETWORK",
    "THRESHOLD_RULES",
    "Cell",
    "Floor",
    "Table",
    "floor",
    "heading",
    "overlap",
    "tables",
]

NO_NETWORK = "none"
"""The backbone of network-free baselines."""

EMBEDDED = ("mini", "mini-study")
"""Data sets of the embedded benchmark, whose results rank nothing: the demo's, and the study's."""

BOXES_ALONE = {("ILSVRC", "val"): ("ilsvrc-boxes", ("all", "val"))}
"""For tables whose masks are not available: data set and splits with the same images' boxes.

A paper that reports box accuracy on "the ILSVRC validation set" does not say whether it means all
images or only those with a mask in val.
"""

THRESHOLD_RULES = {
    "max": "best on this split",
    "carried": "carried",
    "fixed": "fixed",
    "per_image": "each map's own",
    "unstated": "not stated",
}
"""How a threshold was chosen, as the tables say it."""


@dataclass(frozen=True)
class Cell:
    """One score of one entry as text; fractions as percent.

    Attributes:
        shown: the score, or "-" if there is none.
        interval: "[low, high]", or empty.
        gain: signed difference from the entry without post-processing, or empty.
        worse: whether the score is worse than without post-processing.
        notes: numbers of notes about this score, without those of the whole column.
        best: whether no score of the column is better, as far as the printed decimals tell.
    """

    shown: str
    interval: str = ""
    gain: str = ""
    worse: bool = False
    notes: tuple[int, ...] = ()
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Entries that may be ranked against each other, or the entries of one study.

    Attributes:
        dataset: the data set's name.
        split: the split's name.
        title: what the entries have in common.
        protocol: name, version and hash; "as reported" for reported entries.
        entries: best first.
        ranks: of each entry, e.g. "1", "2=", "3~"; "-" if it lacks the ranking score; empty in a
            study and on the embedded benchmark.
        bases: for each entry, the entry without post-processing, or None.
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
        """Scores that at least one entry has."""
        return in_order({key for entry in self.entries for key in entry.scores})

    @property
    def shown_keys(self) -> list[str]:
        """The subset of `keys` for the README and the page; the CSV files have all."""
        return [key for key in self.keys if SCORES[key].shown]

    @property
    def ranked_by(self) -> str:
        """The score that the table is ranked by."""
        return _ranked_by(self.entries)

    @property
    def has_floor(self) -> bool:
        """Whether it has a network-free baseline."""
        return any(entry.backbone == NO_NETWORK for entry in self.entries)

    @property
    def notes(self) -> list[int]:
        """Numbers of all notes of the table, ascending."""
        return sorted({n for e in self.entries for notes in e.footnotes.values() for n in notes})

    def common_notes(self, key: str) -> list[int]:
        """Notes shared by all entries that have this score (for "entry": by all entries).

        They are shown in the column's heading instead of in each cell.
        """
        rows = [e for e in self.entries if key == "entry" or key in e.scores]
        if len(rows) < 2:
            return []
        return sorted(set.intersection(*(set(entry.footnotes.get(key, ())) for entry in rows)))

    def own_notes(self, key: str) -> list[tuple[int, ...]]:
        """Notes of each entry's score, without those of the whole column."""
        common = self.common_notes(key)
        own = (
            [n for n in entry.footnotes.get(key, ()) if n not in common] for entry in self.entries
        )
        return [tuple(sorted(notes)) for notes in own]

    def column(self, key: str) -> list[Cell]:
        """The cells of one score, in the order of the entries, with one number of decimals."""
        decimals = max((_decimals(e, key) for e in self.entries if key in e.scores), default=0)
        rows = zip(self.entries, self.bases, self.own_notes(key), strict=True)
        best = self._best(key, decimals)
        return [_cell(entry, base, key, notes, decimals, best) for entry, base, notes in rows]

    def _best(self, key: str, decimals: int) -> str:
        """The best score of a column as text; empty where nothing is better than something else."""
        score = SCORES[key]
        held = [entry.scores[key] for entry in self.entries if key in entry.scores]
        if score.better is Better.NEITHER or len(held) < 2:
            return ""
        return score.text(min(held, key=score.order), decimals)


@dataclass(frozen=True)
class Floor:
    """What a table without a network-free baseline says instead.

    Attributes:
        text: a sentence; if there are `places`, it is continued with their names.
        places: tables that have such a baseline.
        command: makes one; empty if it could not be measured.
    """

    text: str
    places: tuple[Table, ...] = ()
    command: str = ""


def heading(key: str) -> str:
    """The title of a score's column, which says if lower is better."""
    score = SCORES[key]
    return f"{score.title} (lower is better)" if score.better is Better.LOWER else score.title


def floor(table: Table, others: Sequence[Table]) -> Floor | None:
    """Where to find network-free baselines for a table, or how to measure one.

    Args:
        table: the table.
        others: all tables; may include `table`.

    Returns:
        None if the table has such a baseline itself.
    """
    if table.has_floor:
        return None
    lack = "This table has no network-free baseline"
    if all(SCORES[key].family == "boundary" for key in table.keys):
        return Floor(f"{lack}; wsolbench predict edges:canny makes one.")
    # A study is an upper bound or varies a parameter, so it is no baseline to compare with.
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
        return Floor(f"{lack}; for the box accuracy of such baselines see", tuple(boxes), command)
    return Floor(f"{lack}.", command=command)


def _conditions(table: Table) -> tuple[object, ...]:
    """What tables have in common if their entries were measured in the same way."""
    provenance = table.entries[0].provenance
    return table.dataset, table.split, table.protocol, provenance.get("annotations_sha256")


def tables(entries: Sequence[Entry]) -> list[Table]:
    """The entries as tables: measured first, studies last; independent of the input's order."""
    groups: dict[tuple[str, str, int, str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_group(entry), []).append(entry)
    return [_table(*key[:4], groups[key]) for key in sorted(groups)]


def _group(entry: Entry) -> tuple[str, str, int, str, str]:
    """Data set, split, kind and title of an entry's table, and what else its rows must share."""
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
        close = "~" if place and overlap(rows[place - 1], entry, by) else ""
        ranks.append(f"{values.index(value) + 1}{shared}{close}")
    if dataset in EMBEDDED:
        ranks = ["" for _ in rows]
    bases = tuple(_base(entry, rows) for entry in rows)
    return Table(dataset, split, title, protocol, tuple(rows), tuple(ranks), bases)


def _order(entry: Entry, by: str) -> tuple[object, ...]:
    best_first = SCORES[by].order(entry.scores.get(by))
    return best_first, entry.name, entry.backbone, str(entry_path(entry))


def _ranked_by(entries: Sequence[Entry]) -> str:
    """The first ranking score that at least one entry has."""
    ranking = sorted((score for score in SCORES.values() if score.rank), key=lambda own: own.rank)
    held = {key for entry in entries for key in entry.scores}
    return next((score.key for score in ranking if score.key in held), ranking[0].key)


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorting key that compares the numbers in a text by value."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def overlap(above: Entry, entry: Entry, by: str) -> bool:
    """Whether both entries have an interval of a score and the two intervals overlap."""
    both = (above.intervals.get(by), entry.intervals.get(by))
    if both[0] is None or both[1] is None:
        return False
    return both[0][0] <= both[1][1] and both[1][0] <= both[0][1]


def _base(entry: Entry, others: Sequence[Entry]) -> Entry | None:
    """The entry with the same method, backbone, map size and rule, without post-processing."""
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


def _cell(
    entry: Entry, base: Entry | None, key: str, notes: tuple[int, ...], decimals: int, best: str
) -> Cell:
    if key not in entry.scores:
        return Cell("-")
    score = SCORES[key]
    value = entry.scores[key]
    shown = score.text(value, decimals)
    ends = [score.text(end, decimals) for end in entry.intervals.get(key, ())]
    gain, worse = "", False
    # Processing the maps does not change class predictions.
    gains = not score.is_threshold and score.family != "class"
    if gains and base is not None and key in base.scores:
        gain = score.text(value - base.scores[key], decimals, signed=True)
        worse = score.order(value) > score.order(base.scores[key])
    interval = f"[{', '.join(ends)}]" if ends else ""
    return Cell(shown, interval, gain, worse, notes, shown == best)


def _decimals(entry: Entry, key: str) -> int:
    """Decimals of a score that the entry has: as printed for a reported one, else two."""
    if SCORES[key].is_threshold:
        return 0
    if entry.state != "reported":
        return 2
    texts = [cell["text"] for cell in entry.provenance["printed"] if cell["score"] == key]
    return len(texts[0].partition(".")[2])
