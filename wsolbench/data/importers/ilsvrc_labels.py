"""The labels of ILSVRC2012's validation images, whatever the list numbers classes by.

Two orders of the 1,000 classes are in use, that of sorted WordNet ids and the devkit's, both
counted from 0 or from 1. The labels of the first ten images are known in both, so a list that
contains one of them shows its order and its first number; other lists are placed by their images in
common.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import WsolbenchError, some
from .ilsvrc_lists import CLASSES, WORDNET_ID, is_kaggle, named_records, read_kaggle
from .tables import read_lines, refuse, whole_number

__all__ = ["check_names", "read_labels"]

IMAGES = 50_000
"""Number of validation images, and of lines in a list that has only numbers."""

_LABELS_OF_FIRST = (
    (489, 65),
    (360, 970),
    (170, 230),
    (821, 809),
    (296, 516),
    (481, 57),
    (12, 334),
    (703, 415),
    (598, 674),
    (163, 332),
)
"""Class in (devkit order, order of sorted WordNet ids) of ILSVRC2012_val_00000001 to ..10, counted
from 0. No two numbers of an image are equal or next to each other, so a single image identifies a
list's order and whether it counts from 0 or from 1."""

_DEVKIT, _SORTED = 0, 1


@dataclass(frozen=True)
class _List:
    """One list of labels.

    Attributes:
        path: the file.
        labels: by image id, as listed.
        lines: the line of each image.
        order: `_DEVKIT`, `_SORTED`, or None if it is not known yet.
        first: the number of the first class, 0 or 1.
    """

    path: str | os.PathLike[str]
    labels: Mapping[str, int]
    lines: Mapping[str, int]
    order: int | None = None
    first: int = 0

    @property
    def from_zero(self) -> dict[str, int]:
        return {image_id: label - self.first for image_id, label in self.labels.items()}


def read_labels(
    paths: Sequence[str | os.PathLike[str]],
    images: Collection[str],
    class_names: Sequence[tuple[str, str]] = (),
) -> tuple[dict[str, int], list[str]]:
    """Class (counted from 0, by sorted WordNet ids) by image id, and notes on their origin.

    Args:
        paths: lists `val/<image id>.JPEG,65` or `<image id>.JPEG 489`, WordNet ids in place of
            numbers, lists of 50,000 of either without names, or LOC_val_solution.csv.
        images: the images whose labels are needed.
        class_names: (WordNet id, name) of the 1,000 classes, if they are known.

    Raises:
        WsolbenchError: a list is malformed, its order is not known, or lists contradict each other.
    """
    if not paths:
        return {}, ["no labels were given: the classes are unknown"]
    where = ", ".join(map(str, paths))
    lists = _placed([_by_first_images(_read(path, class_names)) for path in paths])
    for listed in lists:
        _check_range(listed)
    merged: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for listed in lists:
        known = merged[listed.order or 0]
        found = listed.from_zero
        refuse(
            listed.path,
            [
                f"{image_id} has class {label}, but {known[image_id]} in another list"
                for image_id, label in found.items()
                if known.get(image_id, label) != label
            ],
            expected="equal labels in all lists of the same order",
            cure="leave the wrong list out",
        )
        known.update(found)
    devkit, sorted_ids = merged[_DEVKIT], merged[_SORTED]
    if not sorted_ids:
        raise WsolbenchError(
            where,
            found="only labels in the devkit's order (ILSVRC2012_val_00000001 has class 489)",
            expected="also a list in the order of sorted WordNet ids (where it has class 65)",
            cure="add such a list, e.g. class_labels.txt of wsolevaluation (--labels again)",
        )
    notes = ["class indices follow the sorted WordNet ids"]
    notes += [f"{Path(one.path).name} counts classes from 1" for one in lists if one.first]
    if devkit:
        translation = _bijection(where, devkit, sorted_ids)
        notes.append(
            "devkit and sorted order were matched on their common images: one to one for "
            f"{len(translation)} of {CLASSES} classes"
        )
        rest = {
            image: devkit[image] for image in images if image in devkit and image not in sorted_ids
        }
        refuse(
            where,
            [f"{image}, devkit class {c}" for image, c in rest.items() if c not in translation],
            expected="classes that also occur in the list of sorted order",
            cure="use the sorted list of all 50,000 images",
        )
        sorted_ids |= {image: translation[label] for image, label in rest.items()}
    return sorted_ids, notes


