"""Who is ahead, under several protocols at once.

Programs score localization by different rules, so that a method may lead under one and trail under
another. A verdict holds one comparison of the same methods for each protocol, decided together: the
correction for many comparisons counts the scores of all protocols (`pairs.judged`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import WsolbenchError, printable, require_items
from ..formats.layout import PLAIN, Layout, check_form
from ..protocols import versioned
from ..scores import in_order
from ..tables import csv_text, grid
from .comparison import Comparison, signature
from .comparison_report import (
    CSV_HEAD,
    DIFFERENCE_HEAD,
    correction_text,
    csv_rows,
    difference_cells,
    legend,
    marks_of,
    pairs_of,
    warnings_of,
)
from .pairs import Tally, compared_pairs, judged

__all__ = [
    "FORMAT",
    "Standing",
    "Verdict",
    "judge",
    "verdict_signature",
    "verdict_table",
    "verdict_warnings",
]

FORMAT = "wsolbench-verdict"
FORMAT_VERSION = 1

_STANDINGS = ("ahead", "behind", "mixed", "undecided", "equal")


@dataclass(frozen=True)
class Standing:
    """How the second of two methods stands.

    Attributes:
        first: place of the one method among the names.
        second: place of the other.
        tallies: by protocol, in how many scores it is ahead.
    """

    first: int
    second: int
    tallies: dict[str, Tally]

    def count(self, name: str) -> int:
        """Scores of all protocols that are "ahead", "behind", "undecided" or "equal"."""
        return sum(len(getattr(own, name)) for own in self.tallies.values())

    def protocols(self, standing: str) -> list[str]:
        """The protocols under which it is "ahead", "behind", "mixed", "undecided" or "equal"."""
        return [name for name, own in self.tallies.items() if own.standing == standing]

    def __str__(self) -> str:
        names = ("ahead", "behind", "undecided")
        scores = ", ".join(f"{name} in {self.count(name)}" for name in names)
        total = sum(own.scores for own in self.tallies.values())
        equal = f"; equal in {self.count('equal')} more" if self.count("equal") else ""
        if len(self.tallies) == 1:
            return f"{scores} of {total} scores{equal}"
        held = {name: len(self.protocols(name)) for name in _STANDINGS}
        first = f"ahead under {held.pop('ahead')} of {len(self.tallies)} protocols"
        rest = "".join(f", {name} under {number}" for name, number in held.items() if number)
        return f"{scores} of {total} scores{equal}; {first}{rest}"

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        own = asdict(self)
        for name, tally in self.tallies.items():
            own["tallies"][name]["standing"] = tally.standing
        own["scores"] = {name: self.count(name) for name in ("ahead", "behind", "undecided")}
        own["protocols"] = {name: self.protocols(name) for name in _STANDINGS}
        return own


@dataclass(frozen=True, repr=False)
class Verdict:
    """Several methods under several protocols, decided together.

    Attributes:
        comparisons: one a protocol, of the same methods in the same order.
        skipped: by protocol why the methods were not compared under it.

    Examples:
        >>> files = ["demo/cam-val.h5", "demo/sem-val.h5"]
        >>> names = ["sem", "wsoleval-pxap"]
        >>> found = wsolbench.compare_protocols(
        ...     files, wsolbench.Bootstrap(1000), "demo/mini.h5", protocols=names
        ... )
        >>> len(found.comparisons), dict(found.skipped)
        (2, {})
    """

    comparisons: tuple[Comparison, ...]
    skipped: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the methods."""
        return self.comparisons[0].names

    @property
    def protocols(self) -> list[str]:
        """Names of the protocols."""
        return [str(own.protocol["name"]) for own in self.comparisons]

    @property
    def score_keys(self) -> list[str]:
        """Every score of any protocol, in the order of tables."""
        return in_order({key for own in self.comparisons for key in own.scores})

    @property
    def standings(self) -> list[Standing]:
        """How each second method stands beside the first, a pair each."""
        held: dict[tuple[int, int], dict[str, Tally]] = {}
        for name, comparison in zip(self.protocols, self.comparisons, strict=True):
            for own in comparison.tallies:
                held.setdefault((own.first, own.second), {})[name] = own
        return [Standing(first, second, own) for (first, second), own in held.items()]

    def __repr__(self) -> str:
        told = "; ".join(
            f"{self.names[own.second]} beside {self.names[own.first]}: {own}"
            for own in self.standings
        )
        return f"Verdict({told})"

    def to_json(self) -> str:
        """The verdict as JSON: sorted keys, a final newline, no NaN."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "names": self.names,
            "protocols": self.protocols,
            "skipped": self.skipped,
            "standings": [own.as_dict() for own in self.standings],
            "comparisons": [own.as_dict() for own in self.comparisons],
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
        return text + "\n"


def judge(comparisons: Sequence[Comparison], skipped: dict[str, str] | None = None) -> Verdict:
    """Decide comparisons of the same methods under several protocols together.

    Args:
        comparisons: one a protocol.
        skipped: by protocol why there is none.

    Raises:
        WsolbenchError: none; other methods, resamples or pairs than those of the first; a protocol
            twice.

    Examples:
        >>> files = ["demo/cam-val.h5", "demo/sem-val.h5"]
        >>> drawn = wsolbench.Bootstrap(1000)
        >>> found = [
        ...     wsolbench.compare_files(files, drawn, "demo/mini.h5", protocol=name)
        ...     for name in ("sem", "wsoleval-pxap")
        ... ]
        >>> len(wsolbench.judge(found).comparisons)
        2
    """
    require_items("comparisons", comparisons, (Comparison,), "a list of Comparison")
    if not comparisons:
        raise WsolbenchError(
            "comparisons", found="none", expected="one a protocol", cure="compare first"
        )
    first, seen = comparisons[0], set()
    for own in comparisons:
        name = str(own.protocol["name"])
        alike = {
            "methods": (own.submissions, first.submissions),
            "resamples": (own.bootstrap, first.bootstrap),
            "pairs": ([*_places(own)], [*_places(first)]),
        }
        differing = [key for key, (ours, theirs) in alike.items() if ours != theirs]
        if differing or name in seen:
            raise WsolbenchError(
                f"comparison under {name}",
                found=f"other {differing[0]}" if differing else "this protocol twice",
                expected=f"the methods of {first.protocol['name']} under another protocol",
                cure="compare the same files under each protocol, once",
            )
        seen.add(name)
    groups = [own.pairs for own in comparisons]
    repeated = [own.repeated for own in comparisons]
    count = len(compared_pairs(groups, repeated))
    decided = judged(groups, repeated, first.bootstrap)
    return Verdict(
        tuple(
            replace(own, pairs=pairs, comparisons=count)
            for own, pairs in zip(comparisons, decided, strict=True)
        ),
        dict(skipped or {}),
    )


def verdict_table(verdict: Verdict, form: str = "text", layout: Layout = PLAIN) -> str:
    """The verdict on each pair, a row for each protocol, and all differences.

    CSV has the differences alone, as fractions, with the protocol in the first column.

    Args:
        verdict: of one or more protocols.
        form: "text", "md", "latex" or "csv".
        layout: `columns` are the scores to show the differences of.

    Raises:
        WsolbenchError: a score that was compared under no protocol.

    Examples:
        >>> files = ["demo/cam-val.h5", "demo/sem-val.h5"]
        >>> names = ["sem", "wsoleval-pxap"]
        >>> drawn = wsolbench.Bootstrap(1000)
        >>> verdict = wsolbench.compare_protocols(files, drawn, "demo/mini.h5", protocols=names)
        >>> wsolbench.verdict_table(verdict, "csv").split(",")[:4]
        ['protocol', 'score', 'first', 'second']
    """
    check_form(form, layout, sorted_=False)
    require_items("verdict", [verdict], (Verdict,), "a Verdict")
    keys = layout.keys(key for own in verdict.comparisons for key in own.scores)
    shown = [(own, pairs_of(own, keys)) for own in verdict.comparisons]
    if form == "csv":
        rows = [
            [name, *row]
            for name, (own, pairs) in zip(verdict.protocols, shown, strict=True)
            for row in csv_rows(own, pairs)
        ]
        return csv_text(["protocol", *CSV_HEAD], rows)
    starts = {"text": "", "md": "* ", "latex": "% "}
    first = verdict.comparisons[0]
    marks = marks_of(first, form, layout)
    sentences = [
        f"{marks[own.second]} beside {marks[own.first]}: {own}" for own in verdict.standings
    ]
    sentences.append(correction_text(first))
    standings = grid(
        [
            [
                versioned(comparison.protocol),
                f"{marks[own.second]} - {marks[own.first]}",
                *(str(len(getattr(own, name))) for name in ("ahead", "behind", "undecided")),
                own.standing,
            ]
            for comparison in verdict.comparisons
            for own in comparison.tallies
        ],
        ["protocol", "", "ahead in", "behind in", "undecided in", "verdict"],
        form,
        "llrrrl",
        width=layout.width,
        kept=2,
    )
    differences = grid(
        [
            [versioned(own.protocol), *difference_cells(own, pair, marks)]
            for own, pairs in shown
            for pair in pairs
        ],
        ["protocol", "percentage points", *DIFFERENCE_HEAD],
        form,
        "lllrlrrl",
        width=layout.width,
        kept=3,
    )
    told = "\n".join(starts[form] + line for line in sentences)
    return "\n\n".join([legend(first, form), differences, standings, told])


def verdict_signature(verdict: Verdict) -> str:
    """What the numbers rest on: a line for each protocol."""
    return "\n".join(map(signature, verdict.comparisons))


def verdict_warnings(verdict: Verdict) -> list[str]:
    """What a reader should know before using the numbers, each once."""
    warnings = [
        f"not compared under {name}: {printable(why)}" for name, why in verdict.skipped.items()
    ]
    warnings += [text for own in verdict.comparisons for text in warnings_of(own)]
    return list(dict.fromkeys(warnings))


def _places(comparison: Comparison) -> dict[tuple[int, int], None]:
    return dict.fromkeys((pair.first, pair.second) for pair in comparison.pairs)
