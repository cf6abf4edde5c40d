"""Classes of the annotations and of a network are compared, and joined as a map says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import annotation
from wsolbench.baselines.class_map import (
    ClassMap,
    ClassMapSource,
    join_classes,
    mapped_images,
    unlisted_note,
)
from wsolbench.baselines.imagenet import COUNT, SHARED_NAMES, class_names, wordnet_ids
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationSet, AnnotationStore, write_store
from wsolbench.formats.submission.rules import OUTSIDE

FARM = [("1", "ant"), ("2", "crab"), ("3", "emu")]
"""As `import coco` numbers them: keys are category ids from 1, indices count from 0."""


def store_of(
    folder: Path, classes: Sequence[tuple[str, str]], indices: Sequence[int] = (0,)
) -> AnnotationStore:
    mask = np.ones((2, 2), np.bool_)
    rows = [annotation(f"i{n}", mask, class_index=index) for n, index in enumerate(indices)]
    write_store(folder / "store.h5", AnnotationSet("toys", rows, classes))
    return AnnotationStore.open(folder / "store.h5")


def members(folder: Path, source: ClassMapSource, classes: int = 1000) -> list[list[int]]:
    joined = join_classes(store_of(folder, FARM, [0, 1, 2]), classes, "net", source)
    return [list(own) for own in joined.members]


# -- two witnesses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "classes, indices, outputs",
    [
        (FARM, [0, 1], 3),  # as many as listed
        ([], [0, 4, 1], 5),  # the highest index is the last output
        ([], [-1, -1], 1000),  # no class known: nothing to compare
        ([], [1, 76, 391], 1000),  # gaps: a part of a longer list
    ],
)
def test_counts_that_agree_are_accepted(
    tmp_path: Path, classes: list[tuple[str, str]], indices: list[int], outputs: int
) -> None:
    joined = join_classes(store_of(tmp_path, classes, indices), outputs, "net")
    assert joined.members == tuple((index,) for index in range(outputs))
    assert joined.described() == {}


@pytest.mark.parametrize(
    "classes, indices, outputs, message",
    [
        (FARM, [0], 1000, "store.h5: 3 classes in the annotations and 1000 in net; join them"),
        (FARM, [0], 2, "3 classes in the annotations and 2 in net; .*--class-map FILE or imagenet"),
        ([], [0, 11], 1000, "class indices from 0 to 11 without a class list, and 1000 classes"),
        ([], [*range(101)], 1000, "class indices from 0 to 100 without a class list"),
        ([], [3, 12], 12, "a class outside the 12 of net for 1 of 2 images: i1; .*--class-map"),
    ],
)
def test_counts_that_differ_are_refused(
    tmp_path: Path,
    classes: list[tuple[str, str]],
    indices: list[int],
    outputs: int,
    message: str,
) -> None:
    store = store_of(tmp_path, classes, indices)
    with pytest.raises(WsolbenchError, match=message) as caught:
        join_classes(store, outputs, "net")
    assert "\n" not in str(caught.value)
    same = join_classes(store, outputs, "net", "same")
    assert [list(own) for own in same.members[:outputs]] == [
        [index] for index in range(len(same.members[:outputs]))
    ]


def test_other_splits_bear_witness_too(tmp_path: Path) -> None:
    mask = np.ones((2, 2), np.bool_)
    rows = [
        annotation("a", mask, class_index=0),
        annotation("b", mask, class_index=5, split="test"),
    ]
    write_store(tmp_path / "s.h5", AnnotationSet("toys", rows))
    assert len(join_classes(AnnotationStore.open(tmp_path / "s.h5"), 6, "net").members) == 6


@pytest.mark.parametrize("place", ["key", "name", "title"])
def test_imagenet_in_another_order_is_refused(tmp_path: Path, place: str) -> None:
    texts = class_names() if place == "title" else wordnet_ids()
    classes = [(text, "x") if place == "key" else ("", text) for text in texts]
    assert join_classes(store_of(tmp_path, classes), COUNT, "net").name == ""
    turned = classes[1:] + classes[:1]
    with pytest.raises(WsolbenchError, match=r"in another order .* has index 0 instead of 1; join"):
        join_classes(store_of(tmp_path, turned), COUNT, "net")
    joined = join_classes(store_of(tmp_path, turned), COUNT, "net", "imagenet")
    known = [own for own in joined.members if own]
    assert len(known) >= COUNT - 2 * len(SHARED_NAMES)
    assert joined.members[0] == (1,)


def test_one_pair_of_ids_in_the_wrong_place_is_seen(tmp_path: Path) -> None:
    ids = list(wordnet_ids())
    ids[700], ids[701] = ids[701], ids[700]
    store = store_of(tmp_path, [(number, "") for number in ids])
    with pytest.raises(WsolbenchError, match="has index 700 instead of 701"):
        join_classes(store, COUNT, "net")


def test_a_thousand_other_classes_may_share_a_name(tmp_path: Path) -> None:
    classes = [("", f"part {index}") for index in range(COUNT - 1)] + [("", "kite")]
    assert join_classes(store_of(tmp_path, classes), COUNT, "net").name == ""


# -- ImageNet ------------------------------------------------------------------------------------


def test_the_ids_of_imagenet_are_sorted_and_named() -> None:
    ids, names = wordnet_ids(), class_names()
    assert len(set(ids)) == len(set(names)) == COUNT
    assert list(ids) == sorted(ids)
    assert all(len(number) == 9 for number in ids)
    for index, number, name in (
        (0, "n01440764", "tench"),
        (310, "n02219486", "ant"),
        (449, "n02859443", "boathouse"),
        (999, "n15075141", "toilet tissue"),
    ):
        assert (ids[index], names[index]) == (number, name)


def test_imagenet_joins_ids_names_and_keys(tmp_path: Path) -> None:
    classes = [
        ("n02219486", "something else"),  # the id decides
        ("7", "Giant_Panda"),
        ("8", "crayfish, crawfish, crawdad"),
        ("beaver", ""),
        ("9", "crane"),  # the bird or the machine
        ("n99999999", "tench"),  # an id of no class
    ]
    joined = join_classes(store_of(tmp_path, classes), COUNT, "net", "imagenet")
    assert joined.members == ((310,), (388,), (124,), (337,), (), ())
    told = joined.described()["class_map"]
    assert isinstance(told, dict)
    assert (told["name"], told["classes"], told["model_classes"]) == ("imagenet", 4, 1000)


@pytest.mark.parametrize(
    "classes, outputs, message",
    [
        (FARM, 1001, "class map imagenet: found 1001 classes in net, expected ImageNet's 1000"),
        ([], 1000, "no class list in the annotations, so there is nothing to join"),
        ([("", "gnu"), ("", "yak")], 1000, r"none of the classes \(gnu, yak\) is one of ImageNet"),
        ([("", "ant"), ("", "Ant")], 1000, "model class 310 of ant and Ant; give each"),
    ],
)
def test_imagenet_that_cannot_be_joined(
    tmp_path: Path, classes: list[tuple[str, str]], outputs: int, message: str
) -> None:
    with pytest.raises(WsolbenchError, match=message):
        join_classes(store_of(tmp_path, classes), outputs, "net", "imagenet")


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "class,model_class\nant,310\ncrab,118 119\n",
        "class,model_class\nant,310\ncrab,118;119\nemu,\n",
        "model_class,class\n310.0,ant\n118,crab\n119,crab\n",
        "class,model_class\n1,310\n2,118 119\n3,\n",  # keys
        "class,model_class\n0,310\n1,118 119\n2,\n",  # indices: 0 is no key
        "class_index,model_class\n1,118 119\n0,310\n",
        "class,model_class\nant,n02219486\ncrab,n01978287 n01978455\n",
        '{"ant": 310, "crab": [118, 119]}',
        '{"ant": "310", "crab": "118 119", "emu": []}',
        '{"1": [310], "2": [118, 119], "3": []}',
        '{"ant": [{"index": 310, "wnid": "n02219486"}], "crab": [{"index": 118}, {"index": 119}]}',
        '{"ant": {"wnid": "n02219486"}, "crab": ["n01978287", 119], "gnu": [5]}',
        '\ufeff {"ant": [310], "crab": [118, 119]}',
    ],
)
def test_a_file_gives_each_class_its_model_classes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_text(text)
    if text.startswith("\ufeff"):
        path.write_text(text.lstrip("\ufeff"), encoding="utf-8")
    assert members(tmp_path, path) == [[310], [118, 119], []]


def test_a_mapping_does_as_a_file(tmp_path: Path) -> None:
    assert members(tmp_path, {"crab": [118, 119], "ant": 310}) == [[310], [118, 119], []]
    assert members(tmp_path, {1: (118, np.int64(119)), 0: 310}) == [[310], [118, 119], []]


def test_the_hash_is_of_the_map_and_not_of_its_spelling(tmp_path: Path) -> None:
    store = store_of(tmp_path, FARM)
    spelt = [{"crab": [118, 119], "ant": 310}, {0: [310], 1: [118, 119]}, {"ant": 310, "crab": 118}]
    first, again, other = (join_classes(store, COUNT, "net", own).sha256 for own in spelt)
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "text, message",
    [
        ("class,model_class\n1,5\n2,6\n", "classes that may be indices or keys of the annotations"),
        ("class,model_class\nantt,5\n", "found the classes antt, none of them in the annotations"),
        ("class,model_class\nant,1000\n", "ant: 1000 is not from 0 to 999"),
        ("class,model_class\nant,-1\n", "ant: '-1' is no model class"),
        ("class,model_class\nant,tench\n", "ant: 'tench' is no model class"),
        ("class,model_class\nant,1.5\n", "ant: '1.5' is no model class"),
        ("class,model_class\nant,5\ncrab,5\n", "model class 5 of ant and crab"),
        ("class,class_index,model_class\nant,0,5\n", "the columns class, class_index, expected"),
        ("model_class\n5\n", "no column of classes"),
        ("name,model_class\nant,5\n", r"columns name, model_class, .*unknown: name"),
        ("", "columns none"),
        ('{"ant": 5, "ant": 6}', "duplicate key"),
        ('[["ant", 5]]', "a JSON list"),
        ('{"ant": true}', "ant: True is no model class"),
        ('{"ant": null}', "ant: None is no model class"),
        ('{"ant": [{"index": 5, "wnid": "n02219486"}]}', "index 5 and WordNet id n02219486, whose"),
        ("{}", "the classes none, none of them"),
    ],
)
def test_files_that_say_no_clear_map_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(WsolbenchError, match=message) as caught:
        members(tmp_path, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source, message",
    [
        ("imagnet", "imagnet: found no such file, expected a class map; .*imagenet or same"),
        ({"ant": 1, 2: 3}, "class_map: found keys of type int, str"),
        ({"ant": 1.5}, "ant: 1.5 is no model class"),
    ],
)
def test_other_sources_are_refused(tmp_path: Path, source: ClassMapSource, message: str) -> None:
    with pytest.raises(WsolbenchError, match=message):
        members(tmp_path, source)


def test_entries_of_other_classes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps({"ant": [310], "gnu": [7], "yak": []}))
    assert join_classes(store_of(tmp_path, FARM), COUNT, "net", path).ignored == ("gnu", "yak")


# -- the map in use ------------------------------------------------------------------------------


def test_the_best_of_several_classes_is_taken() -> None:
    joined = ClassMap("m", ((2, 0), (3,)), 4)
    logits = np.array([[1.0, 9.0, 2.0, 0.0], [5.0, 9.0, 5.0, 7.0], [0.0, 9.0, 0.0, -1.0]])
    assert joined.best(np.array([0, 0, 1]), logits).tolist() == [2, 2, 3]


def test_ranks_are_translated_and_strangers_stay_strangers() -> None:
    joined = ClassMap("m", ((2, 0), (3,)), 6)
    ranked = np.array([[0, 2, 1, 3, 5], [1, 4, 5, 2, 0]])
    assert joined.translated(ranked).tolist() == [
        [0, OUTSIDE + 1, 1, OUTSIDE + 5, -1],
        [OUTSIDE + 1, OUTSIDE + 4, OUTSIDE + 5, 0, -1],
    ]


def test_unmapped_images_are_counted_by_class(tmp_path: Path) -> None:
    store_of(tmp_path, FARM, [0, 2, 1, 2, -1])
    dataset = Dataset.open(tmp_path / "store.h5")
    joined = ClassMap("m", ((4,), ()), 5)
    message = r"toys val: 2 classes without a class of the model: crab, emu \(3 of 5 images\); add"
    with pytest.raises(WsolbenchError, match=message):
        mapped_images(dataset, joined)
    assert mapped_images(dataset, joined, skip=True).image_ids == ["i0", "i4"]
    whole = ClassMap("m", ((4,), (0,), (1,)), 5)
    assert mapped_images(dataset, whole) is dataset


def test_indices_with_gaps_are_noted(tmp_path: Path) -> None:
    store = store_of(tmp_path, [], [1, 76, 391])
    (note,) = unlisted_note(store, join_classes(store, 1000, "net"))
    assert "their 3 class indices, 1 to 391 with gaps, were taken for those of the model's" in note
    assert unlisted_note(store, join_classes(store, 1000, "net", "same")) == ()
    assert unlisted_note(store, join_classes(store, 392, "net")) == ()