def check_names(
    where: str | os.PathLike[str],
    names: Mapping[str, Sequence[str]],
    labels: Mapping[str, int],
    class_names: Sequence[tuple[str, str]],
) -> None:
    """Compare the WordNet ids of boxes with the labels, if class names join the two.

    Args:
        where: the file of boxes.
        names: the names of each image's boxes; those that are not WordNet ids are not compared.
        labels: class indices by image id.
        class_names: (WordNet id, name) by class index.

    Raises:
        WsolbenchError: an image has boxes, and none of them is of its labelled class.
    """
    keys = {key for key, _ in class_names}
    wrong = []
    for image_id in names.keys() & labels.keys():
        stated = keys.intersection(names[image_id])
        key = class_names[labels[image_id]][0] if class_names else ""
        if stated and key not in stated:
            wrong.append(f"{image_id} has boxes of {' and '.join(sorted(stated))}, but label {key}")
    refuse(
        where,
        sorted(wrong),
        expected="boxes of the labelled classes",
        cure="check that labels, class names and boxes belong to the same images",
    )


def _read(path: str | os.PathLike[str], class_names: Sequence[tuple[str, str]]) -> _List:
    what = "lines `val/<image id>.JPEG,65` or `<image id>.JPEG 489`"
    if is_kaggle(path):
        wnids: dict[str, str] = {}
        faults: list[str] = []
        for image_id, pairs in read_kaggle(path).items():
            named = sorted({wnid for wnid, _ in pairs})
            wnids[image_id] = named[0]
            if len(named) > 1:
                faults.append(f"{image_id} has {' and '.join(named)}")
        refuse(path, faults, expected="one class per image", cure="correct those lines")
        lines = {image_id: number for number, image_id in enumerate(wnids, start=2)}
        return _List(path, _indices(path, wnids, class_names), lines)
    texts: dict[str, str] = {}
    lines = {}
    faults = []
    for number, image_id, text in _numbered(path, what):
        if image_id in texts:
            faults.append(f"line {number}: duplicate id {image_id}")
        texts[image_id], lines[image_id] = text, number
    refuse(path, faults, expected="one class per image", cure="check that it is the correct list")
    if all(WORDNET_ID.fullmatch(text) for text in texts.values()):
        return _List(path, _indices(path, texts, class_names), lines)
    labels = {image_id: whole_number(text) for image_id, text in texts.items()}
    wrong = [
        f"line {lines[image_id]}: {'val/' + image_id + '.JPEG,' + texts[image_id]!r}"
        for image_id, label in labels.items()
        if label is None or label < 0
    ]
    refuse(path, wrong, expected=what, cure="check that it is the correct list")
    return _List(path, {name: label for name, label in labels.items() if label is not None}, lines)


def _numbered(path: str | os.PathLike[str], what: str) -> list[tuple[int, str, str]]:
    """(line, image id, text) of each label; line n of a list without names is image n."""
    lines = read_lines(path, what)
    bare = all(WORDNET_ID.fullmatch(text) or whole_number(text) is not None for _, text in lines)
    if bare and len(lines) == IMAGES:
        return [(n, f"ILSVRC2012_val_{n:08d}", text) for n, text in lines]
    if bare:
        refuse(
            path,
            [f"line {number}: {text!r}" for number, text in lines[:1]],
            expected=f"{what}; or, without names, a line for each of the {IMAGES} images, not "
            f"{len(lines)} lines",
            cure="use the complete list, or one with the names of the images",
        )
    return [(number, image_id, text) for number, image_id, (text,) in named_records(path, what, 1)]


def _indices(
    path: str | os.PathLike[str],
    wnids: Mapping[str, str],
    class_names: Sequence[tuple[str, str]],
) -> dict[str, int]:
    """The index of each image's WordNet id among the sorted ids of all classes."""
    known = [key for key, _ in class_names] or sorted(set(wnids.values()))
    if len(known) != CLASSES:
        raise WsolbenchError(
            path,
            found=f"{len(known)} different WordNet ids",
            expected=f"all {CLASSES} classes, whose sorted ids number them",
            cure="pass LOC_synset_mapping.txt: --class-names FILE, in Python class_names=",
        )
    index = {key: position for position, key in enumerate(known)}
    refuse(
        path,
        sorted({wnid for wnid in wnids.values() if wnid not in index}),
        expected="WordNet ids of the class names",
        cure="check that both files are of ILSVRC2012",
    )
    return {image_id: index[wnid] for image_id, wnid in wnids.items()}


