"""Errors are one line of four parts, and pass between processes."""

from __future__ import annotations

import pickle

from wsolbench.errors import WsolbenchError, some


def test_one_line_of_four_parts() -> None:
    error = WsolbenchError("a.h5", found="two\nlines", expected="one", cure="mend it")
    assert str(error) == "a.h5: found two lines, expected one; mend it"
    assert error.exit_status == 2


def test_the_problem_stands_alone_if_nothing_is_expected() -> None:
    error = WsolbenchError("val", found="no folder of photos", cure="open it with images=DIR")
    assert str(error) == "val: no folder of photos; open it with images=DIR"


def test_an_error_survives_pickling() -> None:
    error = WsolbenchError("a.h5", found="x", cure="y", exit_status=1)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.exit_status, again.cure) == (str(error), 1, "y")


def test_a_long_list_is_cut() -> None:
    assert some([1, 2, 3]) == "1, 2, 3"
    assert some(range(10)) == "0, 1, 2 and 7 more"


def test_a_strangers_text_stays_on_its_line_and_in_its_direction() -> None:
    error = WsolbenchError("a\u202eb", found="\x1b[31mred\r" + "x" * 9999, cure="mend")
    assert str(error).startswith(r"a\u202eb: \x1b[31mred x")
    assert len(str(error)) < 700
    assert str(error).isprintable()
