"""A table of predicted classes beside a folder of maps."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..data.importers.tables import read_table
from ..errors import WsolbenchError, some
from ..formats.submission.rules import NO_CLASS

__all__ = ["read_classes"]

_COLUMNS = ("top1", "top2", "top3", "top4", "top5")


def read_classes(path: str | os.PathLike[str], ids: Sequence[str]) -> dict[str, list[int]]:
    """Each image's predicted classes, best first; `NO_CLASS` where there are fewer than five.

    Args:
        path: CSV with the columns image_id, top1 to top5.
        ids: of the images that need a row.

    Raises:
        WsolbenchError: a row is missing or stands twice, or a class is no integer from 0.
    """
    rows = read_table(
        path,
        "a table of predicted classes",
        required=("image_id", "top1"),
        optional=_COLUMNS[1:],
        numbers=_COLUMNS,
        known_ids=ids,
    )
    classes: dict[str, list[int]] = {}
    for line, row in rows:
        texts = [row.get(column, "") for column in _COLUMNS]
        if not all(text.isdecimal() for text in texts if text) or row["image_id"] in classes:
            raise WsolbenchError(
                path,
                found=f"line {line}: {row}",
                expected="each image once, classes as integers from 0",
                cure="correct the line",
            )
        classes[row["image_id"]] = [int(text) if text else NO_CLASS for text in texts]
    without = [image_id for image_id in ids if image_id not in classes]
    if without:
        raise WsolbenchError(
            path,
            found=f"no row for {len(without)} images: {some(without)}",
            expected="a row for each map",
            cure="add the missing rows",
        )
    return classes
