"""The programs of docs/torchmetrics.md run offline, in order, in an empty folder."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the recipes need torch")
pytest.importorskip("torchmetrics", reason="the recipes need torchmetrics")

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "torchmetrics.md").read_text()
PROGRAMS = {
    re.search(r"^import (\w+)|^from (\w+)", program, re.MULTILINE)[0].split()[1]: program
    for program in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}
"""By the package that they show."""


def run(program: str, names: dict[str, Any]) -> None:
    with warnings.catch_warnings():  # other packages' own, such as advice on the number of workers
        warnings.simplefilter("ignore")
        exec(compile(program, "docs/torchmetrics.md", "exec"), names)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the first program leaves."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("recipes"))
        patch.setenv("WANDB_SILENT", "true")
        run(PROGRAMS["torch"], names)
        yield names


def scores(names: dict[str, Any]) -> dict[str, float]:
    return {key: value.item() for key, value in names["metric"].compute().items()}


def test_the_page_has_a_program_for_each() -> None:
    assert list(PROGRAMS) == ["torch", "pytorch_lightning", "matplotlib", "wandb"]


def test_the_first_program_scores_as_the_evaluator_does(names: dict[str, Any]) -> None:
    import wsolbench

    evaluator = wsolbench.Evaluator(names["dataset"])
    for batch in names["loader"]:
        evaluator.update(batch["image_id"], names["maps_of"](batch))
    assert scores(names) == dict(evaluator.result().scores)


def test_what_the_page_says_of_sizes_is_so(names: dict[str, Any]) -> None:
    import wsolbench

    assert f"{len(wsolbench.LocalizationMetric().sums) - 1} numbers (6 kB)" in PAGE
    assert f"{len(names['metric'].sums) - 1:,} (12 kB)" in PAGE


@pytest.mark.slow
def test_lightning_logs_the_scores(names: dict[str, Any]) -> None:
    pytest.importorskip("pytorch_lightning", reason="Lightning's recipe needs it")
    run(PROGRAMS["pytorch_lightning"], names)
    own = {f"val_{key}": pytest.approx(value, rel=1e-6) for key, value in scores(names).items()}
    assert names["logged"] == own


@pytest.mark.slow
def test_tensorboard_holds_the_scores(names: dict[str, Any]) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard's recipe needs it")
    pytest.importorskip("matplotlib", reason="TensorBoard's recipe draws a curve")
    run(PROGRAMS["matplotlib"], names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    read = EventAccumulator("runs/cam").Reload()
    for key, value in scores(names).items():
        assert read.Scalars(f"val/{key}")[0].value == pytest.approx(value, rel=1e-6)
    assert len(read.Images("val/iou")) == 1


@pytest.mark.slow
def test_weights_and_biases_hold_the_scores(names: dict[str, Any]) -> None:
    pytest.importorskip("wandb", reason="the recipe of Weights & Biases needs it")
    run(PROGRAMS["wandb"], names)
    (folder,) = Path("wandb").glob("offline-run-*")
    (written,) = folder.glob("*.wandb")
    content = written.read_bytes()
    last = time.monotonic() + 30
    while b"sem.v2" not in content and time.monotonic() < last:
        time.sleep(0.1)  # its own process writes the file, and may do so after the run has ended
        content = written.read_bytes()
    for key, value in scores(names).items():
        assert f"val/{key}".encode() in content
        assert f"{int(value) if value.is_integer() else value!r}".encode() in content
    assert b"sem.v2" in content
