"""Names of methods in one figure: told apart, and without the words that all have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import printable
from ..formats.names import told_apart

if TYPE_CHECKING:
    from ..formats.submission.reader import Submission

__all__ = ["method_names", "short_names"]


def method_names(submissions: Sequence[Submission]) -> tuple[list[str], str]:
    """Method and backbone of submissions without what all have in common, and these words."""
    names, stated = [], []
    for opened in submissions:
        method = opened.header.method
        words = [str(method.get(key, "")) for key in ("name", "backbone")]
        names.append(printable(" ".join(word for word in words if word)) or "unnamed")
        held = method.get("parameters")
        own = dict(held) if isinstance(held, dict) else {}
        stated.append(own if method.get("seed") is None else {**own, "seed": method["seed"]})
    return short_names(told_apart(names, stated))


def short_names(names: Sequence[str]) -> tuple[list[str], str]:
    """Names without the last words that all have in common, mostly the backbone, and these words.

    What follows a comma, such as a seed, stays: "CAM vgg16, seed 1" and "SEM vgg16, seed 1" become
    "CAM, seed 1" and "SEM, seed 1".
    """
    told = [printable(name) for name in names]
    parts = [name.partition(", ")[::2] for name in told]
    words = [first.split() for first, _ in parts]
    count = 0
    while all(len(own) > count + 1 for own in words):
        if len({own[-count - 1] for own in words}) > 1:
            break
        count += 1
    if not count or len(names) < 2:
        return told, ""
    short = [
        ", ".join(part for part in (" ".join(own[:-count]), rest) if part)
        for own, (_, rest) in zip(words, parts, strict=True)
    ]
    if len(set(short)) < len(set(told)):
        return told, ""
    return short, " ".join(words[0][-count:])
