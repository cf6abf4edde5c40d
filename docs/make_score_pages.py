"""Write the line of facts below each heading of docs/scores/*.md from the records of the scores.

python docs/make_score_pages.py
"""

from __future__ import annotations

import re
from pathlib import Path

from wsolbench.scores import SCORES, Better, Read, Score, Unit

PAGES = Path(__file__).parent / "scores"

UNITS = {
    Unit.FRACTION: ", printed as percent",
    Unit.LEVEL: ", a whole number",
    Unit.SHARE: ", a share of the range",
    Unit.NUMBER: ", printed as it is",
}
BETTER = {
    Better.HIGHER: "Higher is better.",
    Better.LOWER: "Lower is better.",
    Better.NEITHER: "No direction is better.",
}
READ = {
    Read.NOT: "",
    Read.MAXIMUM: "The maximum of the curve `{}`.",
    Read.ARGMAX: "The lowest threshold at the maximum of the curve `{}`.",
    Read.THRESHOLD: "The value of the curve `{}` at the threshold of the result.",
    Read.AREA: "An area under the curve `{}` against `recall`.",
}

_SECTION = re.compile(r"^## `(\w+)`\n\n(?:\*.*\*\n\n)?", re.MULTILINE)


def facts(score: Score) -> str:
    """What the record says of a score, as one line in italics."""
    low = "unbounded" if score.low is None else f"from {score.low:g}"
    ends = low if score.high is None else f"{low} to {score.high:g}"
    parts = [f"{score.title}: {ends}{UNITS[score.unit]}.", BETTER[score.better]]
    parts.append(READ[score.read].format(score.curve))
    if isinstance(score.chance, str):
        parts.append(f"Chance: [`{score.chance}`](#{score.chance}).")
    elif score.chance is not None:
        parts.append(f"Chance: {score.chance:g}.")
    if score.rank:
        parts.append("Tables are ranked by it" + (" if they have no Peak-IoU." * (score.rank > 1)))
    text = " ".join(filter(None, parts))
    return f"*{text.removesuffix('.')}.*"


def with_facts(page: str) -> str:
    """A page with the line of facts below the heading of each score.

    Raises:
        KeyError: a heading names no score.
    """
    return _SECTION.sub(lambda own: f"## `{own[1]}`\n\n{facts(SCORES[own[1]])}\n\n", page)


def main() -> None:
    """Rewrite the pages."""
    for path in sorted(PAGES.glob("*.md")):
        path.write_text(with_facts(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
