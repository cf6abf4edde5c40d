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
    """Names, of which equal ones get the first parameter in which all of them differ, or most.

    Args:
        names: of methods.
        stated: parameters of each; a method without the parameter keeps its name.
        numbered: whether names that are then still equal get numbers.
    """
    distinct = []
    for name, own in zip(names, stated, strict=True):
        alike = [other for other, same in zip(stated, names, strict=True) if same == name]
        values = {key: len({str(other.get(key, "")) for other in alike}) for key in TELLING}
        key = max(TELLING, key=lambda key: values[key])
        if values[key] == 1 or key not in own:
            distinct.append(name)
        else:
            value = printable(str(own[key]))[:20]
            distinct.append(f"{name}, {key.replace('_', ' ')} {value}")
    if not numbered:
        return distinct
    return [
        f"{name} ({place})" if distinct.count(name) > 1 else name
        for place, name in enumerate(distinct, start=1)
    ]