def _by_first_images(listed: _List) -> _List:
    """The list with its order and first number, if it has one of the first ten images."""
    votes: dict[tuple[int, int], str] = {}
    for number, expected in enumerate(_LABELS_OF_FIRST, start=1):
        image_id = f"ILSVRC2012_val_{number:08d}"
        label = listed.labels.get(image_id)
        if label is None:
            continue
        for first in (0, 1):
            if label - first in expected:
                votes[expected.index(label - first), first] = f"class {label} for {image_id}"
                break
        else:
            raise WsolbenchError(
                listed.path,
                found=f"class {label} for {image_id}",
                expected=f"{expected[_DEVKIT]} (devkit order) or {expected[_SORTED]} (sorted), or "
                "1 more if the list counts from 1",
                cure="check that the list is for ILSVRC2012",
            )
    if len({order for order, _ in votes}) > 1:
        raise WsolbenchError(
            listed.path,
            found="labels in both orders, devkit and sorted WordNet ids: "
            f"{some(list(votes.values()))}",
            expected="one order per list",
            cure="use a list from a single source",
        )
    if len(votes) > 1:
        raise WsolbenchError(
            listed.path,
            found=f"labels counted from 0 and from 1: {some(list(votes.values()))}",
            expected="one of both per list",
            cure="use a list from a single source",
        )
    if not votes:
        return listed
    ((order, first),) = votes
    return replace(listed, order=order, first=first)


def _placed(lists: Sequence[_List]) -> list[_List]:
    """The lists, those of later images placed by the images that they share with the others."""
    sure = [one for one in lists if one.order is not None]
    placed = [one if one.order is not None else _beside(one, sure) for one in lists]
    unknown = [str(one.path) for one in placed if one.order is None]
    if unknown:
        raise WsolbenchError(
            ", ".join(unknown),
            found="none of the first ten validation images",
            expected="at least one, to tell the devkit's order of classes from the sorted one",
            cure="use the list of all 50,000 images",
        )
    return placed


def _beside(listed: _List, sure: Sequence[_List]) -> _List:
    """The list with the order and first number that its images in common with another show."""
    for other in sure:
        theirs = other.from_zero
        pairs = {(listed.labels[name], theirs[name]) for name in listed.labels.keys() & theirs}
        steps = {label - same for label, same in pairs}
        if steps == {0} or (steps == {1} and len(pairs) > 1):
            return replace(listed, order=other.order, first=steps.pop())
        if pairs:
            return _across(listed, other, pairs)
    return listed


def _across(listed: _List, other: _List, pairs: Collection[tuple[int, int]]) -> _List:
    """The list as one of the other order; its first number is open unless something shows it."""
    order = _DEVKIT if other.order == _SORTED else _SORTED
    known = {both[1 - order]: both[order] for both in _LABELS_OF_FIRST}
    steps = {label - known[same] for label, same in pairs if same in known}
    values = listed.labels.values()
    if steps in ({0}, {1}):
        return replace(listed, order=order, first=steps.pop())
    if min(values) == 0 or order == _DEVKIT:  # numbers of the devkit are only translated
        return replace(listed, order=order)
    return replace(listed, order=order, first=1) if max(values) == CLASSES else listed


def _check_range(listed: _List) -> None:
    lowest, highest = listed.first, CLASSES - 1 + listed.first
    refuse(
        listed.path,
        [
            f"line {listed.lines[image_id]}: class {label}"
            for image_id, label in listed.labels.items()
            if not lowest <= label <= highest
        ],
        expected=f"one class from {lowest} to {highest} per image",
        cure="check that it is the correct list",
    )


def _bijection(
    where: str, devkit: Mapping[str, int], sorted_ids: Mapping[str, int]
) -> dict[int, int]:
    """Sorted class by devkit class, checked to be one to one."""
    pairs = {(devkit[image], sorted_ids[image]) for image in devkit.keys() & sorted_ids.keys()}
    faults: list[str] = []
    for side, name in ((_DEVKIT, "devkit class"), (_SORTED, "sorted class")):
        partners: dict[int, list[int]] = {}
        for pair in sorted(pairs):
            partners.setdefault(pair[side], []).append(pair[1 - side])
        faults += [
            f"{name} {c} matches {matched}" for c, matched in partners.items() if len(matched) > 1
        ]
    refuse(
        where,
        faults,
        expected="each class of one order to match one class of the other",
        cure="leave the wrong list out",
    )
    return dict(pairs)
