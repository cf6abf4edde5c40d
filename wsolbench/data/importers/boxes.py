"""Boxes without masks: ILSVRC2012's 50,000 validation images, ImageNetV2, CUBV2 and own data.

Read are the metadata folders of wsolevaluation (image_ids.txt, class_labels.txt, image_sizes.txt,
localization.txt), lists such as its localization.txt, Kaggle's LOC_val_solution.csv, folders and
archives of XML files, and CSV tables. An image has a size, boxes and no mask, so that only box
scores can be computed.

Conventions: the lists of wsolevaluation have inclusive corners, tables half-open ones; those of
other files are found from all their boxes (`corners`). Stored boxes are half-open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ...errors import WsolbenchError, require_choice, some
from ...files import require_file, require_folder
from ...formats.annotations import UNLABELLED, AnnotationSet, Source
from ...image_ids import FOLDER_MARK, files_by_id, files_under, image_id_of, is_image_id
from ...images import EXIF, PHOTO_ENDINGS, photo_size
from ...masks import RunLengths
from ...progress import Progress
from .corners import (
    Corners,
    RawBox,
    choice,
    evidence_of,
    refuse_fractions,
    sentence,
    settle,
    whole_boxes,
)
from .ilsvrc_labels import check_names, read_labels
from .ilsvrc_lists import (
    CLASSES,
    IMAGE,
    WORDNET_ID,
    box_of,
    is_kaggle,
    named_records,
    read_box_list,
    read_class_names,
    read_kaggle,
    read_sizes,
)
from .mask_files import MaskRecord, annotations_of, read_each
from .tables import (
    read_lines,
    read_table,
    refuse,
    same_ids,
    source_of,
    whole_number,
)
from .xml_boxes import ARCHIVE_ENDINGS, read_xml_boxes

__all__ = ["import_boxes"]

_Value = TypeVar("_Value")

_BOXES, _SIZES, _LABELS, _IDS = (
    "localization.txt",
    "image_sizes.txt",
    "class_labels.txt",
    "image_ids.txt",
)
_CORNERS = ("x0", "y0", "x1", "y1")
_OPTIONAL = ("class_index", "split", "height", "width")


@dataclass
class _Listed:
    """What the source says of its images, each by image id.

    Attributes:
        where: the file or folder of the boxes, for messages.
        boxes: corners as given.
        sizes: (height, width), of the images whose size is stated.
        labels: class indices.
        names: the names of the boxes' classes.
        splits: names of splits.
        published: how corners of such files are known to be counted, if they are.
        sources: the files.
        notes: remarks.
        turned: number of photos with an EXIF orientation.
    """

    where: str | os.PathLike[str]
    boxes: dict[str, list[RawBox]] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    published: Corners | None = None
    sources: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    turned: int = 0


def import_boxes(
    source: str | os.PathLike[str],
    *,
    labels: Sequence[str | os.PathLike[str]] | None = None,
    sizes: str | os.PathLike[str] | None = None,
    class_names: str | os.PathLike[str] | None = None,
    category: str | None = None,
    images: str | os.PathLike[str] | None = None,
    exif: str = "ignore",
    corners: str | None = None,
    folder_ids: bool = False,
    split: str | None = None,
    dataset: str | None = None,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations with boxes and without masks.

    Args:
        source: a folder of wsolevaluation with localization.txt, or one whose folders (val, test)
            each have it; a list of lines `name,x0,y0,x1,y1`; Kaggle's LOC_val_solution.csv; a
            folder or archive of XML files; or a CSV table with the columns image_id, x0, y0, x1, y1
            and any of class_index, split, height and width, one row per box.
        labels: lists of lines `name,class`. Those of ILSVRC2012's validation images may be in
            either order of the classes (see `ilsvrc.import_ilsvrc`).
        sizes: a list of lines `name,width,height`.
        class_names: ILSVRC2012's classes, lines `n01440764 tench, Tinca tinca`.
        category: keep only the boxes of this class, by the name that the XML or Kaggle file has.
        images: the folder of photos; their sizes are used, and must equal those that are stated.
        exif: "apply" if boxes refer to photos turned upright by their EXIF orientation.
        corners: how corners are counted: "half-open", "inclusive" or "from-1".
        folder_ids: keep folders in the image ids, joined by "~".
        split: the split of the images for which the source names none [default: the folder's name
            for a folder of wsolevaluation, otherwise "val"].
        dataset: the data set's name [default: that of the file or folder].
        progress: called with (photos read, photos).

    Returns:
        The annotations, sorted by id. The notes state the counts that show how corners are counted.

    Raises:
        WsolbenchError: a file is malformed, two images have the same id, an image has no box, size
            or class although others have one, sources contradict each other, boxes do not fit their
            images, corners may be counted in several ways, or an option has no effect.
    """
    require_choice("exif", exif, EXIF)
    stated = choice(corners)
    if exif != "ignore" and images is None:
        raise WsolbenchError(
            "exif",
            found=f"{exif!r}, but no photos whose EXIF orientation could be read",
            cure="name the photos: --images DIR, in Python images=",
        )
    listed = _read_source(Path(source), folder_ids, split)
    if category is not None:
        _keep(listed, category)
    names = [] if class_names is None else read_class_names(class_names)
    _add_sizes(listed, sizes, folder_ids)
    if images is not None:
        _add_photos(listed, images, exif, progress)
    _require_all(listed, listed.sizes, "size", "--sizes FILE or --images DIR", "sizes= or images=")
    given = [labels] if isinstance(labels, (str, os.PathLike)) else list(labels or ())
    classes = _add_labels(listed, given, names, folder_ids)
    refuse_fractions(listed.where, listed.boxes)  # before their corners are counted
    evidence = evidence_of(listed.boxes, listed.sizes)
    if evidence.beyond and listed.turned:
        other = "ignore" if exif == "apply" else "apply"
        raise WsolbenchError(
            listed.where,
            found=f"{len(evidence.beyond)} of {evidence.boxes} boxes outside their photo, and "
            f"{listed.turned} photos with an EXIF orientation: {some(evidence.beyond)}",
            cure=f"use --exif {other}, in Python exif={other!r}",
        )
    counted = settle(listed.where, evidence, given=stated, published=listed.published)
    whole, notes = whole_boxes(listed.where, listed.boxes, listed.sizes, counted)
    records = [
        MaskRecord(
            image_id,
            listed.splits.get(image_id) or split or "val",
            listed.labels.get(image_id, UNLABELLED),
            RunLengths(*listed.sizes[image_id], b""),
            whole[image_id],
        )
        for image_id in sorted(whole)
    ]
    listed.sources += [source_of(path) for path in (sizes, class_names) if path is not None]
    return AnnotationSet(
        _name_of(Path(source)) if dataset is None else dataset,
        annotations_of(records),
        classes,
        listed.sources,
        [
            "no image has a mask: only box scores can be computed",
            sentence(evidence, counted),
            *notes,
            *listed.notes,
        ],
    )


