"""Foreign annotations made into `store.AnnotationSet`: one module a kind, one function each.

An importer reads and checks, and writes nothing; `store.write_store` makes the annotation file. All
faults of one file, or of all masks together, come as one `WsolbenchError`. Modules are loaded when
a kind is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ...errors import WsolbenchError

if TYPE_CHECKING:
    from ...formats.annotations import AnnotationSet

__all__ = ["IMPORTERS", "importer"]

IMPORTERS = {
    "masks": ("mask_folder", "import_masks"),
    "ilsvrc": ("ilsvrc", "import_ilsvrc"),
    "coco": ("coco", "import_coco"),
    "cub": ("cub", "import_cub"),
    "openimages": ("openimages", "import_openimages"),
    "imagenet-s": ("imagenet_s", "import_imagenet_s"),
}
"""(module, function) by the kind that `wsolbench import` takes."""


def importer(kind: str) -> Callable[..., AnnotationSet]:
    """The import function of a kind.

    Raises:
        WsolbenchError: no such kind.
    """
    if kind not in IMPORTERS:
        raise WsolbenchError(
            "import", found=f"kind {kind!r}", expected=" or ".join(IMPORTERS), cure="name one"
        )
    module, function = IMPORTERS[kind]
    found = getattr(importlib.import_module(f".{module}", __name__), function)
    return cast("Callable[..., AnnotationSet]", found)
