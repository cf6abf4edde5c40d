"""Which classes of a network belong to each class of the annotations.

A data set's own categories rarely are the classes that a network knows: class 3 of the annotations
may be a lobster and output 3 of the network a tiger shark. Both are compared before anything is
predicted. They agree if the annotations list as many classes as the network has outputs; otherwise
a class map says which outputs belong to which class.

Conventions: a class may have several model classes, of which the best-scoring one counts in each
image; a model class belongs to one class at most. Predicted model classes that belong to no class
of the annotations are written as `OUTSIDE` + model class, so that they count as wrong.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.importers.tables import read_table, refuse
from ..errors import WsolbenchError, some
from ..files import require_file, strict_json
from ..formats.annotations import AnnotationStore
from ..formats.submission.rules import NO_CLASS, OUTSIDE
from ..formats.untrusted.contents import read_bytes
from . import imagenet

__all__ = [
    "CURE",
    "ClassMap",
    "ClassMapSource",
    "join_classes",
    "known_classes",
    "mapped_images",
    "unlisted_note",
]

ClassMapSource = str | os.PathLike[str] | Mapping[str, Any] | Mapping[int, Any]
"""A file, "imagenet", "same", or model classes by class name, key or index."""

CURE = (
    "join them with --class-map FILE or imagenet, or state that class i is output i with "
    "--class-map same (class_map=)"
)

MAX_BYTES = 1 << 24
"""Maximum size of a class map in bytes; 20,000 classes need a few hundred kB."""

SHOWN = 20
"""Number of classes without model class that a message names."""

_INTEGER = re.compile(r"([0-9]{1,9})(?:\.0*)?")  # pandas writes 310.0
_Entries = Sequence[tuple[str, Sequence[object]]]


@dataclass(frozen=True)
class ClassMap:
    """The model classes of each class of the annotations.

    Attributes:
        name: "same", "imagenet", a file's name or "mapping"; empty if nothing had to be joined.
        members: by class index, the model classes; empty for a class that the model does not know.
        model_classes: number of the model's classes.
        ignored: entries of the file that name no class of the annotations.
    """

    name: str
    members: tuple[tuple[int, ...], ...]
    model_classes: int
    ignored: tuple[str, ...] = ()

    def knows(self, index: int) -> bool:
        """Whether a class of the annotations has a model class."""
        return index < len(self.members) and bool(self.members[index])

    def best(self, labels: NDArray[np.integer[Any]], logits: NDArray[Any]) -> NDArray[np.int64]:
        """The best-scoring model class of each image's class; the first of equal ones.

        Args:
            labels: (B,) class indices that have model classes.
            logits: (B, C) scores of the model classes.

        Returns:
            int64 (B,), model classes.
        """
        chosen = []
        for label, scores in zip(labels.tolist(), logits, strict=True):
            own = np.array(self.members[label])
            chosen.append(own[int(scores[own].argmax())])
        return np.array(chosen, dtype=np.int64)

    def translated(self, ranked: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Ranked model classes as class indices of the annotations.

        Args:
            ranked: (B, n) different model classes, best first.

        Returns:
            int64 (B, n): each class at its best place; `OUTSIDE` + model class for one that
            belongs to no class; `NO_CLASS` in the last places if classes came up repeatedly.
        """
        class_of = OUTSIDE + np.arange(self.model_classes, dtype=np.int64)
        for index, own in enumerate(self.members):
            class_of[list(own)] = index
        rows = np.full(ranked.shape, NO_CLASS, dtype=np.int64)
        for place, row in enumerate(ranked):
            different = list(dict.fromkeys(class_of[row].tolist()))
            rows[place, : len(different)] = different
        return rows

    @property
    def sha256(self) -> str:
        """SHA-256 of the lines "<class index> <model class>" that make up the map."""
        lines = [f"{index} {one}\n" for index, own in enumerate(self.members) for one in own]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def described(self) -> dict[str, object]:
        """What a submission records of it; nothing if nothing had to be joined."""
        if not self.name:
            return {}
        mapped = sum(bool(own) for own in self.members)
        told = {"name": self.name, "sha256": self.sha256, "classes": mapped}
        return {"class_map": {**told, "model_classes": self.model_classes}}