def _read_source(place: Path, folder_ids: bool, split: str | None) -> _Listed:
    if place.is_dir():
        splits = [path for path in sorted(place.iterdir()) if path.is_dir() and _list(path, _BOXES)]
        if _list(place, _BOXES):
            return _read_folder(place, folder_ids, split or place.resolve().name)
        if splits:
            return _read_folders(place, splits, folder_ids, split)
        if not any(place.rglob("*.xml")):
            raise WsolbenchError(
                place,
                found=f"no {_BOXES} and no .xml file",
                expected="a metadata folder of wsolevaluation, or a folder of XML files",
                cure="name the folder that contains them",
            )
        return _read_xml(place, folder_ids)
    if place.name.lower().endswith(ARCHIVE_ENDINGS):
        return _read_xml(place, folder_ids)
    require_file(place, "boxes: a list, a table, XML files or a folder of wsolevaluation")
    if is_kaggle(place):
        if folder_ids:
            raise WsolbenchError(
                place,
                found="image ids without folders, so there is none to keep in the ids",
                cure="leave out --folder-ids (Python folder_ids)",
            )
        return _read_kaggle(place)
    first = read_lines(place, "a list or table of boxes")[0][1].lower()
    header = {cell.strip(' "') for cell in re.split("[,;\t]", first)}
    if header & {"image_id", *_CORNERS}:
        return _read_table(place, folder_ids)
    boxes = _read_list(place, folder_ids)
    return _Listed(place, boxes, published=Corners.INCLUSIVE, sources=[source_of(place)])


