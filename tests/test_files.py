"""Paths of outputs; writing itself is tested where files are written."""

from __future__ import annotations

from pathlib import Path

from wsolbench.files import path_per_name


def test_several_outputs_have_their_names_in_the_path() -> None:
    out = Path("folder", "r.v1.json")
    assert path_per_name(out, ["sem"]) == [out]
    assert path_per_name(out, ["sem", "ivr:30"]) == [
        Path("folder", "r.v1.sem.json"),
        Path("folder", "r.v1.ivr-30.json"),
    ]
