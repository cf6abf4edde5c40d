"""Tables of results with chosen columns, order, direction, bold cells and width."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import annotation
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.layout import ABOUT, Layout, best_places
from wsolbench.formats.report import table
from wsolbench.formats.result import Result
from wsolbench.scores import SCORES
from wsolbench.tables import FORMATS, grid

KEYS = ("peak_iou", "peak_threshold", "gt_known_loc")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """CAM, SEM & co. and [B]_ON, with Peak-IoU of 50, 70 and 60 %."""
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    path = tmp_path_factory.mktemp("layout") / "a.h5"
    write_store(path, AnnotationSet("toy", [annotation("i", mask)]))
    evaluator = Evaluator(Dataset.open(path, "val"), metrics=["pixel", "box"])
    evaluator.update(["i"], [mask.astype("uint8") * 255])
    found = []
    for name, peak in (("CAM", 0.5), ("SEM & co.", 0.7), ("[B]_ON", 0.6)):
        made = evaluator.result()
        scores = {**made.scores, "peak_iou": peak}
        found.append(replace(made, method={"name": name}, scores=scores))
    return found


def cells(text: str) -> list[list[str]]:
    """The cells of a Markdown table without its rule."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [rows[0], *rows[2:]]


def test_columns_are_those_named_in_that_order(results: list[Result]) -> None:
    head, *rows = cells(table(results, "md", Layout(["images", *KEYS])))
    assert head == ["Method", "Images", "Peak-IoU", "Peak-T", "GT-known"]
    assert rows[0] == ["CAM", "1", "50.00", "1", "100.00"]
    full = cells(table(results, "md"))
    assert full[0][1:5] == list(ABOUT.values())
    assert [[row[full[0].index(title)] for title in head] for row in full[1:]] == rows
    csv = table(results, "csv", Layout(["gt_known_loc"])).splitlines()
    assert csv[0] == "method,dataset,split,images,limit,threshold,gt_known_loc"
    alone = table(results[:1], layout=Layout(["peak_threshold"]))
    assert alone.split() == ["Peak-T", "1"]
    with pytest.raises(
        WsolbenchError, match=r"columns: found peak-iou, .*; did you mean peak_iou\?"
    ):
        table(results, "md", Layout(["peak-iou"]))


@pytest.mark.parametrize("form", FORMATS)
def test_without_a_layout_nothing_changes(results: list[Result], form: str) -> None:
    keys = [*ABOUT, *(key for key in SCORES if key in results[0].scores)]
    assert table(results, form) == table(results, form, Layout(keys))


def test_the_best_comes_first(results: list[Result]) -> None:
    layout = Layout(["peak_iou"], "peak_iou")
    assert [row[0] for row in cells(table(results, "md", layout))[1:]] == [
        *("SEM &amp; co.", "\\[B\\]\\_ON", "CAM"),
    ]
    names = [row[0] for row in cells(table(results, "md", Layout(["peak_iou"], "method")))[1:]]
    assert names == ["\\[B\\]\\_ON", "CAM", "SEM &amp; co."]
    lines = table(results, "csv", Layout((), "peak_iou")).splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["SEM & co.", "[B]_ON", "CAM"]
    bare = replace(results[0], scores={"gt_known_loc": 1.0})
    assert Layout(sort="peak_iou").order(
        [bare, *results], lambda own: own.scores, lambda own: own.name
    ) == [results[1], results[2], results[0], bare]
    with pytest.raises(WsolbenchError, match=r"sort: found 'peek_iou'.*did you mean peak_iou\?"):
        table(results, "md", Layout(sort="peek_iou"))


@pytest.mark.parametrize("form", ["text", "md", "latex"])
def test_a_transposed_table_has_the_same_cells(results: list[Result], form: str) -> None:
    if form == "latex":
        shown = [
            [
                [cell.strip().replace("{[}", "[") for cell in line.removesuffix("\\\\").split("&")]
                for line in table(results[::2], form, Layout(KEYS, transposed=turned)).splitlines()
                if "&" in line
            ]
            for turned in (False, True)
        ]
    elif form == "md":
        shown = [
            cells(table(results, form, Layout(KEYS, transposed=turned))) for turned in (False, True)
        ]
    else:
        lines = [
            table(results[:1] * 2, form, Layout(KEYS, transposed=turned)).splitlines()
            for turned in (False, True)
        ]
        shown = [[line.split() for line in [own[0], *own[2:]]] for own in lines]
    assert shown[0] == [list(row) for row in zip(*shown[1], strict=True)]