def _read_folders(
    place: Path, folders: Sequence[Path], folder_ids: bool, split: str | None
) -> _Listed:
    """The folders val, test (and train) of wsolevaluation's metadata as one data set."""
    if split is not None:
        raise WsolbenchError(
            "split",
            found=f"{split!r} for the {len(folders)} folders {some([one.name for one in folders])}",
            cure=f"leave --split out, or name one folder, e.g. {folders[0]}",
        )
    whole = _Listed(place, published=Corners.INCLUSIVE)
    for folder in folders:
        part = _read_folder(folder, folder_ids, folder.name)
        common = sorted(whole.boxes.keys() & part.boxes.keys())
        refuse(
            place,
            [f"{image_id} in {whole.splits[image_id]} and {folder.name}" for image_id in common],
            expected="each image in one split",
            cure="keep the folders in the ids: --folder-ids, in Python folder_ids=True"
            if not folder_ids
            else "name one of the folders",
        )
        for name in ("boxes", "sizes", "labels", "splits"):
            getattr(whole, name).update(getattr(part, name))
        whole.sources += part.sources
        whole.notes += [f"{folder.name}: {note}" for note in part.notes]
    return whole


def _read_folder(folder: Path, folder_ids: bool, split: str) -> _Listed:
    boxes, ids, sizes, labels = (_list(folder, name) for name in (_BOXES, _IDS, _SIZES, _LABELS))
    listed = _Listed(folder / _BOXES, published=Corners.INCLUSIVE)
    listed.boxes = _read_list(boxes or folder / _BOXES, folder_ids)
    if ids is not None:
        _check_ids(listed, ids, folder_ids)
    if sizes is not None:
        listed.sizes = _of_images(listed, read_sizes(sizes, folder_ids=folder_ids))
        _require_all(listed, listed.sizes, f"size in {sizes.name}", "a complete list", "")
    if labels is not None:
        found, listed.notes = _read_labels(listed, [labels], [], folder_ids)
        listed.labels = _of_images(listed, found)
        _require_all(listed, listed.labels, f"class in {labels.name}", "a complete list", "")
    listed.splits = dict.fromkeys(listed.boxes, split)
    listed.sources = [source_of(path) for path in (boxes, ids, sizes, labels) if path is not None]
    return listed


def _list(folder: Path, name: str) -> Path | None:
    """A list of a folder, perhaps compressed; None if it is not there."""
    return next((path for end in ("", ".gz") if (path := folder / f"{name}{end}").is_file()), None)


def _check_ids(listed: _Listed, path: Path, folder_ids: bool) -> None:
    lines = read_lines(path, "names of images")
    ids = [image_id_of(name, folders=folder_ids) or "" for _, name in lines]
    wrong = [
        f"line {n}: {name[:60]!r}" for (n, name), one in zip(lines, ids, strict=True) if not one
    ]
    refuse(path, wrong, expected="one name per line", cure="download the list again")
    same_ids(path, [name for _, name in lines], ids, folder_ids=folder_ids)
    held = set(ids)
    without = [f"no box for {one}" for one in ids if one not in listed.boxes]
    strange = [f"boxes of {one}, which is not listed" for one in listed.boxes if one not in held]
    refuse(path, without + strange, expected=f"the images of {_BOXES}", cure="download both again")


