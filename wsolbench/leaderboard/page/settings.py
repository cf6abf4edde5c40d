"""What a leaderboard says of itself: its title, address and links, from an optional `page.json`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import WsolbenchError, some
from ...files import strict_json
from ...formats.untrusted.contents import read_bytes
from ..entries import text_faults
from ..schema import LINK, MAX_BYTES, PAPER, line, matching, record, schema_faults

__all__ = ["NAME", "Settings", "read_settings"]

NAME = "page.json"
"""The file's name in the leaderboard's folder."""

_PICTURE = matching(
    r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.(png|jpg)$", "the name of a .png or .jpg file", 80
)
_SCHEMA = record(
    {
        "title": line(),
        "description": line(300),
        "address": LINK,
        "image": _PICTURE,
        "repository": LINK,
        "install": line(200),
        "paper": PAPER,
        "links": {
            "type": "array",
            "items": record({"name": line(), "link": LINK}, ["name", "link"]),
        },
        "datasets": {
            "type": "array",
            "items": record({"name": line(64), "title": line()}, ["name", "title"]),
        },
    }
)


@dataclass(frozen=True)
class Settings:
    """What the page says of the leaderboard itself; empty texts are left out.

    Attributes:
        title: of the page.
        description: one or two sentences, below the title and where the page is linked.
        address: where the page is published, without a file name, ending in "/".
        image: file next to the page that shows the page where it is linked; needs `address`.
        repository: link to the leaderboard's source.
        install: command that installs the program.
        paper: title and link of the paper that the leaderboard belongs to.
        links: name and link of further pages.
        datasets: titles of data sets by name.
    """

    title: str = "wsolbench leaderboard"
    description: str = (
        "How well do the heat maps of a network trained only on class labels show where the "
        "object is?"
    )
    address: str = ""
    image: str = ""
    repository: str = ""
    install: str = ""
    paper: Mapping[str, str] = field(default_factory=dict)
    links: Sequence[Mapping[str, str]] = ()
    datasets: Mapping[str, str] = field(default_factory=dict)


def read_settings(root: str | os.PathLike[str]) -> Settings:
    """The settings in a leaderboard's folder; the default ones if it has no `page.json`.

    Raises:
        WsolbenchError: the file is too large, not JSON or invalid, or its image is missing.
    """
    path = Path(root, NAME)
    if not path.exists():
        return Settings()
    try:
        content = strict_json(read_bytes(path, "settings", MAX_BYTES, exit_status=1).decode())
    except ValueError as error:
        raise _malformed(path, f"not JSON ({error})") from error
    faults = schema_faults(content, _SCHEMA, "page")
    faults = faults or text_faults(content, "page") or _faults(content, Path(root))
    if faults:
        raise _malformed(path, some(faults))
    given = {own.name: content[own.name] for own in fields(Settings) if own.name in content}
    if "datasets" in given:
        given["datasets"] = {item["name"]: item["title"] for item in given["datasets"]}
    return Settings(**given)


def _faults(content: Mapping[str, Any], root: Path) -> list[str]:
    faults = []
    if not content.get("address", "/").endswith("/"):
        faults.append("page.address: it must end in /, without the name of a file")
    image = content.get("image")
    if image and not Path(root, image).is_file():
        faults.append(f"page.image: no file {image} next to the page")
    if image and "address" not in content:
        faults.append("page.image: it needs page.address, since a preview needs a full address")
    names = [item["name"] for item in content.get("datasets", ())]
    if len(names) > len(set(names)):
        faults.append("page.datasets: a data set has two titles")
    return faults


def _malformed(where: object, found: str) -> WsolbenchError:
    return WsolbenchError(
        where,
        found=f"invalid settings of the page: {found}",
        expected="the keys that docs/leaderboard.md lists",
        cure="correct the file, or delete it for a page with the usual title",
        exit_status=1,
    )
