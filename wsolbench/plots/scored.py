"""Names of results and leaderboard entries in plots, and which of them may share a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from ..errors import WsolbenchError, require_items, some
from ..formats.names import telling, told_apart
from ..formats.result import Result
from ..leaderboard.entries import Entry
from ..protocols import label_of

__all__ = [
    "Scored",
    "check_alike",
    "legend",
    "legends",
    "name_source",
    "protocol_of",
    "require_scored",
    "source_of",
    "where",
]

Scored = Result | Entry
"""What curves and seeds can be drawn from."""


def check_alike(scored: Sequence[Scored]) -> None:
    """Raise if the numbers are not comparable: several protocols, or several papers."""
    require_scored(scored)
    if not scored:
        raise WsolbenchError("plot", found="no results or entries", cure="name at least one")
    sources = dict(map(source_of, scored))
    if len(sources) > 1:
        raise WsolbenchError(
            "results",
            found=some(list(sources.values())),
            expected="one protocol, or numbers reported in one paper",
            cure="draw them in separate figures",
        )


def require_scored(scored: object) -> None:
    """Check that an argument is a list of what can be drawn.

    Raises:
        WsolbenchError: it is not.
    """
    require_items("plots", scored, (Result, Entry), "a list of results or leaderboard entries")


def source_of(item: Scored) -> tuple[str, str]:
    """What all items of one figure must share, and its name in errors."""
    if isinstance(item, Entry) and item.state == "reported":
        title = item.provenance["paper"]["title"]
        return title, f"numbers reported in {title}"
    protocol = protocol_of(item)
    return protocol["sha256"], f"protocol {label_of(protocol)}"


def protocol_of(item: Scored) -> Mapping[str, Any]:
    """The protocol of a result or a measured entry, as they hold it."""
    return item.provenance["protocol"] if isinstance(item, Entry) else item.protocol


def name_source(axes: NDArray[Any], item: Scored) -> None:
    """Name the protocol or the reporting paper below the panels."""
    text = source_of(item)[1]
    axes[0, 0].figure.supxlabel(text, fontsize=7, color="#444444", parse_math=False)


def where(item: Scored) -> str:
    """The name of an item in errors."""
    kind = "entry" if isinstance(item, Entry) else "result"
    return f"{kind} of {item.name} on {item.split}"


def legend(item: Scored, variant: bool = True) -> str:
    """The name of an item in a legend, without its variant if a line joins several items."""
    if isinstance(item, Entry):
        named = item if variant else replace(item, variant="")
        name, more = f"{named.name} {item.backbone}", item.state == "reported" and ", reported"
    else:
        name, more = item.name, item.part and f", {item.part}"
    return f"{name} ({item.dataset} {item.split}{more or ''})"[:60].lstrip("_")


def legends(scored: Sequence[Scored]) -> list[str]:
    """The names of all items; equal names are extended by a parameter that differs."""
    require_scored(scored)
    stated = [
        {"seeds": item.seeds} if isinstance(item, Entry) else telling(item) for item in scored
    ]
    return told_apart([legend(item) for item in scored], stated)