def join_classes(
    store: AnnotationStore, model_classes: int, backbone: str, source: ClassMapSource | None = None
) -> ClassMap:
    """Compare the classes of annotations and model, and join them.

    Args:
        store: the annotations.
        model_classes: number of the model's classes.
        backbone: the model's name, for messages.
        source: None if they must agree; "same" if class i is output i; "imagenet" to join class
            names and WordNet ids with ImageNet's 1,000 classes; a CSV or JSON file; or a mapping
            from class names, keys or indices to one or several model classes.

    Raises:
        WsolbenchError: the classes do not agree and no map was given; or the map cannot be read,
            is ambiguous, or names classes that the model does not have.
    """
    if source is None:
        return _agreed(store, model_classes, backbone)
    if isinstance(source, Mapping):
        return _from_entries(store, model_classes, "mapping", "class_map", *_of_mapping(source))
    if source == "same":
        listed = len(store.classes) or model_classes
        return ClassMap("same", _same(listed, model_classes), model_classes)
    if source == "imagenet":
        return _from_imagenet(store, model_classes, backbone)
    path = require_file(
        source, "a class map", "name a CSV or JSON file, or pass --class-map imagenet or same"
    )
    return _from_entries(store, model_classes, path.name, path, *_read(path))


def known_classes(
    store: AnnotationStore, classes: Sequence[tuple[str, str]]
) -> dict[str, int] | None:
    """The outputs of the annotations' classes, by key or else by name.

    Args:
        store: the annotations.
        classes: (key, name) of each output of the model; empty if they are not known.

    Returns:
        None if either has no class list, or both are the same, so that class i is output i.
    """
    if not classes or not store.classes or list(store.classes) == list(classes):
        return None
    keys = {key: index for index, (key, _) in enumerate(classes)}
    names = {name.casefold(): index for index, (_, name) in enumerate(classes)}
    found = {}
    for key, name in store.classes:
        output = keys.get(key, names.get(name.casefold(), keys.get(name)))
        if output is not None:
            found[key] = output
    return found or None


def mapped_images(dataset: Dataset, class_map: ClassMap, *, skip: bool = False) -> Dataset:
    """The images whose class has a model class, or none at all.

    Args:
        dataset: the images.
        class_map: of their annotations.
        skip: leave out the other images instead of refusing them.

    Raises:
        WsolbenchError: an image's class has no model class, and `skip` is false; or all images
            would be left out.
    """
    indices = dataset.class_indices
    unmapped = np.array([index >= 0 and not class_map.knows(index) for index in indices.tolist()])
    if not unmapped.any():
        return dataset
    if skip and not unmapped.all():
        kept = np.flatnonzero(~unmapped).tolist()
        return dataset.only([dataset.image_ids[place] for place in kept])
    counts = Counter(indices[unmapped].tolist())
    names = [_title(dataset.store, index) for index in sorted(counts)]
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    raise WsolbenchError(
        dataset.title,
        found=f"{len(names)} class{'' if len(names) == 1 else 'es'} without a class of the model: "
        f"{', '.join([*names[:SHOWN], *more])} ({int(unmapped.sum())} of {len(dataset)} images)",
        cure="name another split or class map; no image would be left"
        if skip
        else "add them to the class map, or leave their images out with --skip-unmapped FILE "
        "(skip_unmapped=True)",
    )


# Without a map


def _agreed(store: AnnotationStore, model_classes: int, backbone: str) -> ClassMap:
    """The map of class i to output i, if nothing speaks against it."""
    listed, highest = len(store.classes), int(store.class_indices.max())
    found = ""
    if listed and listed != model_classes:
        found = f"{listed} classes in the annotations and {model_classes} in {backbone}"
    elif not listed and highest >= model_classes:
        wrong = np.flatnonzero(store.class_indices >= model_classes)
        ids = [store.image_ids[row] for row in wrong]
        found = f"a class outside the {model_classes} of {backbone} for {len(ids)} of "
        found += f"{len(store)} images: {some(ids)}"
    elif not listed and 0 <= highest < model_classes - 1 and not _is_part(store, model_classes):
        found = f"class indices from 0 to {highest} without a class list, "
        found += f"and {model_classes} classes in {backbone}"
    elif listed == imagenet.COUNT and (moved := _moved(store)):
        found = f"ImageNet's classes in another order than networks have them: {moved}"
    if found:
        raise WsolbenchError(store.path, found=found, cure=CURE)
    return ClassMap("", _same(model_classes, model_classes), model_classes)


def _is_part(store: AnnotationStore, model_classes: int) -> bool:
    """Whether class indices are those of a part of the model's classes, by their gaps.

    They reach beyond a tenth of the model's classes, and most indices below the highest are not
    used; categories of one's own are few and numbered without such gaps.
    """
    used = np.unique(store.class_indices[store.class_indices >= 0])
    count = int(used.max()) + 1
    return 10 * count > model_classes and 2 * used.size <= count


