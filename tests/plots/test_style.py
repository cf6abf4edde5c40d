"""Files have the same bytes each time, and no style leaks out of a figure."""

from __future__ import annotations

import importlib
import subprocess
import sys
from inspect import signature
from pathlib import Path

import matplotlib
import pytest
from click.testing import CliRunner
from matplotlib.axes import Axes

from wsolbench import plots
from wsolbench.cli import cli
from wsolbench.errors import WsolbenchError
from wsolbench.formats.result import Result
from wsolbench.plots import style
from wsolbench.plots.seed_curves import save_seed_count_curves
from wsolbench.scores import Score, Unit
from wsolbench.study.metric_picture import save_metric_study


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_picture_has_the_same_bytes(
    results: list[Result], tmp_path: Path, suffix: str
) -> None:
    before = dict(matplotlib.rcParams)
    for name in ("a", "b"):
        plots.save_curves(results, tmp_path / f"{name}.{suffix}", style="paper")
    plots.save_curves(results, tmp_path / f"c.{suffix}")
    pictures = [(tmp_path / f"{name}.{suffix}").read_bytes() for name in "abc"]
    assert pictures[0] == pictures[1] != pictures[2]
    assert dict(matplotlib.rcParams) == before


def test_a_style_that_is_none_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(WsolbenchError, match="found 'loud', expected screen or paper"),
        plots.picture(tmp_path / "x.png", 1, 1, (1, 1), "loud"),
    ):
        pass


def test_a_missing_matplotlib_is_one_line_before_any_work(
    monkeypatch: pytest.MonkeyPatch, results: list[Result], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    message = (
        r"^plots: they need matplotlib, which is not installed; pip install 'wsolbench\[plots\]'$"
    )
    with (
        pytest.raises(WsolbenchError, match=message) as refused,
        plots.picture(tmp_path / "x.png", 1, 1, (1, 1)),
    ):
        pass
    assert "\n" not in str(refused.value)
    saves = [getattr(plots, name) for name in plots.__all__ if name.startswith("save_")]
    for save in (*saves, save_seed_count_curves, save_metric_study):
        needed = [own for own in signature(save).parameters.values() if own.default is own.empty]
        given = {own.name: [] for own in needed}  # nothing to draw is found later
        with pytest.raises(WsolbenchError, match=message):
            save(**{**given, "path": tmp_path / "x.png"})
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_in_one_line_that_matplotlib_is_missing(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    arguments = ["plot", "areas", str(folder / "s.h5"), "--out", str(tmp_path / "a.png")]
    with pytest.raises(WsolbenchError, match="need matplotlib"):
        CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_importing_plots_and_its_names_loads_no_matplotlib() -> None:
    program = (
        "import sys; from wsolbench import plots\n"
        "for name in plots.__all__: getattr(plots, name)\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_public_names_are_the_ones_that_the_modules_state() -> None:
    assert plots.__all__ == sorted(plots.__all__)
    for file in Path(plots.__file__).parent.glob("[a-z]*.py"):
        module = importlib.import_module(f"wsolbench.plots.{file.stem}")
        assert all(hasattr(module, name) for name in module.__all__)
        for name in set(module.__all__) & set(plots.__all__):
            assert getattr(plots, name) is getattr(module, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = plots.nothing


@pytest.mark.parametrize(
    "unit, low, high, limits",
    [
        (Unit.FRACTION, 0, 1, (0, 100)),
        (Unit.FRACTION, 0, 1.01, None),
        (Unit.FRACTION, -1, 1, None),
        (Unit.NUMBER, 0, 1, None),
        (Unit.NUMBER, 0, None, None),
    ],
)
def test_only_fractions_of_0_to_1_limit_an_axis(
    ax: Axes, unit: Unit, low: float, high: float | None, limits: tuple[float, float] | None
) -> None:
    ax.plot([0, 1], [-3, 500])
    free = ax.get_ylim()
    style.limit_axis(ax, Score("made_up", "Made up", "toy", unit, low=low, high=high))
    assert ax.get_ylim() == (limits or free)
