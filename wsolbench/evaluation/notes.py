"""Signs that a submission means other classes than the annotations, or turned maps; that thresholds
come from maps of another kind; or that intervals rest on few images.

Nothing is wrong by the rules of the files, so these are notes and no errors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.dataset import Dataset
from ..errors import printable, some
from ..formats.result import Result
from ..formats.submission.reader import Submission
from ..formats.submission.rules import SubmissionHeader

__all__ = [
    "FEW_IMAGES",
    "carried_notes",
    "class_notes",
    "interval_notes",
    "shape_notes",
    "submission_notes",
    "version_notes",
]

FEW_IMAGES = 20
"""Images below which resamples show too few of the outcomes that there could be."""

FEWEST = 6
"""Images below which it means nothing that none is classified correctly."""

_TURNED = 0.1  # of the logarithm of a side ratio: the sides of a map are few positions


def carried_notes(other: Result, dataset: Dataset, header: SubmissionHeader) -> tuple[str, ...]:
    """Notes if carried thresholds come from other annotations, another method or normalisation.

    Args:
        other: the result whose thresholds are carried.
        dataset: to which they are carried.
        header: of the maps to which they are carried.
    """
    theirs, ours = other.annotations_sha256, dataset.store.content_sha256
    found = []
    if theirs != ours:
        found.append(f"other annotations of {dataset.name} ({theirs[:8]}, not {ours[:8]})")
    names = [own.get("name") for own in (other.method, header.method)]
    if names[0] != names[1]:
        found.append(f"another method ({printable(f'{names[0]}, not {names[1]}')})")
    if other.normalisation != header.normalisation:
        both = f"{other.normalisation!r}, not {header.normalisation!r}"
        found.append(f"maps of another normalisation ({printable(both)})")
    if not found:
        return ()
    return (
        f"the thresholds were carried from a result of {' and of '.join(found)}: check that they "
        "mean the same here",
    )


def interval_notes(results: Sequence[Result]) -> tuple[str, ...]:
    """Notes if intervals rest on few images.

    Args:
        results: of one submission, one a protocol.
    """
    drawn = [own for own in results if own.bootstrap is not None]
    found = []
    if drawn and drawn[0].images < FEW_IMAGES:
        found.append(f"{drawn[0].images} images: intervals are too narrow")
    few = {
        f"{kind} {group.name}"
        for own in drawn
        for kind, groups in own.breakdowns.items()
        for group in groups
        if group.images < FEW_IMAGES
    }
    if few:
        groups = "1 group has" if len(few) == 1 else f"{len(few)} groups have"
        found.append(
            f"{groups} fewer than {FEW_IMAGES} images, which makes intervals too narrow: "
            f"{some(sorted(few))}"
        )
    return tuple(found)


def submission_notes(dataset: Dataset, submission: Submission) -> tuple[str, ...]:
    """All notes on a submission that is scored on a split."""
    return (
        *class_notes(dataset, submission),
        *shape_notes(dataset, submission),
        *version_notes(submission),
    )


def version_notes(submission: Submission) -> tuple[str, ...]:
    """A note if the file has no hash of what it holds beside maps; empty otherwise."""
    if submission.format_version > 1:
        return ()
    unsaid = "" if submission.checked else ", and its maps have no checksums"
    return (
        "the submission is of format version 1, in which damage to ids, top5, boxes and windows "
        f"does not show{unsaid}: `wsolbench merge FILE --out NEW` writes version 2",
    )


def class_notes(dataset: Dataset, submission: Submission) -> tuple[str, ...]:
    """A note if fewer images are classified correctly than by chance; empty otherwise.

    Args:
        dataset: the images; those without class are left out.
        submission: without `top5`, there is no note.
    """
    if submission.top5 is None:
        return ()
    first = dict(zip(submission.image_ids, submission.top5[:, 0].tolist(), strict=True))
    pairs = zip(dataset.image_ids, dataset.class_indices.tolist(), strict=True)
    right = [first[name] == index for name, index in pairs if index >= 0 and name in first]
    used = dataset.store.class_indices
    classes = len(dataset.store.classes) or np.unique(used[used >= 0]).size
    if len(right) < FEWEST or sum(right) * classes >= len(right):
        return ()
    return (
        f"{sum(right) or 'none'} of {len(right)} images of {dataset.title} "
        f"{'is' if sum(right) < 2 else 'are'} classified correctly, where guessing among "
        f"{classes} classes gives {len(right) / classes:.3g}; class indices probably differ "
        "between annotations and model: check them, or predict again with --class-map",
    )


def shape_notes(dataset: Dataset, submission: Submission) -> tuple[str, ...]:
    """A note if maps have the side ratio of their images transposed; empty otherwise.

    Languages that store arrays by columns write (height, width) maps as (width, height).

    Args:
        dataset: the images.
        submission: maps that are square, or of square images, tell nothing.
    """
    rows = dict(zip(dataset.image_ids, dataset.rows, strict=True))
    held = [place for place, name in enumerate(submission.image_ids) if name in rows]
    if not held or submission.shapes is None:
        return ()
    own = np.array([rows[submission.image_ids[place]] for place in held])
    store, shapes = dataset.store, submission.shapes[held]
    maps = np.log(shapes[:, 0] / shapes[:, 1])
    images = np.log(store.heights[own] / store.widths[own])
    telling = (np.abs(maps) > _TURNED) & (np.abs(images) > _TURNED)
    turned = telling & (np.abs(maps + images) <= _TURNED)
    if not turned.any():
        return ()
    return (
        f"{int(turned.sum())} of {int(telling.sum())} maps of {dataset.title} that are not square "
        "have height and width swapped: a language that stores arrays by columns (MATLAB, Julia, "
        "R, Fortran) writes the transpose; transpose such maps before they are written",
    )
