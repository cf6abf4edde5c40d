"""Names of results and leaderboard entries in plots, and which of them may share a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import WsolbenchError, printable, require_items, some
from ..formats.names import telling, told_apart
from ..formats.result import Result
from ..leaderboard.entries import Entry
from ..protocols import label_of

__all__ = [
    "Scored",
    "check_alike",
    "legends",
    "protocol_of",
    "require_scored",
    "require_some",
    "shared",
    "source_of",
    "source_text",
    "where",
    "whole_name",
]

Scored = Result | Entry
"""What curves and seeds can be drawn from."""

LONGEST = 80
"""Letters of a name."""


def check_alike(scored: Sequence[Scored]) -> None:
    """Raise if the numbers are not comparable: several protocols, or several papers."""
    require_some(scored)
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


def require_some(scored: Sequence[Scored]) -> None:
    """Check that an argument is a list of something to draw.

    Raises:
        WsolbenchError: it is not, or it is empty.
    """
    require_scored(scored)
    if not scored:
        raise WsolbenchError("plot", found="no results or entries", cure="name at least one")


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


def source_text(scored: Sequence[Scored]) -> str:
    """What all items share, and the protocol or the paper that the numbers come from."""
    return "; ".join(part for part in (shared(scored), source_of(scored[0])[1]) if part)


def where(item: Scored) -> str:
    """The name of an item in errors."""
    kind = "entry" if isinstance(item, Entry) else "result"
    return f"{kind} of {item.name} on {item.split}"


def whole_name(item: Scored, variant: bool = True) -> str:
    """The whole name of an item, without its variant if a line joins several items."""
    name, backbone, images, more = _parts(item, variant)
    return _told(name, backbone, images, more)


def legends(scored: Sequence[Scored], variant: bool = True, told: bool = True) -> list[str]:
    """The names of all items without what they share.

    Args:
        scored: results or entries.
        variant: whether an entry's variant belongs to its name.
        told: whether equal names get a parameter that differs.
    """
    require_scored(scored)
    stated = [
        {"seeds": item.seeds} if isinstance(item, Entry) else telling(item) for item in scored
    ]
    common = _common(scored)
    names = []
    for item in scored:
        name, *others = _parts(item, variant)
        rest = ["" if same is not None else own for own, same in zip(others, common, strict=True)]
        names.append(_told(name, *rest))
    return told_apart(names, stated) if told else names


def shared(scored: Sequence[Scored]) -> str:
    """What the names of all items have in common: images and backbone, said once."""
    backbone, images, more = _common(scored)
    parts = [images or "", more or "", f"backbone {backbone}" if backbone else ""]
    return ", ".join(part for part in parts if part)


def _parts(item: Scored, variant: bool = True) -> tuple[str, str, str, str]:
    """Name, backbone, images, and what else a reader must know."""
    images = printable(f"{item.dataset} {item.split}")
    if isinstance(item, Entry):
        named = item if variant else replace(item, variant="")
        reported = "reported" if item.state == "reported" else ""
        return printable(named.name), printable(item.backbone), images, reported
    backbone = printable(str(item.method.get("backbone", "")))
    name = printable(str(item.method.get("name", "")))
    return name or backbone or "unnamed", backbone if name else "", images, item.part


def _common(scored: Sequence[Scored]) -> tuple[str | None, str | None, str | None]:
    """Backbone, images and the rest where all items have the same; None where they differ."""
    kinds = [set(own) for own in zip(*(_parts(item)[1:] for item in scored), strict=True)]
    backbone, images, more = (own.pop() if len(own) == 1 else None for own in kinds)
    return backbone, images, more


def _told(name: str, backbone: str, images: str, more: str) -> str:
    words = " ".join(part for part in (name, backbone) if part)
    where_ = ", ".join(part for part in (images, more) if part)
    return (f"{words} ({where_})" if where_ else words)[:LONGEST].lstrip("_")
