"""Print every lower bound of setup.cfg as `name==bound`, for `make test-lowest`.

With `--newest` as `name>=bound`, for `.ci/wheel`. On standard error: what is left out, and why.
"""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / "setup.cfg"

LEFT_OUT = {
    "torch": "several GB a version",
    "torchvision": "it needs torch",
    "grad-cam": "it needs torch",
    "timm": "it needs torch",
    "torchcam": "it needs torch",
    "torchmetrics": "it needs torch",
    "pytorch-lightning": "it needs torch",
    "tensorboard": "torch writes its files",
    "wandb": "its recipe needs torch",
    "huggingface-hub": "it reads a format that its newest releases define",
    "mkdocs-material": "the site is built with the newest releases, which need Python 3.11",
    "mkdocstrings": "the site is built with the newest releases, which need Python 3.11",
    "mkdocstrings-python": "the site is built with the newest releases, which need Python 3.11",
    "mlcroissant": "it bounds nothing that it needs, and pip finds no set that goes together",
    "axe-playwright-python": "the page is tested in a browser with the newest releases",
    "playwright": "the page is tested in a browser with the newest releases",
    "mypy": "no test runs it",
    "ruff": "no test runs it",
    "types-tabulate": "no test runs it",
}
"""Packages whose lower bounds are not tested, with the reason."""


def bounds(setup: Path = SETUP) -> dict[str, str]:
    """The lower bound, with its marker, of each requirement by name; the tests' tools last.

    Raises:
        ValueError: a requirement is not `name>=bound`.
    """
    config = ConfigParser()
    config.read(setup, encoding="utf-8")
    lines = [
        *config["options"]["install_requires"].splitlines(),
        *config["options.extras_require"]["test"].splitlines(),
    ]
    found = {}
    for line in filter(None, map(str.strip, lines)):
        match = re.fullmatch(r"([\w-]+)>=([\d.]+)(; .*)?", line)
        if match is None:
            raise ValueError(f"{setup.name}: found {line!r}, expected name>=bound")
        found[match[1]] = match[2] + (match[3] or "")
    return found


if __name__ == "__main__":
    sign = ">=" if "--newest" in sys.argv else "=="
    for name, bound in bounds().items():
        if name in LEFT_OUT:
            print(f"{name}>={bound} is not tested: {LEFT_OUT[name]}", file=sys.stderr)
        else:
            print(f"{name}{sign}{bound}")