def _read_list(path: Path, folder_ids: bool) -> dict[str, list[RawBox]]:
    fields = read_lines(path, "lines `name,x0,y0,x1,y1`")[0][1].split(",")
    if len(fields) in (2, 3) and fields[1].strip().lower().endswith(".png"):
        raise WsolbenchError(
            path,
            found="masks of OpenImages30k, not boxes",
            cure="import its folder with `wsolbench import openimages`",
        )
    return read_box_list(path, folder_ids=folder_ids)


def _read_kaggle(path: Path) -> _Listed:
    listed = _Listed(path, sources=[source_of(path)])
    for image_id, pairs in read_kaggle(path).items():
        listed.boxes[image_id] = [box for _, box in pairs]
        listed.names[image_id] = [name for name, _ in pairs]
    return listed


def _read_xml(path: Path, folder_ids: bool) -> _Listed:
    found = read_xml_boxes(path, folder_ids=folder_ids)
    return _Listed(path, found.boxes, found.sizes, names=found.names, sources=[found.source])


def _read_table(path: Path, folder_ids: bool) -> _Listed:
    listed = _Listed(path, published=Corners.HALF_OPEN, sources=[source_of(path)])
    rows = read_table(
        path,
        "a table of boxes",
        required=("image_id", *_CORNERS),
        optional=_OPTIONAL,
        numbers=(*_CORNERS, "class_index", "height", "width"),
        folder_ids=folder_ids,
    )
    first: dict[str, tuple[str, ...]] = {}
    faults: list[str] = []
    backwards: list[str] = []
    for number, cells in rows:
        image_id = cells["image_id"].strip()
        box = box_of([cells[name] for name in _CORNERS])
        other = tuple(cells.get(name, "").strip() for name in _OPTIONAL)
        label, split, *size = other
        height, width = map(whole_number, size)
        index = whole_number(label)
        if not is_image_id(image_id) or box is None:
            faults.append(f"line {number}: {image_id!r}, {[cells[name] for name in _CORNERS]}")
            continue
        if box[0] > box[2] or box[1] > box[3]:
            shown = ",".join(cells[name] for name in _CORNERS)
            backwards.append(f"line {number} ({image_id}): {shown}")
            continue
        wrong = (label and (index is None or index < UNLABELLED)) or (
            split and not is_image_id(split)
        )
        if wrong or any(size) != (height is not None and width is not None):
            faults.append(f"line {number}: {dict(zip(_OPTIONAL, other, strict=True))}")
        if first.setdefault(image_id, other) != other:
            faults.append(f"line {number}: {image_id} differs from its first row")
        listed.boxes.setdefault(image_id, []).append(box)
        if index is not None and index >= 0:
            listed.labels[image_id] = index
        if height and width:
            listed.sizes[image_id] = (height, width)
        if split:
            listed.splits[image_id] = split
    refuse(path, faults, expected="numbers, and one row per box", cure="correct the table")
    refuse(
        path,
        backwards,
        expected="x0 < x1 and y0 < y1",
        cure="write corners; if the last two columns are width and height, add x0 and y0 to them",
    )
    return listed


def _keep(listed: _Listed, category: str) -> None:
    held = {name for names in listed.names.values() for name in names}
    if category not in held:
        raise WsolbenchError(
            "category",
            found=repr(category),
            expected=some(sorted(held)) or "a file that names the classes of its boxes",
            cure="name a class of the file" if held else "leave --category out",
        )
    for image_id, names in listed.names.items():
        pairs = zip(listed.boxes[image_id], names, strict=True)
        listed.boxes[image_id] = [box for box, name in pairs if name == category]
    dropped = [image_id for image_id, boxes in listed.boxes.items() if not boxes]
    for image_id in dropped:
        del listed.boxes[image_id]
    listed.names = {image_id: [category] for image_id in listed.boxes}
    listed.notes.append(
        f"only boxes of {category}; {len(dropped)} images without one were left out"
    )


def _of_images(listed: _Listed, found: Mapping[str, _Value]) -> dict[str, _Value]:
    return {image_id: found[image_id] for image_id in listed.boxes if image_id in found}


