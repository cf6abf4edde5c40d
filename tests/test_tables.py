"""Columns as files: the CSV has the bytes that pandas would write, and Parquet the same values."""

from __future__ import annotations

import ast
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.tables import grid, require_columns_target, write_columns

COLUMNS = {
    "image_id": ["a", "b,c", "d e", ""],
    "class_index": [0, -1, 999, 7],
    "iou": [0.1, 1 / 3, 1e-7, 1e16],
    "missing": [math.nan, None, 0.5, -0.0],
    "infinite": [math.inf, -math.inf, 1.0, 2.5],
    "box_right": [True, False, True, True],
    "top1": [True, None, False, None],
    "text, quoted": ['say "x"', None, "two\nlines", "plain"],
}


def test_a_csv_has_these_bytes(tmp_path: Path) -> None:
    write_columns(tmp_path / "t.csv", COLUMNS)
    assert (tmp_path / "t.csv").read_bytes().decode() == (
        'image_id,class_index,iou,missing,infinite,box_right,top1,"text, quoted"\n'
        'a,0,0.1,,inf,True,True,"say ""x"""\n'
        '"b,c",-1,0.3333333333333333,,-inf,False,,\n'
        'd e,999,1e-07,0.5,1.0,True,False,"two\nlines"\n'
        ",7,1e+16,-0.0,2.5,True,,plain\n"
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_csv_has_the_bytes_of_pandas(tmp_path: Path, seed: int) -> None:
    pandas = pytest.importorskip("pandas", reason="compares with it")
    rng = np.random.default_rng(seed)
    exponents = rng.integers(-20, 20, 50)
    columns = {
        "image_id": [f"im{index}" for index in range(50)],
        "class_index": rng.integers(-1, 1000, 50).tolist(),
        "iou": (rng.random(50) * 10.0**exponents).tolist(),
        "ap": np.where(rng.random(50) < 0.3, np.nan, rng.random(50)).tolist(),
        "box_right": (rng.random(50) < 0.5).tolist(),
    }
    for name, table in (("random", columns), ("drawn", COLUMNS), ("one", {"only": [None, "x"]})):
        write_columns(tmp_path / f"{name}.csv", table)
        frame = pandas.DataFrame(table)
        frame.to_csv(tmp_path / "pandas.csv", index=False, lineterminator="\n")
        assert (tmp_path / f"{name}.csv").read_bytes() == (tmp_path / "pandas.csv").read_bytes()


def test_no_cell_becomes_a_formula(tmp_path: Path) -> None:
    write_columns(tmp_path / "t.csv", {"image_id": ["=1+1", "-a", "a-b"], "iou": [-1.0, 0.0, 1.0]})
    text = (tmp_path / "t.csv").read_text()
    assert text == "image_id,iou\n'=1+1,-1.0\n'-a,0.0\na-b,1.0\n"


def test_parquet_holds_the_values_and_their_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="writes Parquet")
    write_columns(tmp_path / "t.parquet", COLUMNS)
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table.to_pydict() == {**COLUMNS, "missing": [None, None, 0.5, -0.0]}
    types = [str(table.schema.field(name).type) for name in ("class_index", "iou", "box_right")]
    assert types == ["int64", "double", "bool"]


def test_what_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, found in (("t.txt", "the ending .txt"), ("t", "the ending none")):
        with pytest.raises(WsolbenchError, match=rf"{found}, expected .csv or .parquet"):
            require_columns_target(tmp_path / name)
    require_columns_target(tmp_path / "T.CSV")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("wsolbench.tables.find_spec", lambda name: None)
    with pytest.raises(WsolbenchError, match=r"pip install 'wsolbench\[parquet\]'"):
        write_columns(tmp_path / "t.parquet", COLUMNS)
    with pytest.raises(WsolbenchError, match="no folder"):
        write_columns(tmp_path / "none" / "t.csv", COLUMNS)
    with pytest.raises(ValueError, match="shorter"):
        write_columns(tmp_path / "t.csv", {"a": [1, 2], "b": [1]})
    assert list(tmp_path.iterdir()) == []


def test_only_a_frame_needs_pandas() -> None:
    for file in (Path(__file__).parents[1] / "wsolbench").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            used = [name for name in names if name.split(".")[0] == "pandas"]
            assert not used or file.name == "result.py", file  # `Result.to_frame`


def test_no_row_of_a_latex_table_starts_an_argument() -> None:
    lines = grid([["[B] x", "1"], ["*C", "2"], ["D[e]*", "3"]], ["[A]", "n"], "latex").splitlines()
    rows = [line.split("&")[0].strip() for line in lines if "&" in line]
    assert rows == ["{[}A]", "{[}B] x", "{*}C", "D[e]*"]
    assert grid([["[B]", "1"]], ["A", "n"], "md").splitlines()[-1].startswith("| [B]")
