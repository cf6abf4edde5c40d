"""Every public name has an example in its docstring, and the examples run."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import wsolbench
from tests.docs.conftest import LACKING
from tests.docs.pages import DOCS

NEEDS_THEM = re.compile(r"demo/(?:cam|sem|\{name\})-|\btorch\b|classifier")
"""What an example has that needs torch, or the maps of the demo, which need it."""


HOMES = {
    **wsolbench._HOMES,
    **{name: name for name in wsolbench._PACKAGES},
    "Protocol": "protocols.record",
    "WsolbenchError": "errors",
    "__version__": "",
}
"""The module that defines each public name."""


def docstring(name: str) -> str:
    """The docstring of a public name, of a value the string below it; nothing is imported."""
    path = Path(wsolbench.__file__).parent.joinpath(*HOMES[name].split("."))
    file = path.with_suffix(".py")
    source = file if file.is_file() else path / "__init__.py"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    if name in wsolbench._PACKAGES:
        return ast.get_docstring(tree) or ""
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node) or ""
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(part, ast.Name) and part.id == name for part in targets):
            value = after.value if isinstance(after, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                return inspect.cleandoc(value.value)
    return ""


@pytest.mark.parametrize("name", wsolbench.__all__)
def test_a_public_name_has_an_example_that_runs(name: str, beside_demo: Path) -> None:
    text = docstring(name)
    assert "Examples:\n" in text, f"wsolbench.{name} has no example"
    _, _, example = text.partition("Examples:\n")
    names = {"np": np, "wsolbench": wsolbench}
    test = doctest.DocTestParser().get_doctest(example, names, name, None, None)
    assert 1 <= len(test.examples) <= 7
    if LACKING and NEEDS_THEM.search(example):
        pytest.skip(f"not installed: {', '.join(LACKING)}")
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=told.append)
    assert runner.failures == 0, "".join(told)


def test_every_public_name_is_on_one_page() -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in (DOCS / "api").glob("*.md")}
    told = [
        name
        for text in pages.values()
        for name in re.findall(r"^::: wsolbench\.(\w+)$", text, re.M)
    ]
    assert sorted(told) == sorted(wsolbench.__all__)
    index = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    for path, text in pages.items():
        (row,) = re.findall(rf"^\| \[.*\]\({path.name}\) \| (.*) \|$", index, re.M) or [""]
        assert re.findall(r"`(\w+)`", row) == re.findall(r"^::: wsolbench\.(\w+)$", text, re.M)
