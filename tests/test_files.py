"""Paths of outputs; writing itself is tested where files are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.files import path_per_name, require_json_target


def test_several_outputs_have_their_names_in_the_path() -> None:
    out = Path("folder", "r.v1.json")
    assert path_per_name(out, ["sem"]) == [out]
    assert path_per_name(out, ["sem", "ivr:30"]) == [
        Path("folder", "r.v1.sem.json"),
        Path("folder", "r.v1.ivr-30.json"),
    ]


def test_json_replaces_json_alone(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    for content in (None, b"", b'{"format": 1}', b"[]"):
        if content is not None:
            target.write_bytes(content)
        assert require_json_target(target) == target
    target.write_bytes(b"\x89HDF")
    with pytest.raises(WsolbenchError, match=r"a file of another kind.*nothing was written"):
        require_json_target(target)
    assert target.read_bytes() == b"\x89HDF"