def test_the_best_value_is_bold(results: list[Result]) -> None:
    for turned in (False, True):
        layout = Layout(KEYS, transposed=turned, bold=True)
        text = table(results, "md", layout)
        assert text.count("**") == 2 * (1 + 3)  # one Peak-IoU, three equal GT-known, no threshold
        assert "**70.00**" in text
        plain = table(results, "md", replace(layout, bold=False))
        assert cells(text.replace("**", "")) == cells(plain)
        latex = table(results, "latex", layout)
        assert latex.count(r"\textbf{") == 4
        assert r" \textbf{70.00} " in latex
        plain = latex.replace(r"\textbf{", "").replace("}", "")
        assert plain == table(results, "latex", replace(layout, bold=False)).replace("}", "")
        assert table(results, "text", layout).count("\x1b[1m") == 4
    assert best_places("peak_iou", [0.70001, None, 0.7, 0.2]) == [0, 2]
    assert best_places("peak_threshold", [1, 2]) == best_places("peak_iou", [0.5, None]) == []


@pytest.mark.parametrize("width", [20, 40, 60, 100])
@pytest.mark.parametrize("kept", [1, 2])
def test_a_wide_table_is_cut_between_columns(width: int, kept: int) -> None:
    head = ["name", "second", *(f"score {place}" for place in range(9))]
    rows = [[f"{row}{column}" * (1 + column % 3) for column in range(11)] for row in range(4)]
    whole = grid(rows, head, "text", "lr")
    assert grid(rows, head, "text", "lr", width=len(whole.splitlines()[0])) == whole
    parts = grid(rows, head, "text", "lr", width=width, kept=kept).split("\n\n")
    titles = []
    for part in parts:
        lines = part.splitlines()
        fits = max(map(len, lines)) <= width
        assert fits or len(lines[1].split()) == kept + 1
        assert len(lines) == 2 + len(rows)
        starts = [row[:kept] for row in rows]
        assert [line.split()[:kept] for line in lines[2:]] == starts
        titles += [word for word in lines[0].split() if word.isdigit()]
        assert [line.split()[kept:] for line in lines[2:]] == [
            row[kept:][place : place + len(lines[1].split()) - kept]
            for row in rows
            for place in [_shown(parts, part, kept)]
        ]
    assert titles == [str(place) for place in range(9)]
    assert grid(rows, head, "md", width=20) == grid(rows, head, "md")


def _shown(parts: list[str], part: str, kept: int) -> int:
    """The number of columns, but those kept, in the parts before this one."""
    before = parts[: parts.index(part)]
    return sum(len(own.splitlines()[1].split()) - kept for own in before)


def test_latex_of_chosen_columns_fits_a_column_and_compiles(
    results: list[Result], tmp_path: Path
) -> None:
    compiler = shutil.which("pdflatex") or shutil.which("tectonic")
    if compiler is None:
        pytest.skip("no pdflatex and no tectonic to compile with")
    tables = [table(results, "latex", Layout(KEYS, transposed=own, bold=True)) for own in (0, 1)]
    boxes = "\n".join(
        f"\\setbox0\\hbox{{{own}}}\\ifdim\\wd0>\\columnwidth\\errmessage{{too wide}}\\fi\\box0"
        for own in tables
    )
    page = (
        "\\documentclass[twocolumn]{article}\n\\usepackage[utf8]{inputenc}\n"
        f"\\usepackage{{booktabs}}\n\\begin{{document}}\n{boxes}\n\\end{{document}}\n"
    )
    (tmp_path / "t.tex").write_text(page, encoding="utf-8")
    stop = [] if compiler.endswith("tectonic") else ["-halt-on-error"]
    subprocess.run([compiler, *stop, "t.tex"], cwd=tmp_path, check=True, timeout=120)


def test_latex_of_chosen_columns_is_short_where_no_tex_is(results: list[Result]) -> None:
    text = table(results, "latex", Layout(KEYS, bold=True))
    assert "SEM \\& co." in text
    assert "{[}B]\\_ON" in text
    rows = [" ".join(line.split()) for line in text.splitlines() if "&" in line]
    assert max(map(len, rows)) <= 60
