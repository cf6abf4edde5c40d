"""Whether the class predictions of a submission can be meant for the classes of the annotations."""

from __future__ import annotations

import numpy as np

from ..data.dataset import Dataset
from ..formats.submission.reader import Submission

__all__ = ["class_notes"]


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
    if sum(right) * classes >= len(right):
        return ()
    return (
        f"{sum(right) or 'none'} of {len(right)} images of {dataset.title} "
        f"{'is' if sum(right) < 2 else 'are'} classified correctly, where guessing among "
        f"{classes} classes gives {len(right) / classes:.3g}; class indices probably differ "
        "between annotations and model: check them, or predict again with --class-map",
    )
