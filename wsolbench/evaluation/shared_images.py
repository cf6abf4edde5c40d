"""The images that several methods have maps of: the same ones, unless shared ones are requested."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..errors import SHOWN, WsolbenchError, some

__all__ = ["shared_images"]


def shared_images(
    names: Sequence[str], held: Sequence[Collection[str]], *, common: bool
) -> set[str]:
    """The images that every method has a map of.

    Args:
        names: of the methods or their files, for errors.
        held: ids of the images that each has a map of.
        common: whether methods may lack images that others have.

    Raises:
        WsolbenchError: no image that all have; without `common`, methods that lack images which
            others have, with their numbers and first ids.
    """
    every, shared = set[str]().union(*held), set(held[0]).intersection(*held)
    if not shared:
        raise WsolbenchError(
            some(names),
            found="no image with a map of every method",
            expected="maps of the same images",
            cure="name methods with maps of one split",
        )
    lacking = {
        place: sorted(missing)
        for place, own in enumerate(held)
        if (missing := every.difference(own))
    }
    if common or not lacking:
        return shared
    counts = dict(
        enumerate(f"{name} has {len(own)}" for name, own in zip(names, held, strict=True))
    )
    told = [
        f"{counts.pop(place)} of the {len(every)} images that any of them has, without "
        f"{some(missing)}"
        for place, missing in list(lacking.items())[:SHOWN]
    ]
    instead = f", or use only the {len(shared)} shared images with --common (common=True in Python)"
    raise WsolbenchError(
        names[next(iter(lacking))] if len(lacking) == 1 else "methods",
        found=f"maps of different images: {'; '.join([*told, *counts.values()])}",
        expected="maps of the same images from every method",
        cure=f"add the missing maps{instead if len(shared) > 1 else ''}",
        exit_status=1,
    )
