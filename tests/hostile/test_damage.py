"""Damaged files of every kind end in one line, or give what the sound file gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.hostile.damage import mutate
from tests.hostile.targets import TARGETS, Outcome, run_case, run_sound

CASES = 20
"""Seeds for each kind of file; benchmarks/fuzz.py runs as many as one likes."""


@pytest.mark.parametrize("name", TARGETS)
def test_damage(trained: Path, tmp_path: Path, name: str) -> None:
    target, work = TARGETS[name], tmp_path / "box" / "work"
    work.parent.mkdir()
    expected = run_sound(target, trained, work)
    faults = [
        fault
        for seed in range(CASES)
        for fault in run_case(target, seed, trained, work, expected).faults
    ]
    assert faults == []


def test_damage_is_damage_and_repeats_itself() -> None:
    data = np.random.default_rng(0).bytes(3000)
    made = [mutate(data, seed, [bytes(500)]) for seed in range(200)]
    assert made == [mutate(data, seed, [bytes(500)]) for seed in range(200)]
    assert data not in made
    assert len(set(made)) > 190
    sizes = {len(one) for one in made}
    assert min(sizes) < 1000
    assert max(sizes) > 3300
    assert mutate(b"a", 3) != b"a"


def test_a_silent_change_and_a_traceback_are_noticed(sound: Path, tmp_path: Path) -> None:
    """The judge itself: a target that claims to notice all, and a command that cannot."""
    claims = replace(
        TARGETS["csv"], damaged=("names.csv",), needs=("masks", "table.csv"), covered=True
    )
    work = tmp_path / "box" / "work"
    work.parent.mkdir()
    expected = run_sound(claims, sound, work)
    found = [run_case(claims, seed, sound, work, expected) for seed in range(CASES)]
    assert any("silent change" in fault for case in found for fault in case.faults)
    assert {end for case in found for end in case.ends} >= {"refused", "changed"}
    lines = "wsolbench: unexpected KeyError ('a'); show where with --debug, and report it\n"
    assert "unforeseen" in Outcome(2, "", lines).fault()
    assert "exception: KeyError" in Outcome(None, "", "Traceback\nKeyError: 'a'").fault()
    assert "2 lines" in Outcome(2, "", "wsolbench: a\nwsolbench: b\n").fault()
    assert "written" in Outcome(2, "", "wsolbench: a\n", {"out.h5": b""}).fault()
    assert "left" in Outcome(0, "", "", {".out.h5.7.tmp": b""}).fault()
    assert Outcome(1, "", "wsolbench: a\n").fault() == ""