def unlisted_note(store: AnnotationStore, class_map: ClassMap) -> tuple[str, ...]:
    """A note if class indices were taken for the model's though nothing but gaps speaks for it."""
    used = np.unique(store.class_indices[store.class_indices >= 0])
    if store.classes or class_map.name or not used.size or used[-1] == class_map.model_classes - 1:
        return ()
    return (
        f"the annotations have no class list: their {used.size} class indices, {used[0]} to "
        f"{used[-1]} with gaps, were taken for those of the model's {class_map.model_classes} "
        "classes (--class-map same states it)",
    )


def _moved(store: AnnotationStore) -> str:
    """The first of ImageNet's classes that are not at their places; empty if they are."""
    joined = [_imagenet_class(*pair) for pair in store.classes]
    moved = [place for place, index in enumerate(joined) if index not in (None, place)]
    all_ids = {_wordnet_id(*pair) for pair in store.classes} == set(imagenet.wordnet_ids())
    # Another data set of 1,000 classes may share some names with ImageNet by chance.
    if not moved or not (all_ids or len(moved) > imagenet.COUNT // 2):
        return ""
    place = moved[0]
    return f"{_title(store, place)} has index {place} instead of {joined[place]}"


def _same(classes: int, model_classes: int) -> tuple[tuple[int, ...], ...]:
    return tuple((index,) if index < model_classes else () for index in range(classes))


def _count(store: AnnotationStore) -> int:
    """Number of classes, listed or used."""
    return max(len(store.classes), int(store.class_indices.max()) + 1)


def _title(store: AnnotationStore, index: int) -> str:
    """A class's name, else its key, else its index."""
    key, name = store.classes[index] if index < len(store.classes) else ("", "")
    return name or key or f"class {index}"


# ImageNet


def _from_imagenet(store: AnnotationStore, model_classes: int, backbone: str) -> ClassMap:
    where = "class map imagenet"
    if model_classes != imagenet.COUNT:
        raise WsolbenchError(
            where,
            found=f"{model_classes} classes in {backbone}",
            expected=f"ImageNet's {imagenet.COUNT}",
            cure="pass a file of your own: --class-map FILE (class_map=)",
        )
    joined = [_imagenet_class(*pair) for pair in store.classes]
    if all(index is None for index in joined):
        names = [_title(store, index) for index in range(len(joined))]
        raise WsolbenchError(
            where,
            found=f"none of the classes ({some(names)}) is one of ImageNet's"
            if names
            else "no class list in the annotations, so there is nothing to join",
            cure="pass a file of your own: --class-map FILE (class_map=)",
        )
    members = tuple(() if index is None else (index,) for index in joined)
    _refuse_shared(where, members, store)
    return ClassMap("imagenet", members, model_classes)


def _imagenet_class(key: str, name: str) -> int | None:
    """ImageNet's index of a class: by WordNet id, else by name; None if there is none."""
    number = _wordnet_id(key, name)
    if number:
        return imagenet.index_by_id().get(number)
    known = _imagenet_names()
    for text in (name, name.partition(",")[0], key):
        if _plain(text) in known:
            return known[_plain(text)]
    return None


def _wordnet_id(key: str, name: str) -> str:
    return next((text for text in (key, name) if re.fullmatch("n[0-9]{8}", text)), "")


@cache
def _imagenet_names() -> dict[str, int]:
    names = {_plain(name): index for index, name in enumerate(imagenet.class_names())}
    return {name: index for name, index in names.items() if name not in imagenet.SHARED_NAMES}


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split())


# Files


def _read(path: Path) -> tuple[_Entries, bool]:
    """The entries of a file, and whether its classes are stated to be indices."""
    cure = "name a CSV or JSON file of classes"
    content = read_bytes(path, "a class map", MAX_BYTES, cure=cure)
    start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return _of_json(path, content) if start[:1] in (b"{", b"[") else _read_csv(path)


def _read_csv(path: Path) -> tuple[_Entries, bool]:
    columns = ("class", "class_index")
    rows = read_table(path, "a class map", required=("model_class",), optional=columns)
    held = [name for name in columns if name in rows[0][1]]
    if len(held) != 1:
        raise WsolbenchError(
            path,
            found=f"the columns {', '.join(held)}" if held else "no column of classes",
            expected="class (a name or key) or class_index, and model_class",
            cure="correct the first line",
        )
    entries = [(row[held[0]].strip(), _parts(row["model_class"])) for _, row in rows]
    return entries, held[0] == "class_index"


def _of_json(path: Path, data: bytes) -> tuple[_Entries, bool]:
    try:
        content = strict_json(data)
    except ValueError as error:
        raise WsolbenchError(
            path, found=f"invalid JSON ({error})", expected="UTF-8 JSON", cure="write it again"
        ) from error
    if not isinstance(content, dict):
        raise WsolbenchError(
            path,
            found="a JSON list",
            expected='an object of model classes by class, e.g. {"crab": [118, 119]}',
            cure="write it as an object",
        )
    return _of_mapping(content)


