"""Names of results in tables and legends, told apart where several are equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import printable
from .result import Result

__all__ = ["telling", "told_apart"]

TELLING = ("seeds", "normalisation", "size", "map_size", "seed")
"""Parameters that distinguish runs of one method; the first that does is shown."""


def telling(result: Result) -> dict[str, object]:
    """What may distinguish a result from others of its name: its parameters and random seed."""
    seed = result.method.get("seed")
    return {**result.parameters, **({} if seed is None else {"seed": seed})}


def told_apart(
    names: Sequence[str], stated: Sequence[Mapping[str, object]], *, numbered: bool = False
) -> list[str]:
    """Names, of which equal ones get the first parameter in which all of them differ.

    Args:
        names: of methods.
        stated: parameters of each; a method without the parameter keeps its name.
        numbered: whether equal names that differ in no parameter get numbers.
    """
    distinct = []
    for place, name in enumerate(names):
        alike = [own for own, other in zip(stated, names, strict=True) if other == name]
        telling = [
            key for key in TELLING if len({str(own.get(key, "")) for own in alike}) == len(alike)
        ]
        if len(alike) == 1 or (telling and telling[0] not in stated[place]):
            distinct.append(name)
        elif telling:
            value = printable(str(stated[place][telling[0]]))[:20]
            distinct.append(f"{name}, {telling[0].replace('_', ' ')} {value}")
        else:
            distinct.append(f"{name} ({place + 1})" if numbered else name)
    return distinct
