"""The parsers behind the door, each as a function of the bytes of a file, with sound examples.

A parser must return, or raise what it documents: `ValueError` or `WsolbenchError`. Used by
`test_parsers.py` and, guided by coverage, by `benchmarks/guided.py`. HDF5 is not among them: its
library hangs and crashes on damage, which is left to the reader process.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from wsolbench.data.importers.coco import import_coco
from wsolbench.data.importers.ilsvrc_lists import is_kaggle, read_box_list, read_kaggle
from wsolbench.errors import WsolbenchError
from wsolbench.files import strict_json
from wsolbench.formats.untrusted.arrays import array_of_bytes, read_arrays
from wsolbench.formats.untrusted.byte_file import ByteFile
from wsolbench.formats.untrusted.tar_files import TarLimits, tar_files
from wsolbench.formats.untrusted.torch_files import check_stream
from wsolbench.formats.untrusted.xml_text import tree_of
from wsolbench.formats.untrusted.zip_files import ZipLimits, read_members
from wsolbench.masks import RunLengths, decode, encode

__all__ = ["PARSERS", "Parser", "parse"]

_LIMITS = ZipLimits(members=20, total=1 << 20)


@dataclass(frozen=True)
class Parser:
    """A parser.

    Attributes:
        read: takes the bytes of a file.
        sound: gives bytes that it accepts.
    """

    read: Callable[[bytes], object]
    sound: Callable[[], list[bytes]]


def parse(name: str, data: bytes) -> bool:
    """Let a parser read; whether it took the bytes.

    Raises:
        Exception: one that it does not document.
    """
    try:
        PARSERS[name].read(data)
    except (ValueError, WsolbenchError):
        return False
    return True


def _npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def _arrays() -> list[bytes]:
    kinds = ("<f4", ">i2", "|b1", "<U3", "|S2")
    return [_npy(np.zeros((2, 3), kind)) for kind in kinds] + [_npy(np.asfortranarray(np.eye(3)))]


def _npz() -> list[bytes]:
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, a=np.eye(2), b=np.arange(3))
    np.savez_compressed(packed, a=np.zeros(99))
    return [plain.getvalue(), packed.getvalue()]


def _zip() -> list[bytes]:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "a" * 50)
        archive.writestr("b/c.txt", b"")
    return [made.getvalue(), *_npz()]


def _tar() -> list[bytes]:
    found = []
    for form, mode in ((tarfile.PAX_FORMAT, "w"), (tarfile.GNU_FORMAT, "w:gz")):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode=mode, format=form) as archive:  # type: ignore[call-overload]
            for name in ("a.xml", "l" * 120 + ".xml"):
                member = tarfile.TarInfo(name)
                member.size = 4
                archive.addfile(member, io.BytesIO(b"<a/>"))
        found.append(made.getvalue())
    return found


def _read_tar(data: bytes) -> object:
    with _file(data) as path, ByteFile(path, "an archive") as file:
        return list(tar_files(file, TarLimits(members=20, each=1 << 12, total=1 << 16), ".xml"))


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    """The bytes as a file, while it is needed."""
    with tempfile.NamedTemporaryFile(suffix=".x") as held:
        held.write(data)
        held.flush()
        yield Path(held.name)


def _torch() -> list[bytes]:
    if find_spec("torch") is None:
        return []
    import torch

    found = []
    for new in (True, False):
        made = io.BytesIO()
        state = {"a": torch.zeros(3), "b": [torch.ones(2, dtype=torch.int64)], "c": "text"}
        torch.save(state, made, _use_new_zipfile_serialization=new)
        found.append(made.getvalue())
    return found


def _xml() -> list[bytes]:
    box = b"<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    one = b"<annotation><object><name>n01</name>" + box + b"</object></annotation>"
    return [one, b'<?xml version="1.0" encoding="latin-1"?><a b="\xe4"/>', "<ä/>".encode()]


def _json() -> list[bytes]:
    return [b'{"a": [1, -2.5e3, null, true, "\\u20ac"], "b": {}}', b"[]", b"12345678901234567890"]


def _runs() -> list[bytes]:
    found = []
    for height, width in ((5, 6), (200, 3), (1, 1)):
        mask = np.random.default_rng(height).random((height, width)) < 0.5
        found.append(bytes([height, width]) + encode(mask).counts)
    return found


def _read_runs(data: bytes) -> object:
    if len(data) < 2:
        raise ValueError("no size")
    height, width, counts = data[0], data[1], data[2:]
    mask = decode(RunLengths(height, width, counts))
    with warnings.catch_warnings():  # pycocotools 2.0.11 uses an idiom that NumPy 2 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        usual = coco.decode({"size": [height, width], "counts": counts})
    if not np.array_equal(mask, usual):
        raise AssertionError("another mask than COCO's program decodes")
    return mask


def _coco() -> list[bytes]:
    image = {"id": 1, "file_name": "a.jpg", "height": 9, "width": 8}
    own = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0}
    found = []
    counts = encode(np.eye(9, 8, dtype=bool)).counts.decode()
    for mask in ([[1, 1, 5, 1, 5, 5, 1, 5]], {"size": [9, 8], "counts": counts}):
        annotations = [{**own, "segmentation": mask}]
        categories = [{"id": 3, "name": "c"}]
        whole = {"images": [image], "annotations": annotations, "categories": categories}
        found.append(json.dumps(whole).encode())
    return found


def _read_coco(data: bytes) -> object:
    with _file(data) as path:
        return import_coco(path, dataset="toys", split="val", allow_missing_masks=True)


def _boxes() -> list[bytes]:
    kaggle = b"ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 30 40 \n"
    return [b"val/a.JPEG,1,2,3,4\nval/b.JPEG,1,2,3,4\n", b"a.JPEG 5 6 7 8\r\n", kaggle]


def _read_boxes(data: bytes) -> object:
    with _file(data) as path:
        return read_kaggle(path) if is_kaggle(path) else read_box_list(path)


PARSERS = {
    "arrays": Parser(array_of_bytes, _arrays),
    "npz": Parser(lambda data: read_arrays(data, _LIMITS), _npz),
    "zip": Parser(lambda data: read_members(data, _LIMITS), _zip),
    "tar": Parser(_read_tar, _tar),
    "torch": Parser(lambda data: check_stream(io.BufferedReader(io.BytesIO(data))), _torch),
    "xml": Parser(tree_of, _xml),
    "json": Parser(strict_json, _json),
    "runs": Parser(_read_runs, _runs),
    "coco": Parser(_read_coco, _coco),
    "boxes": Parser(_read_boxes, _boxes),
}
