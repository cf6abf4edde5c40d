"""Names of methods in one figure: told apart, and without a backbone that all have in common."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import printable
from ..formats.names import told_apart

if TYPE_CHECKING:
    from ..formats.submission.reader import Submission

__all__ = ["left_to_right", "method_names", "short_names"]

_LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"


def method_names(submissions: Sequence[Submission]) -> tuple[list[str], str]:
    """Method and backbone of submissions, without a backbone that all have in common, and this."""
    names, stated, backbones = [], [], []
    for opened in submissions:
        method = opened.header.method
        words = [str(method.get(key, "")) for key in ("name", "backbone")]
        names.append(printable(" ".join(word for word in words if word)) or "unnamed")
        backbones.append(words[1])
        held = method.get("parameters")
        own = dict(held) if isinstance(held, dict) else {}
        stated.append(own if method.get("seed") is None else {**own, "seed": method["seed"]})
    return short_names(told_apart(names, stated), backbones)


def left_to_right(name: str) -> str:
    """The name with marks that keep a text in its order if the name runs from right to left."""
    turned = any(unicodedata.bidirectional(char) in ("R", "AL") for char in name)
    return f"{_LEFT_TO_RIGHT}{name}{_LEFT_TO_RIGHT}" if turned else name


def short_names(names: Sequence[str], backbones: Sequence[str]) -> tuple[list[str], str]:
    """Names without the backbone, where it is the same for all and ends each name, and this word.

    What follows a comma, such as a seed, stays: "CAM vgg16, seed 1" and "SEM vgg16, seed 1" become
    "CAM, seed 1" and "SEM, seed 1". Other words that names share belong to the methods, and stay.

    Args:
        names: of methods.
        backbones: of each, empty where a method states none; no name is cut if there are none.
    """
    told = [printable(name) for name in names]
    common = printable(backbones[0]) if len(set(backbones)) == 1 else ""
    parts = [name.partition(", ") for name in told]
    ending = f" {common}"
    if len(names) < 2 or not common or not all(first.endswith(ending) for first, *_ in parts):
        return told, ""
    short = [first.removesuffix(ending) + comma + rest for first, comma, rest in parts]
    return (short, common) if len(set(short)) == len(set(told)) else (told, "")