def _require_all(
    listed: _Listed, found: Mapping[str, object], what: str, options: str, arguments: str
) -> None:
    missing = [image_id for image_id in listed.boxes if image_id not in found]
    if missing:
        raise WsolbenchError(
            listed.where,
            found=f"{len(missing)} of {len(listed.boxes)} images without a {what}: {some(missing)}",
            cure=f"add {options}{f', in Python {arguments}' if arguments else ''}",
        )


def _add_sizes(listed: _Listed, path: str | os.PathLike[str] | None, folder_ids: bool) -> None:
    if path is None:
        return
    found = _of_images(listed, read_sizes(path, folder_ids=folder_ids))
    _require_all(listed, found, f"line in {os.fspath(path)}", "a complete list", "")
    refuse(
        path,
        [
            f"{image_id} of {size[1]}x{size[0]}, but {_shown(listed.sizes[image_id])} in "
            f"{Path(listed.where).name}"
            for image_id, size in found.items()
            if listed.sizes.get(image_id, size) != size
        ],
        expected="the same sizes",
        cure="leave one of the two sources out",
    )
    listed.sizes.update(found)


def _add_photos(
    listed: _Listed, images: str | os.PathLike[str], exif: str, progress: Progress | None
) -> None:
    """Take the sizes of photos; a stated size that is swapped yields if the boxes fit the photo."""
    photos = _photos(listed, require_folder(images, "a folder of photos"))

    def read(image_id: str) -> tuple[int, int, int]:
        return photo_size(photos[image_id], exif)

    ids = list(listed.boxes)
    sizes = read_each(ids, read, where=images, kind="photos", progress=progress)
    found = dict(zip(ids, sizes, strict=True))
    faults: list[str] = []
    swapped: list[str] = []
    for image_id, (height, width, _) in found.items():
        stated = listed.sizes.get(image_id, (height, width))
        fits = all(box[2] <= width and box[3] <= height for box in listed.boxes[image_id])
        beyond = any(box[2] > stated[1] or box[3] > stated[0] for box in listed.boxes[image_id])
        if stated == (width, height) and stated != (height, width) and fits and beyond:
            swapped.append(image_id)
        elif stated != (height, width):
            faults.append(f"{image_id} of {width}x{height}, but {_shown(stated)} is stated")
        listed.sizes[image_id] = (height, width)
    turned = [image_id for image_id, (_, _, orientation) in found.items() if orientation != 1]
    listed.turned = len(turned)
    other = "ignore" if exif == "apply" else "apply"
    refuse(
        images,
        faults,
        expected="photos of the sizes that are stated",
        cure="use the photos that were annotated, at their original size"
        + (f", or --exif {other} (Python exif={other!r})" if turned else ""),
    )
    if swapped:
        listed.notes.append(
            f"{len(swapped)} sizes were taken as width and height swapped, because photo and boxes "
            f"agree with each other against them: {some(swapped)}"
        )
    if turned:
        done = "was applied" if exif == "apply" else "is ignored"
        listed.notes.append(
            f"{len(turned)} photos have an EXIF orientation other than 1, which {done} "
            f"(--exif {other} for the opposite): {some(turned)}"
        )


def _photos(listed: _Listed, folder: Path) -> dict[str, Path]:
    """The photo of each image: of its name, or of its name with the folders that its id keeps."""
    photos = files_under(folder.absolute(), PHOTO_ENDINGS)
    found = {one: list(map(Path, own)) for one, own in files_by_id(listed.boxes, photos).items()}
    missing = [f"no photo {image_id}" for image_id in listed.boxes if image_id not in found]
    double = [f"{len(paths)} photos {one}" for one, paths in found.items() if len(paths) > 1]
    refuse(
        folder,
        missing + double,
        expected=f"one photo for each of {len(listed.boxes)} images",
        cure="name the folder with all photos of the data set, and no others of the same names",
    )
    return {image_id: paths[0] for image_id, paths in found.items()}


