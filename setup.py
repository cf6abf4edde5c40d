"""Compiles the loops of `wsolbench.metrics` into an extension, and names a release's repository.

All else stands in setup.cfg. Where the loops cannot be compiled, for want of a compiler of C and
C++ or of numba's own for this purpose, the installation says so, and numba compiles them when they
are first called (`wsolbench.metrics.compiled`).

Where `WSOLBENCH_REPOSITORY` holds the address of the repository, as in the release workflow, the
metadata names it, and links of the README lead there: a package index shows that page alone.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command import build_ext as commands
from setuptools.command.build_py import build_py

FAILED = "the loops are left to numba, which compiles them when they are first called"


def extension() -> Any:
    """The extension, from the functions that are marked as kernels."""
    os.environ["WSOLBENCH_KERNELS"] = "numba"
    import numba.pycc.compiler as pycc
    from numba.pycc import CC

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

    # This compiler has no option that releases the interpreter's lock.
    plain = pycc.Flags

    def unlocked() -> Any:
        flags = plain()
        flags.release_gil = True
        return flags

    pycc.Flags = unlocked
    folder = Path(compiled.__file__).parent
    depends = [str(folder / f"{name}.py") for name in compiled.SOURCES]
    return module.distutils_extension(depends=depends, optional=True)


def extensions() -> list[Any]:
    """The extension, or nothing where it cannot be prepared."""
    try:
        return [extension()]
    except Exception as error:  # noqa: BLE001 - numba and its toolchain raise whatever they like
        print(f"{FAILED}: {error}", file=sys.stderr)
        return []


def published(address: str, readme: str, version: str) -> dict[str, Any]:
    """What the metadata of a release adds: its addresses, and the README with absolute links.

    Args:
        address: of the repository, without a slash at its end.
        readme: its text.
        version: of the release, whose tag is `v` and the version.
    """

    def absolute(match: re.Match[str]) -> str:
        path = match[1]
        if path.startswith("../../"):
            return f"]({address}/{path.removeprefix('../../')})"
        kind = "raw" if path.endswith(".png") else "blob"
        return f"]({address}/{kind}/v{version}/{path})"

    return {
        "url": address,
        "long_description": re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", absolute, readme),
        "project_urls": {
            "Documentation": f"{address}/tree/v{version}/docs",
            "Changelog": f"{address}/blob/v{version}/CHANGELOG.md",
            "Issues": f"{address}/issues",
        },
    }


def release() -> dict[str, Any]:
    """`published` of this folder, or nothing where no address is set."""
    address = os.environ.get("WSOLBENCH_REPOSITORY", "").rstrip("/")
    if not address:
        return {}
    root = Path(__file__).parent
    source = (root / "wsolbench" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)
    return published(address, (root / "README.md").read_text(encoding="utf-8"), version)


class BuildModules(build_py):  # type: ignore[misc]  # setuptools has no types here
    """Copies the modules, and none that an earlier build of this folder has left behind."""

    def run(self) -> None:
        """Remove those of before, and copy."""
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "wsolbench", ignore_errors=True)
        super().run()


def main() -> None:
    """Build, with a folder of its own for what numba keeps: calls need it compiled otherwise."""
    with tempfile.TemporaryDirectory() as kept:
        os.environ["NUMBA_CACHE_DIR"] = kept
        found = extensions()

        class BuildExtension(commands.build_ext):  # type: ignore[misc]  # numba has put its own there
            """Builds the extension, whose failure is no failure of the installation."""

            def build_extension(self, ext: Any) -> None:
                """Build, or say why not."""
                try:
                    super().build_extension(ext)
                except Exception as error:  # noqa: BLE001 - as above
                    self.warn(f"{FAILED}: {error}")

        setup(
            ext_modules=found,
            cmdclass={"build_ext": BuildExtension, "build_py": BuildModules},
            **release(),
        )


if __name__ == "__main__":
    main()
