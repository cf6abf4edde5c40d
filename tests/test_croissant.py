"""The data set's Croissant metadata, registry and card: valid, true to the code, and readable."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import shutil
import socket
from pathlib import Path

import h5py
import mlcroissant
import numpy as np
import pytest

from wsolbench.data.export import export_png
from wsolbench.data.importers.ilsvrc import TEST_MASKS, VAL_LIST_SHA256, VAL_MASKS
from wsolbench.data.importers.mask_folder import TABLE_COLUMNS
from wsolbench.files import strict_json
from wsolbench.formats.annotations import AnnotationStore, write_store
from wsolbench.mini.scenes import write_benchmark

pytestmark = pytest.mark.filterwarnings(
    # rdflib's own JSON-LD parser, which mlcroissant calls, uses what rdflib deprecates.
    "ignore:ConjunctiveGraph is deprecated:DeprecationWarning:rdflib.*"
)

FOLDER = Path(__file__).resolve().parents[1] / "annotations"
CROISSANT = FOLDER / "croissant.json"
CARD = (FOLDER / "README.md").read_text()
METADATA = strict_json(CROISSANT.read_text())
FILES = [part for part in METADATA["distribution"] if part["@type"] == "cr:FileObject"]


def registry() -> dict[str, tuple[str, str, str]]:
    """(algorithm, checksum, address or nothing) by file name, as pooch would read it."""
    entries = {}
    for line in (FOLDER / "registry.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, checksum, *address = line.split()
            algorithm, _, digest = checksum.rpartition(":")
            assert name not in entries
            entries[name] = (algorithm or "sha256", digest, "".join(address))
    return entries


def record_set(name: str) -> dict:
    return next(item for item in METADATA["recordSet"] if item["@id"] == name)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a test called for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def store(tmp_path: Path) -> AnnotationStore:
    """Five scenes of the embedded benchmark under the names that the metadata gives its files."""
    _, content = write_benchmark(tmp_path / "scenes", val=3, test=2)
    write_store(tmp_path / "ilsvrc.h5", content)
    opened = AnnotationStore.open(tmp_path / "ilsvrc.h5")
    export_png(opened, tmp_path / "ilsvrc")
    shutil.copy(CROISSANT, tmp_path)
    return opened


def test_it_is_valid_and_lacks_a_version_alone() -> None:
    issues = mlcroissant.Dataset(CROISSANT).metadata.ctx.issues
    assert not issues.errors
    (warning,) = issues.warnings
    assert 'Property "https://schema.org/version" is recommended' in warning


def test_boxes_read_are_those_of_the_store(store: AnnotationStore, tmp_path: Path) -> None:
    dataset = mlcroissant.Dataset(tmp_path / "croissant.json")
    read = [
        tuple(record[f"boxes/{column}"] for column in TABLE_COLUMNS)
        for record in dataset.records("boxes")
    ]
    assert read == [
        (
            image_id.encode(),
            store.class_indices[row],
            store.splits[row].encode(),
            store.heights[row],
            store.widths[row],
            *box,
        )
        for row, image_id in enumerate(store.image_ids)
        for box in store.boxes(row).tolist()
    ]
    assert len(read) > len(store) == 5


def test_masks_read_are_those_of_the_store(store: AnnotationStore, tmp_path: Path) -> None:
    records = list(mlcroissant.Dataset(tmp_path / "croissant.json").records("masks"))
    assert [record["masks/image_id"].decode() for record in records] == list(store.image_ids)
    for row, record in enumerate(records):
        pixels = np.asarray(record["masks/mask"])
        np.testing.assert_array_equal(
            pixels, np.uint8(255) * store.mask(row)[..., None].repeat(3, 2)
        )


def test_splits_are_those_of_the_importer() -> None:
    records = list(mlcroissant.Dataset(CROISSANT).records("splits"))
    counts = {record["splits/name"]: record["splits/masks"] for record in records}
    assert counts == {"val": VAL_MASKS, "test": TEST_MASKS}
    for count in (VAL_MASKS, TEST_MASKS, VAL_MASKS + TEST_MASKS):
        assert f"{count:,}" in METADATA["description"]
        assert f"{count:,}" in CARD
    assert f"{50_000 - VAL_MASKS - TEST_MASKS:,} images have no mask" in CARD


def test_fields_are_the_columns_of_the_exported_table(
    store: AnnotationStore, tmp_path: Path
) -> None:
    with open(tmp_path / "ilsvrc" / "table.csv", newline="") as file:
        header = next(csv.reader(file))
    fields = record_set("boxes")["field"]
    assert [field["name"] for field in fields] == header == list(TABLE_COLUMNS)
    assert [field["source"]["extract"]["column"] for field in fields] == header


def test_the_annotation_file_has_the_columns_told(store: AnnotationStore) -> None:
    columns: set[str] = set()
    with h5py.File(store.path) as file:
        file.visititems(
            lambda name, item: columns.add(name) if isinstance(item, h5py.Dataset) else None
        )
    (part,) = (item for item in METADATA["distribution"] if item["@id"] == "annotation-file")
    told = part["description"].split("Columns: ")[1].rstrip(".").split(", ")
    assert set(told) == columns
    documented = set(re.findall(r"`([^`]+)`", (FOLDER / "FORMAT.md").read_text()))
    assert columns <= documented


def test_the_registry_and_the_metadata_agree() -> None:
    entries = registry()
    assert entries["ILSVRC_Val_Mask_23151.txt"][1] == VAL_LIST_SHA256
    assert {file["@id"]: ("sha256", file["sha256"], file["contentUrl"]) for file in FILES} == {
        name: entry for name, entry in entries.items() if entry[2]
    }
    for algorithm, digest, address in entries.values():
        assert len(digest) == 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
        # A whole commit, so that the bytes behind the address cannot change.
        assert not address or re.search(r"^https://[^?]+/[0-9a-f]{40}/", address)


def test_the_registry_is_true_of_the_lists(shared_data: Path) -> None:
    checked = []
    sizes = {file["@id"]: file["contentSize"] for file in FILES}
    for name, (algorithm, digest, address) in registry().items():
        plain = shared_data / "ilsvrc" / name
        packed = plain.with_name(f"{name}.gz")
        if address:
            content = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
            assert hashlib.new(algorithm, content).hexdigest() == digest, name
            assert sizes[name] == f"{len(content)} B"
            checked.append(name)
    assert checked == [file["@id"] for file in FILES]
    assert len(checked) == 4


def test_the_photos_checksum_is_torchvisions() -> None:
    imagenet = pytest.importorskip("torchvision.datasets.imagenet", reason="it has the checksum")
    name, md5 = imagenet.ARCHIVE_META["val"]
    assert registry()[name] == ("md5", md5, "")


def test_the_paper_is_the_one_to_cite() -> None:
    citation = (FOLDER.parent / "CITATION.cff").read_text()
    (title,) = re.findall(r" title = \{(.+?)\}", METADATA["citeAs"])
    (number,) = re.findall(r"arXiv:[0-9.]+", METADATA["citeAs"])
    for text in (title, number):
        assert text in citation
        assert text in CARD
    for person in METADATA["creator"]:
        given, family = person["name"].split()
        assert f"family-names: {family}\n      given-names: {given}\n" in citation


def test_the_cards_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", CARD) if "://" not in link]
    assert len(links) >= 5
    assert [link for link in links if not (FOLDER / link).exists()] == []
