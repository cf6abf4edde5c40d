"""Whether a submission was made for a data set and split."""

from __future__ import annotations

from ..data.dataset import Dataset
from ..errors import WsolbenchError, some
from ..formats.submission.reader import Submission

__all__ = ["check_match"]


def check_match(dataset: Dataset, submission: Submission) -> None:
    """Refuse a submission that was not made for this data set and split.

    Raises:
        WsolbenchError: it states another, or holds images that the split does not.
    """
    header = submission.header
    for name, theirs, ours in (
        ("data set", header.dataset, dataset.name),
        ("split", header.split, dataset.split),
    ):
        if theirs != ours:
            raise WsolbenchError(
                submission.path,
                found=f"maps of {name} {theirs!r}",
                expected=repr(ours),
                cure=f"evaluate on the {name} of the maps",
                exit_status=1,
            )
    store = dataset.store
    held = {
        i for i, split in zip(store.image_ids, store.splits, strict=True) if split == dataset.split
    }
    strangers = [image_id for image_id in submission.image_ids if image_id not in held]
    if strangers:
        raise WsolbenchError(
            submission.path,
            found=f"{len(strangers)} images that {dataset.name} {dataset.split} does not hold: "
            f"{some(strangers)}",
            expected=f"maps of its {len(held)} images alone",
            cure="evaluate the split that the maps were made for",
            exit_status=1,
        )
