"""Compiles the loops of `wsolbench.metrics` into an extension; all else stands in setup.cfg.

Where this cannot be done, numba compiles them when they are first called
(`wsolbench.metrics.compiled`).
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from setuptools import setup


def extensions() -> list[Any]:
    """The extension, from the functions that are marked as kernels, where numba can build one."""
    try:
        import numba.pycc.compiler as pycc
        from numba.pycc import CC
    except ImportError as error:
        print(f"loops are left to numba when they are called: {error}", file=sys.stderr)
        return []

    # What is compiled for the extension and for calls is not the same: keep them apart.
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()
    os.environ["WSOLBENCH_KERNELS"] = "numba"
    sys.path.insert(0, str(Path(__file__).parent))
    from wsolbench.metrics import compiled

    for name in compiled.SOURCES:
        importlib.import_module(f"wsolbench.metrics.{name}")
    module = CC("_compiled", source_module=compiled)
    for name, loop, signatures in compiled.KERNELS:
        for place, signature in enumerate(signatures):
            module.export(f"{name}_{place}", signature)(loop.py_func)
    total = compiled.sources()
    module.export("sources", "i8()")(lambda: total)

    plain = pycc.Flags

    def unlocked() -> Any:
        flags = plain()
        flags.release_gil = True
        return flags

    pycc.Flags = unlocked
    folder = Path(compiled.__file__).parent
    depends = [str(folder / f"{name}.py") for name in compiled.SOURCES]
    return [module.distutils_extension(depends=depends, optional=True)]


setup(ext_modules=extensions())
