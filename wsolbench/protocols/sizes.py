"""A protocol at another map size: `wsoleval-v1:320` is `wsoleval-v1` on a grid of 320 x 320 pixels.

Sources: the programs themselves have the size of maps and true boxes as a setting:
clovaai/wsolevaluation config.py (`--crop_size`, by which inference.py resizes maps) with
evaluation.py (`_RESIZE_LENGTH`, by which it scales boxes and masks), which must be equal;
vasgaowei/TS-CAM lib/config/default.py (`DATA.CROP_SIZE`); wpy1999/BAS ILSVRC/BAS_inference.py and
CUB/BAS_inference.py (`--crop_size`); junsukchoe/ADL config.py (`--final_size`). No other field
depends on it, except the box without foreground where that is the whole grid.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import WsolbenchError, require_type
from .record import LARGEST_GRID, Protocol

__all__ = ["at_size", "size_in"]


def at_size(protocol: Protocol, side: int) -> Protocol:
    """The protocol on a grid of another size, named after it: `wsoleval-v1:320`.

    A map of exactly that size is scored as it is, since resizing it changes nothing.

    Args:
        protocol: one with a grid; its own size gives the protocol itself.
        side: pixels a side of the grid, 1 to 4096.

    Raises:
        WsolbenchError: the protocol has no grid, or its name has a size already; the side is no
            integer from 1 to 4096.
    """
    require_type("protocol", protocol, (Protocol,), "a Protocol")
    where = f"protocol {protocol.name!r}"
    if protocol.grid is None:
        raise WsolbenchError(
            where,
            found="a size, although it scores maps at the image's own size",
            expected="a protocol with a grid, e.g. wsoleval-v1",
            cure=f"leave the size out: {protocol.name}",
        )
    if ":" in protocol.name:
        raise WsolbenchError(
            where,
            found="a size in its name already",
            expected="a protocol without one",
            cure=f"pass {protocol.name.partition(':')[0]} and the size that you want",
        )
    if type(side) is not int or not 1 <= side <= LARGEST_GRID:
        raise WsolbenchError(
            where,
            found=f"size {side!r}",
            expected=f"an integer from 1 to {LARGEST_GRID}",
            cure=f"correct the size, e.g. {protocol.name}:320",
        )
    if side == protocol.grid:
        return protocol
    whole = (0, 0, protocol.grid, protocol.grid)
    return replace(
        protocol,
        name=f"{protocol.name}:{side}",
        grid=side,
        box_empty=(0, 0, side, side) if protocol.box_empty == whole else protocol.box_empty,
    )


def size_in(name: str) -> tuple[str, int | None]:
    """A name without its size, and the size: ("wsoleval-v1", 320), or None where it has none.

    Raises:
        WsolbenchError: what stands after the colon is no size.
    """
    base, colon, size = name.partition(":")
    if not colon:
        return base, None
    if not (size.isascii() and size.isdecimal() and not size.startswith("0") and len(size) <= 4):
        raise WsolbenchError(
            f"protocol {name!r}",
            found=f"size {size!r}",
            expected=f"an integer from 1 to {LARGEST_GRID}",
            cure="correct the size after the colon, e.g. wsoleval-v1:320",
        )
    return base, int(size)