def _add_labels(
    listed: _Listed,
    paths: Sequence[str | os.PathLike[str]],
    class_names: Sequence[tuple[str, str]],
    folder_ids: bool,
) -> Sequence[tuple[str, str]]:
    """Set the class of each image, if it is known; return the classes."""
    if paths:
        found, notes = _read_labels(listed, paths, class_names, folder_ids)
        where = ", ".join(map(str, paths))
        labels = _of_images(listed, found)
        _require_all(listed, labels, f"line in {where}", "a complete list", "")
        check_names(listed.where, listed.names, labels, class_names)
        refuse(
            where,
            [
                f"{image_id} has class {label}, but {listed.labels[image_id]} in "
                f"{Path(listed.where).name}"
                for image_id, label in labels.items()
                if listed.labels.get(image_id, label) != label
            ],
            expected="equal labels",
            cure="leave one of the two sources out",
        )
        listed.labels = labels
        listed.sources += [source_of(path) for path in paths]
        listed.notes += notes
        return class_names
    if not listed.names:
        return class_names
    held = sorted({name for names in listed.names.values() for name in names})
    wnids = all(WORDNET_ID.fullmatch(name) for name in held)
    if wnids and not class_names and len(held) != CLASSES:
        listed.notes.append(
            f"the classes are unknown: {len(held)} WordNet ids, of {CLASSES} (--class-names FILE "
            "gives their indices)"
        )
        return []
    classes = class_names or [(name, name) for name in held]
    index = {key: position for position, (key, _) in enumerate(classes)}
    several = [
        f"{image_id} has boxes of {' and '.join(sorted(set(names)))}"
        for image_id, names in listed.names.items()
        if len(set(names)) > 1
    ]
    refuse(
        listed.where,
        several,
        expected="boxes of one class per image",
        cure="choose a class: --category NAME, in Python category=",
    )
    unknown = [name for name in held if name not in index]
    refuse(listed.where, unknown, expected="classes of --class-names", cure="leave that list out")
    listed.labels = {image_id: index[names[0]] for image_id, names in listed.names.items()}
    return classes


def _read_labels(
    listed: _Listed,
    paths: Sequence[str | os.PathLike[str]],
    class_names: Sequence[tuple[str, str]],
    folder_ids: bool,
) -> tuple[dict[str, int], list[str]]:
    if all(IMAGE.fullmatch(image_id.rpartition(FOLDER_MARK)[2]) for image_id in listed.boxes):
        bare = {image_id.rpartition(FOLDER_MARK)[2]: image_id for image_id in listed.boxes}
        found, notes = read_labels(paths, bare, class_names)
        return {bare[name]: label for name, label in found.items() if name in bare}, notes
    labels: dict[str, int] = {}
    faults: list[str] = []
    for path in paths:
        what = "lines `name,class`"
        for number, image_id, (text,) in named_records(path, what, 1, folder_ids=folder_ids):
            label = whole_number(text)
            beyond = label is None or label < 0 or (class_names and label >= len(class_names))
            if label is None or beyond or labels.setdefault(image_id, label) != label:
                faults.append(f"line {number}: {image_id} {text!r}")
        last = f" from 0 to {len(class_names) - 1}" if class_names else ""
        refuse(
            path,
            faults,
            expected=f"{what}, one class{last} per image",
            cure="correct the list" + (", e.g. subtract 1 if it counts from 1" if last else ""),
        )
    return labels, []


def _shown(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _name_of(place: Path) -> str:
    """The data set's name: that of the folder that holds the splits, or of the file."""
    whole = place.resolve()
    name = whole.name if place.is_dir() else whole.name.partition(".")[0]
    if (place / _BOXES).is_file():
        name = whole.parent.name
    if not is_image_id(name):
        raise WsolbenchError(
            place,
            found=f"the name {name!r}, which no data set may have",
            cure="name the data set: --dataset NAME, in Python dataset=",
        )
    return name
