"""Results and leaderboard entries as plots see them: names, and what may share a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from ..errors import WsolbenchError, some
from ..formats.report import told_apart
from ..formats.result import Result
from ..leaderboard.entries import Entry
from ..protocols import label_of

__all__ = ["Scored", "check_alike", "legend", "legends", "name_source", "source_of", "where"]

Scored = Result | Entry
"""What curves and seeds are drawn of."""


def check_alike(scored: Sequence[Scored]) -> None:
    """Refuse numbers that may not stand side by side: of two protocols, or of two sources."""
    if not scored:
        raise WsolbenchError("results", found="none", cure="name one or more")
    sources = dict(map(source_of, scored))
    if len(sources) > 1:
        raise WsolbenchError(
            "results",
            found=some(list(sources.values())),
            expected="one protocol, or what one paper reports, in one picture",
            cure="plot them apart",
        )


def source_of(item: Scored) -> tuple[str, str]:
    """What must agree in one picture, and what an error calls it."""
    if isinstance(item, Entry) and item.state == "reported":
        title = item.provenance["paper"]["title"]
        return title, f"numbers reported in {title}"
    protocol = item.provenance["protocol"] if isinstance(item, Entry) else item.protocol
    return protocol["sha256"], f"protocol {label_of(protocol)}"


def name_source(axes: NDArray[Any], item: Scored) -> None:
    """Say below the panels what a score means, or who reports it."""
    text = source_of(item)[1]
    axes[0, 0].figure.supxlabel(text, fontsize=7, color="#444444", parse_math=False)


def where(item: Scored) -> str:
    """What an error calls an item."""
    kind = "entry" if isinstance(item, Entry) else "result"
    return f"{kind} of {item.name} on {item.split}"


def legend(item: Scored, variant: bool = True) -> str:
    """An item's name in a legend; without its variant where lines join several."""
    if isinstance(item, Entry):
        named = item if variant else replace(item, variant="")
        name, more = f"{named.name} {item.backbone}", item.state == "reported" and ", reported"
    else:
        name, more = item.name, item.limit is not None and ", trial"
    return f"{name} ({item.dataset} {item.split}{more or ''})"[:60].lstrip("_")


def legends(scored: Sequence[Scored]) -> list[str]:
    """A legend each; equal ones name a parameter in which they differ."""
    stated = [
        {"seeds": item.seeds} if isinstance(item, Entry) else item.parameters for item in scored
    ]
    return told_apart([legend(item) for item in scored], stated)