def _of_mapping(content: Mapping[Any, Any]) -> tuple[_Entries, bool]:
    kinds = {type(key) for key in content}
    if not kinds <= {str} and not kinds <= {int}:
        raise WsolbenchError(
            "class_map",
            found=f"keys of type {', '.join(sorted(kind.__name__ for kind in kinds))}",
            expected="all class names (str) or all class indices (int)",
            cure="use one kind of key",
        )
    return [(str(key), _parts(own)) for key, own in content.items()], kinds == {int}


def _parts(own: object) -> list[object]:
    """The model classes of one entry, which may be one or several."""
    if isinstance(own, str):
        return [part for part in re.split(r"[\s;,]+", own) if part]
    return list(own) if isinstance(own, Sequence) else [own]


def _from_entries(
    store: AnnotationStore,
    model_classes: int,
    name: str,
    where: object,
    entries: _Entries,
    are_indices: bool,
) -> ClassMap:
    placed = _placed(store, where, [label for label, _ in entries], are_indices)
    faults: list[str] = []
    found: defaultdict[int, dict[int, None]] = defaultdict(dict)
    for label, own in entries:
        for part in own:
            index = _model_class(part, model_classes)
            if isinstance(index, str):
                faults.append(f"{label}: {index}")
            elif label in placed:
                found[placed[label]][index] = None
    refuse(where, faults, cure=f"name model classes from 0 to {model_classes - 1}")
    count = _count(store)
    members = tuple(tuple(found[index]) for index in range(count))
    _refuse_shared(where, members, store)
    ignored = dict.fromkeys(label for label, _ in entries if label not in placed)
    return ClassMap(name, members, model_classes, tuple(ignored))


def _placed(
    store: AnnotationStore, where: object, labels: Iterable[str], are_indices: bool
) -> dict[str, int]:
    """The class index of each label that is a class of the annotations.

    Labels are taken as names, as keys or as indices, whichever fits most of them.
    """
    count = _count(store)
    tables = {"indices": {str(index): index for index in range(count)}}
    if not are_indices:
        keys, names = ([pair[place] for pair in store.classes] for place in (0, 1))
        for kind, texts in (("names", names), ("keys", keys)):
            times = Counter(texts)
            tables[kind] = {text: at for at, text in enumerate(texts) if times[text] == 1}
    wanted = list(labels)
    hits = {
        kind: {label: table[label] for label in wanted if label in table}
        for kind, table in tables.items()
    }
    most = max(map(len, hits.values()))
    fitting = {kind: own for kind, own in hits.items() if len(own) == most}
    first = next(iter(fitting.values()))
    if not most:
        held = [_title(store, index) for index in range(count)]
        raise WsolbenchError(
            where,
            found=f"the classes {some(wanted) or 'none'}, none of them in the annotations",
            expected=f"classes such as {some(held)}" if held else "annotations with classes",
            cure="name the classes of the annotations by name, key or index"
            if held
            else "import the classes too, or pass --class-map same with --label predicted",
        )
    if any(own != first for own in fitting.values()):
        raise WsolbenchError(
            where,
            found=f"classes that may be {' or '.join(sorted(fitting))} of the annotations: "
            f"{some(wanted)}",
            cure="name the classes, or call the column class_index",
        )
    return first


def _model_class(part: object, model_classes: int) -> int | str:
    """A model class in an entry, or what is wrong with it."""
    ids = imagenet.index_by_id() if model_classes == imagenet.COUNT else {}
    if isinstance(part, Mapping):
        index, number = part.get("index"), str(part.get("wnid"))
        if index is not None and ids.get(number, index) != index:
            return f"index {index} and WordNet id {number}, whose index is {ids[number]}"
        part = number if index is None else index
    if isinstance(part, int | np.integer) and not isinstance(part, bool):
        index = int(part)
    elif isinstance(part, str) and (match := _INTEGER.fullmatch(part.strip())):
        index = int(match[1])
    elif isinstance(part, str) and part in ids:
        index = ids[part]
    else:
        return f"{part!r} is no model class"
    return index if 0 <= index < model_classes else f"{index} is not from 0 to {model_classes - 1}"


def _refuse_shared(where: object, members: Sequence[Sequence[int]], store: AnnotationStore) -> None:
    """Refuse a model class of two classes: a prediction of it could not be attributed."""
    owners: defaultdict[int, list[str]] = defaultdict(list)
    for index, own in enumerate(members):
        for one in own:
            owners[one].append(_title(store, index))
    faults = [
        f"model class {one} of {' and '.join(own)}"
        for one, own in sorted(owners.items())
        if len(own) > 1
    ]
    refuse(where, faults, cure="give each model class to one class")
