"""Run docs/notebook.ipynb in an empty folder and store what its cells show.

python docs/make_notebook.py
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

NOTEBOOK = Path(__file__).parent / "notebook.ipynb"
Cell = dict[str, Any]


def run_cell(source: str, names: dict[str, Any]) -> tuple[str, object]:
    """Run one cell: what it prints, and the value of its last line if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, str(NOTEBOOK), "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)
    return printed.getvalue(), value


def outputs(printed: str, value: object) -> list[Cell]:
    """What a cell shows, as notebooks store it; pictures with 32 colours."""
    shown: list[Cell] = []
    if printed:
        shown.append({"name": "stdout", "output_type": "stream", "text": lines(printed)})
    if value is not None:
        data: Cell = {"text/plain": lines(repr(value))}
        if hasattr(value, "savefig"):
            data = {"image/png": png(value), "text/plain": ["Figure"]}
        shown.append(
            {"data": data, "execution_count": None, "metadata": {}, "output_type": "execute_result"}
        )
    return shown


def png(figure: Any) -> str:
    """A figure as a small PNG in base64."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    Image.open(drawn).convert("RGB").quantize(32).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode("ascii")


def lines(text: str) -> list[str]:
    """A text as notebooks store it: lines with their ends."""
    return text.splitlines(keepends=True)


def main() -> None:
    """Run the notebook and write it again."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = outputs(*run_cell("".join(cell["source"]), names))
                cell["execution_count"] = None
        os.chdir(here)
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False)
    NOTEBOOK.write_text(f"{text}\n", encoding="utf-8")
    print(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size} bytes")


if __name__ == "__main__":
    main()
