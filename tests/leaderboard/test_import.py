"""Importing the leaderboard loads nothing heavy, and its names are what they say."""

from __future__ import annotations

import subprocess
import sys

from tests.test_structure import HEAVY


def printed(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_the_leaderboard_loads_nothing_heavy() -> None:
    program = (
        f"import sys, wsolbench.leaderboard\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert printed(program) == "[]"


def test_a_function_keeps_its_name_beside_the_module_of_that_name() -> None:
    program = """
import wsolbench.leaderboard.build, wsolbench.leaderboard.add, wsolbench.leaderboard.verify
from wsolbench import leaderboard
print(all(callable(getattr(leaderboard, name)) for name in ("add", "build", "check", "verify")))
"""
    assert printed(program) == "True"
