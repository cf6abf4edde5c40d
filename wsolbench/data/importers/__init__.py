"""Importers of published annotation formats: one module and one function per format.

An importer reads and checks files and returns a `formats.annotations.AnnotationSet`; it writes
nothing, `formats.annotations.write_store` does. All faults of one file, or of all masks together,
are raised as one `WsolbenchError`. The modules are loaded on first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ...errors import require_choice

if TYPE_CHECKING:
    from ...formats.annotations import AnnotationSet

__all__ = ["IMPORTERS", "importer"]

IMPORTERS = {
    "masks": ("mask_folder", "import_masks"),
    "ilsvrc": ("ilsvrc", "import_ilsvrc"),
    "coco": ("coco", "import_coco"),
    "boxes": ("boxes", "import_boxes"),
    "cub": ("cub", "import_cub"),
    "openimages": ("openimages", "import_openimages"),
    "imagenet-s": ("imagenet_s", "import_imagenet_s"),
    "pet": ("pet", "import_pet"),
    "voc": ("voc", "import_voc"),
}
"""(module, function) of each kind that `wsolbench import` accepts."""


def importer(kind: str) -> Callable[..., AnnotationSet]:
    """The import function of a kind.

    Raises:
        WsolbenchError: there is no such kind.

    Examples:
        >>> store = wsolbench.AnnotationStore.open("demo/mini.h5")
        >>> wsolbench.export_coco(store, "instances.json")
        >>> wsolbench.write_store("again.h5", wsolbench.importer("coco")("instances.json"))
        >>> wsolbench.AnnotationStore.open("again.h5").content_sha256 == store.content_sha256
        True
    """
    require_choice("import", kind, IMPORTERS)
    module, function = IMPORTERS[kind]
    found = getattr(importlib.import_module(f".{module}", __name__), function)
    return cast("Callable[..., AnnotationSet]", found)
