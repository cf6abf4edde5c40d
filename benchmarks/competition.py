"""Time and memory of CodaBench's scoring program, run by its own command in a clean environment.

    python -m benchmarks.competition [--images 21120] [--built]

Smooth 40x40 maps on masks at sizes of real photos. Nothing is compiled beforehand, as in a fresh
container, unless the loops that were built here are given to it (--built). Memory is the peak of
the largest process; the machine's other work counts in the time.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from wsolbench.competitions.codabench import write_codabench, write_reference
from wsolbench.competitions.rules import rules_for
from wsolbench.metrics import compiled

from .common import draw, frequent_sizes, machine


def unpack(root: Path, images: int) -> Path:
    """A folder as a worker of CodaBench has it at /app."""
    app = root / "app"
    store, maps = draw(root, frequent_sizes(np.random.default_rng(0), images))
    write_codabench(root / "program.zip", rules_for(store, "val"))
    write_reference(root / "reference.zip", store)
    for archive, place in (("program", "program"), ("reference", "input/ref")):
        with zipfile.ZipFile(root / f"{archive}.zip") as opened:
            opened.extractall(app / place)
    (app / "input/res").mkdir()
    (app / "output").mkdir()
    maps.rename(app / "input/res/maps.h5")
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a scoring program.")
    parser.add_argument("--images", type=int, default=21120)
    parser.add_argument("--built", action="store_true", help="with the loops that were built here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        app = unpack(Path(name), options.images)
        if options.built:
            for file in Path(compiled.__file__).parent.glob("_compiled.*"):
                shutil.copy(file, app / "program/wsolbench/metrics")
        stated = (app / "program/metadata.yaml").read_text().removeprefix("command: ")
        command = shlex.split(stated.replace("/app/", f"{app}/"))
        path = f"PATH={os.path.dirname(sys.executable)}:/usr/bin:/bin"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        subprocess.run(["/usr/bin/env", "-i", path, *command], cwd=app / "program", check=True)
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"\n{machine('numpy', 'numba')}")
    print(
        f"{options.images} images: {seconds:.0f} s, {spent:.0f} s of processor time, "
        f"{after.ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
