"""The archive of a scoring program: a small script, the rules, and the sources of this package.

The sources travel with the program, so that a competition is scored by the version that it was made
with, whatever the machine has installed. What they need from elsewhere stands in the archive's
`requirements.txt`. The same package, rules and files give the same bytes: members are sorted,
stored without compression, and have one date.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from ..errors import WsolbenchError
from ..files import replacing
from ..protocols import as_protocol
from .rules import RULES, Rules

__all__ = ["requirements", "sources", "write_bundle", "write_zip"]

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
_REGULAR = 0o100644 << 16


def write_bundle(path: str | os.PathLike[str], rules: Rules, scripts: Mapping[str, str]) -> None:
    """Write the archive of a scoring program, whole or not at all.

    Args:
        path: the .zip file.
        rules: of the competition.
        scripts: text of the platform's own files, by name.
    """
    members = {name: text.encode() for name, text in scripts.items()}
    members[RULES] = rules.to_json().encode()
    members["requirements.txt"] = "".join(f"{own}\n" for own in requirements(rules)).encode()
    members |= sources()
    write_zip(path, members)


def write_zip(path: str | os.PathLike[str], members: Mapping[str, bytes]) -> None:
    """Write an archive; the same members give the same bytes."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name, _DATE)
            member.external_attr = _REGULAR
            member.create_system = 3  # Unix, on whatever system it is made
            archive.writestr(member, members[name])
    with replacing(path) as temporary:
        temporary.write_bytes(whole.getbuffer())


def sources() -> dict[str, bytes]:
    """The modules of this package, by their path in the archive."""
    package = Path(__file__).resolve().parents[1]
    return {
        f"{package.name}/{file.relative_to(package).as_posix()}": file.read_bytes()
        for file in package.rglob("*.py")
    }


def requirements(rules: Rules) -> list[str]:
    """The packages that scoring by these rules needs, as pip takes them.

    Raises:
        WsolbenchError: wsolbench is not installed, so that nothing tells them.
    """
    try:
        stated = requires("wsolbench") or []
    except PackageNotFoundError as error:
        raise WsolbenchError(
            "bundle",
            found="wsolbench runs from its sources alone",
            expected="an installed package, which states what it needs",
            cure="pip install it, e.g. from its folder: pip install -e .",
        ) from error
    plain = [text for text in stated if ";" not in text]
    if as_protocol(rules.protocol).needs_opencv:
        plain += [text.partition(";")[0].strip() for text in stated if '"opencv"' in text]
    return sorted(plain)
