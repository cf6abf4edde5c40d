"""What a score means: the named protocols, one module a program, and protocols of one's own.

`record` says what a protocol is, `steps` and `block` run it, `words` describes it, `sizes` changes
its map size; the other modules hold each program's literal and source. docs/protocols.md explains
their rules.

A protocol of your own is a value, mostly one of `PROTOCOLS` with some fields replaced; it is taken
wherever a name is:

    mine = dataclasses.replace(
        PROTOCOLS["sem"], name="mine", version=1, comparator=Comparator.ABOVE
    )
    wsolbench.evaluate(dataset, "maps.h5", mine)

Examples:
    >>> from wsolbench.protocols import PROTOCOLS, changes
    >>> sorted(changes(PROTOCOLS["tscam-cub"], PROTOCOLS["tscam"]))
    ['fixed_threshold']
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import WsolbenchError, require_choice, require_items, require_type
from ..metrics.choices import BoxScore, Comparator, Component, PixelScore, Reduction
from .adl import ADL
from .bas import BAS, BAS_CUB, BAS_CUB_INCEPTION, BAS_INCEPTION, BAS_RESNET
from .dawsol import PIOU
from .genpromp import GENPROMP, GENPROMP_CUB
from .record import (
    Averaging,
    BoxTruth,
    Levels,
    Protocol,
    Scaling,
    Thresholds,
    Upsampling,
    fields_sha256,
    is_protocol_name,
    label_of,
    versioned,
)
from .sem import SEM
from .sizes import at_size, size_in
from .spa2net import SPA2NET
from .tscam import TSCAM, TSCAM_CUB
from .wsolevaluation import PXAP, V1, V2

__all__ = [
    "PROTOCOLS",
    "Averaging",
    "BoxScore",
    "BoxTruth",
    "Comparator",
    "Component",
    "Levels",
    "PixelScore",
    "Protocol",
    "Reduction",
    "Scaling",
    "Thresholds",
    "Upsampling",
    "as_protocol",
    "as_protocols",
    "at_size",
    "changes",
    "fields_sha256",
    "is_protocol_name",
    "label_of",
    "protocols_named",
    "versioned",
]

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        *(SEM, V1, V2, PXAP, PIOU, SPA2NET, TSCAM, TSCAM_CUB, BAS, BAS_RESNET, BAS_INCEPTION),
        *(BAS_CUB, BAS_CUB_INCEPTION, ADL, GENPROMP, GENPROMP_CUB),
    )
}
"""Every named protocol, by its name.

Examples:
    >>> wsolbench.PROTOCOLS["wsoleval-v2"].box_iou_thresholds
    (0.5, 0.3, 0.7)
"""


def changes(protocol: Protocol, other: Protocol) -> dict[str, object]:
    """The fields in which a protocol differs from another, apart from name, version and hash."""
    for own in (protocol, other):
        require_type("protocol", own, (Protocol,), "a Protocol")
    mine, theirs = protocol.as_dict(), other.as_dict()
    apart = {"name", "version", "sha256"}
    return {key: value for key, value in mine.items() if key not in apart and value != theirs[key]}


def protocols_named(names: str) -> list[Protocol]:
    """The protocols of a comma-separated list.

    Raises:
        WsolbenchError: an unknown one, or one named twice.
    """
    require_type("protocol", names, (str,), "names with commas between them")
    return as_protocols([name.strip() for name in names.split(",")])


def as_protocols(given: Sequence[str | Protocol]) -> list[Protocol]:
    """Protocols by name or value, each once.

    Raises:
        WsolbenchError: none, an unknown one, or two of one name.
    """
    require_items("protocol", given, (object,), "a list of names or Protocol values")
    found = [as_protocol(own) for own in given]
    names = [own.name for own in found]
    if not found or len(set(names)) < len(found):
        raise WsolbenchError(
            "protocol",
            found=", ".join(names) or "none",
            expected="one or more protocols of different names",
            cure="name each protocol once",
        )
    return found


def as_protocol(given: str | Protocol) -> Protocol:
    """The protocol of that name, e.g. `sem` or `wsoleval-v1:320`, or the value itself.

    Raises:
        WsolbenchError: no such name or size; a value under the name of another one's.
    """
    if not isinstance(given, Protocol):
        return _named(given)
    if given.name.partition(":")[0] in PROTOCOLS and given != (known := _named(given.name)):
        raise WsolbenchError(
            f"protocol {given.name!r}",
            found=f"other fields than those of {known.label}",
            expected="another name for a protocol of your own",
            cure="replace the name too: dataclasses.replace(protocol, name=...)",
        )
    return given


def _named(given: object) -> Protocol:
    base, size = size_in(given) if isinstance(given, str) else (given, None)
    require_choice("protocol", base, PROTOCOLS)
    found = PROTOCOLS[str(base)]
    return found if size is None else at_size(found, size)
