"""Training of the boundary detector: what it learns, resuming to the bit, what is refused."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from tests.boundaries.conftest import Bench
from wsolbench.baselines import checkpoints
from wsolbench.baselines.checkpoints import (
    input_of,
    load_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from wsolbench.baselines.sem import self_enhancement_maps
from wsolbench.baselines.training_files import log_path
from wsolbench.boundaries import train as training
from wsolbench.boundaries.detector import load_detector, read_edge_checkpoint
from wsolbench.boundaries.head import build_head
from wsolbench.boundaries.loss import hns_loss
from wsolbench.boundaries.pseudo import pseudo_boundary
from wsolbench.boundaries.pseudo_settings import PseudoSettings
from wsolbench.boundaries.settings import EdgeRecipe, edge_recipe_for, edge_settings_for
from wsolbench.boundaries.train import EdgesTrained, train_edges
from wsolbench.errors import WsolbenchError
from wsolbench.progress import Progress

pytest.importorskip("cv2")
pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS: dict[str, Any] = {"width": 4, "grid": 32}
RECIPE: dict[str, Any] = {"epochs": 2, "batch_size": 8, "size": 64}
PSEUDO: dict[str, Any] = {"crf_blur": 1, "crf_window": 3}
"""On a grid of 32, cells of 4 pixels would be too large."""


def run(bench: Bench, out: Path, **options: Any) -> EdgesTrained:
    """Train a small detector; `settings` and `recipe` are beside the small ones."""
    settings = {**SETTINGS, **options.pop("settings", {})}
    recipe = {**RECIPE, **options.pop("recipe", {})}
    photos = options.pop("photos", None) or bench.photos()
    pseudo = {**PSEUDO, **options.pop("pseudo", {})}
    given = {"classifier": bench.classifier, "device": "cpu", **options}
    return train_edges(photos, out=out, settings=settings, recipe=recipe, pseudo=pseudo, **given)


def same(one: Path, other: Path) -> bool:
    first, second = read_edge_checkpoint(one).state, read_edge_checkpoint(other).state
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def logged(checkpoint: Path) -> list[dict[str, str]]:
    """The log without its column of speed."""
    with open(log_path(checkpoint), newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.pop("photos_per_second")
    return rows


def stopping(at: int) -> Any:
    """Bars that interrupt the training after so many photos."""

    def bars(title: str, unit: str) -> AbstractContextManager[Progress | None]:
        def stop(done: int, total: int) -> None:
            if title == "train edges" and done == at:
                raise KeyboardInterrupt

        return nullcontext(stop)

    return bars


# -- what is learnt --------------------------------------------------------------------------------


@pytest.mark.parametrize(("maps", "loss"), [("sem", "hns"), ("cam", "vanilla")])
def test_the_first_loss_by_hand(bench: Bench, tmp_path: Path, maps: str, loss: str) -> None:
    """All photos in one step: the loss of the head's random weights."""
    photos = replace(bench.photos(), paths=bench.photos().paths[:4], labels=range(4))
    settings = {"maps": maps, "loss": loss, "balance": 1.5}
    trained = run(bench, tmp_path / "e.pt", photos=photos, settings=settings, recipe={"epochs": 1})

    model = load_checkpoint(bench.classifier)
    network = model.module.network
    features: list[torch.Tensor] = []
    for name in ("0", "1", "4", "7"):
        network.trunk.get_submodule(name).register_forward_hook(  # type: ignore[union-attr]
            lambda module, given, output: features.append(output)
        )
    inputs, targets = [], []
    for place, path in enumerate(photos.paths):
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        upright = input_of("mini")(photo, 64)[None]
        with torch.no_grad():
            class_maps, last, _ = model.module(upright)
            map_ = class_maps[:, place]
            spread = (map_ - map_.min()) / (map_.max() - map_.min())
            if maps == "sem":
                spread = self_enhancement_maps(map_, last, 0.05)
        small = np.array(photo.resize((32, 32), Image.Resampling.BILINEAR))
        boundary = pseudo_boundary(spread[0].numpy(), small, PseudoSettings(**PSEUDO))
        mirrored = np.random.default_rng([0, 0, place]).random() < 0.5
        inputs.append(input_of("mini")(ImageOps.mirror(photo) if mirrored else photo, 64))
        targets.append(boundary[:, ::-1].copy() if mirrored else boundary)
    features.clear()
    with torch.no_grad():
        class_maps, last, _ = model.module(torch.stack(inputs))
        chosen = class_maps[torch.arange(4), torch.arange(4)]
        low, high = chosen.amin((1, 2), keepdim=True), chosen.amax((1, 2), keepdim=True)
        shown = (chosen - low) / (high - low)
        if maps == "sem":
            shown = self_enhancement_maps(chosen, last, 0.05)
        head = build_head([24, 48, 48, 96], 4, 32, seed=0).train()
        logits = head(features, shown)
        wanted = hns_loss(logits, torch.from_numpy(np.stack(targets)), 1.5, suppress=loss == "hns")
    assert np.stack(targets).any(axis=(1, 2)).all()
    assert trained.rows[0].loss == pytest.approx(float(wanted), rel=1e-4)


def test_the_loss_falls(bench: Bench, tmp_path: Path) -> None:
    trained = run(bench, tmp_path / "e.pt", recipe={"epochs": 8, "drop_after": (6,)})
    losses = [row.loss for row in trained.rows]
    assert len(losses) == 8
    assert losses[-1] < 0.8 * losses[0]
    rates = [row.learning_rate for row in trained.rows]
    assert rates == pytest.approx([1.0] * 6 + [0.1] * 2)


def test_the_classifier_stays_as_it_is(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []
    modes: set[bool] = set()
    whole = checkpoints.model_of

    def kept(*given: Any) -> Any:
        model = whole(*given)
        taken.append(model)
        for part in model.module.modules():
            part.register_forward_hook(lambda module, given, output: modes.add(module.training))
        return model

    monkeypatch.setattr(training, "model_of", kept)
    run(bench, tmp_path / "e.pt", recipe={"epochs": 1})

    (model,) = taken
    before = read_checkpoint(bench.classifier).state
    after = model.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any("running_mean" in name for name in before)
    assert all(own.grad is None for own in model.module.parameters())
    assert modes == {False}
    detector = load_detector(tmp_path / "e.pt")
    packed = detector.model.module.state_dict()
    assert all(torch.equal(before[name], packed[name]) for name in before)
    fresh = build_head([24, 48, 48, 96], 4, 32, seed=0).state_dict()
    learnt = detector.head.state_dict()
    assert all(not torch.equal(fresh[name], learnt[name]) for name in fresh)


# -- the same bits ---------------------------------------------------------------------------------


def test_a_run_that_was_stopped_continues_to_the_bit(bench: Bench, tmp_path: Path) -> None:
    whole = run(bench, tmp_path / "whole.pt", recipe={"epochs": 3})
    with pytest.raises(KeyboardInterrupt):
        run(bench, tmp_path / "e.pt", recipe={"epochs": 3}, bars=stopping(48))
    half = read_edge_checkpoint(tmp_path / "e.pt")
    assert (half.epoch, half.step, half.finished) == (1, 0, False)
    again = run(bench, tmp_path / "e.pt", recipe={"epochs": 3}, resume=True)

    assert same(tmp_path / "e.pt", tmp_path / "whole.pt")
    assert logged(tmp_path / "e.pt") == logged(tmp_path / "whole.pt")
    assert [row.loss for row in again.rows[1:]] == [row.loss for row in whole.rows[1:]]
    assert {path.name for path in tmp_path.iterdir()} == {"e.pt", "e.csv", "whole.pt", "whole.csv"}


def test_a_checkpoint_within_an_epoch_continues_to_the_bit(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STEPS_PER_ROW", 2)
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    run(bench, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        run(bench, tmp_path / "e.pt", bars=stopping(56))
    half = read_edge_checkpoint(tmp_path / "e.pt")
    assert (half.epoch, half.step) == (1, 2)
    run(bench, tmp_path / "e.pt", resume=True)
    assert same(tmp_path / "e.pt", tmp_path / "whole.pt")
    assert logged(tmp_path / "e.pt") == logged(tmp_path / "whole.pt")
    assert len(logged(tmp_path / "e.pt")) == 4


def test_a_seed_decides_all(bench: Bench, tmp_path: Path) -> None:
    kept = torch.get_rng_state()
    for name, seed, workers in (("a", 3, 0), ("b", 3, 1), ("c", 4, 0)):
        recipe = {"epochs": 1, "seed": seed}
        run(bench, tmp_path / f"{name}.pt", recipe=recipe, workers=workers)
    assert same(tmp_path / "a.pt", tmp_path / "b.pt")
    assert not same(tmp_path / "a.pt", tmp_path / "c.pt")
    assert torch.equal(kept, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_finished_run_is_left_as_it_is(bench: Bench, tmp_path: Path) -> None:
    run(bench, tmp_path / "e.pt", recipe={"epochs": 1})
    before = (tmp_path / "e.pt").read_bytes()
    again = run(bench, tmp_path / "e.pt", recipe={"epochs": 1}, resume=True)
    assert (tmp_path / "e.pt").read_bytes() == before
    assert again.notes == ("the training was complete before: nothing was done",)
    assert [(row.epoch, row.step) for row in again.rows] == [(1, 4)]


# -- what is said and refused ----------------------------------------------------------------------


@pytest.fixture
def blind(bench: Bench, tmp_path: Path) -> Path:
    """A classifier whose class maps are constant, but those of its first class."""
    found = read_checkpoint(bench.classifier)
    state = {name: own.clone() for name, own in found.state.items()}
    state["network.classifier.weight"][1:] = 0
    write_checkpoint(tmp_path / "blind.pt", replace(found, state=state))
    return tmp_path / "blind.pt"


def test_photos_without_a_pseudo_boundary_are_counted(
    bench: Bench, blind: Path, tmp_path: Path
) -> None:
    trained = run(bench, tmp_path / "e.pt", classifier=blind, recipe={"epochs": 1})
    (note,) = trained.notes
    assert note.startswith("28 of 32 photos have no pseudo-boundary, and teach nothing")
    labels = bench.photos().labels
    others = [place for place, label in enumerate(labels) if label]
    photos = bench.photos()
    photos = replace(
        photos,
        paths=[photos.paths[place] for place in others],
        labels=[photos.labels[place] for place in others],
    )
    with pytest.raises(WsolbenchError, match="found no pseudo-boundary on any photo, expected"):
        run(bench, tmp_path / "f.pt", classifier=blind, photos=photos)
    assert not (tmp_path / "f.pt").exists()


def refused(words: str, bench: Bench, out: Path, **options: Any) -> None:
    """A run that ends in one line with these words and changes no file."""
    files = [path for path in out.parent.iterdir() if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(WsolbenchError) as raised:
        run(bench, out, **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {path: path.read_bytes() for path in out.parent.iterdir() if path.is_file()} == before


def test_other_trainings_and_files_are_refused(
    bench: Bench, blind: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "e.pt"
    run(bench, out, recipe={"epochs": 1})
    once = {"epochs": 1}
    refused("a file that exists; continue with --resume", bench, out, recipe=once)
    for words, options in (
        ("a checkpoint with loss hns, expected loss vanilla", {"settings": {"loss": "vanilla"}}),
        ("with epochs 1, expected epochs 2", {"recipe": {}}),
        ("with reach 3.0, expected reach 2.0", {"pseudo": {"reach": 2.0}}),
        ("a checkpoint with classifier_sha256", {"classifier": blind}),
    ):
        refused(words, bench, out, resume=True, **{"recipe": once, **options})
    for words, options in (
        (
            "a checkpoint of a boundary detector (wsolbench train edges), expected a checkpoint of "
            "wsolbench train",
            {"classifier": out},
        ),
        ("pseudo-boundaries: found 'canny', expected crf_window", {"pseudo": {"canny": 1}}),
        ("boundary detector: found 'depth', expected maps", {"settings": {"depth": 1}}),
        ("maps: found acol, expected sem or cam", {"settings": {"maps": "acol"}}),
        ("float16 on cpu, expected float32 or bfloat16", {"recipe": {"precision": "float16"}}),
    ):
        refused(words, bench, tmp_path / "f.pt", **options)
    refused(
        "found a checkpoint of a classifier, expected a checkpoint of wsolbench train edges",
        bench,
        blind,
        resume=True,
    )
    fewer = replace(bench.photos(), classes=bench.photos().classes[:3])
    refused("a classifier of 8 classes", bench, tmp_path / "f.pt", photos=fewer)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused("train edges: found 2 processes, expected one", bench, tmp_path / "f.pt")


def test_a_loss_that_is_not_finite_ends_the_run(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(WsolbenchError, match=r"epoch \d+, step 4: a loss that is not finite; use"):
        run(bench, tmp_path / "e.pt", recipe={"epochs": 4, "learning_rate": 1e30})


def test_short_numbers_train_on_a_cpu(bench: Bench, tmp_path: Path) -> None:
    losses = [
        run(bench, tmp_path / f"{kind}.pt", recipe={"epochs": 1, "precision": kind}).rows[0].loss
        for kind in ("float32", "bfloat16")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
    assert losses[0] != losses[1]
    state = read_edge_checkpoint(tmp_path / "bfloat16.pt").state
    assert {own.dtype for own in state.values()} == {torch.float32, torch.int64}


def test_the_defaults() -> None:
    """Those of section 4.1.3, and smaller ones for the embedded benchmark."""
    paper = edge_settings_for("resnet50-sem", {})
    assert (paper.width, paper.grid, paper.maps, paper.loss) == (128, 160, "sem", "hns")
    assert edge_recipe_for("resnet50-sem", {}) == EdgeRecipe()
    assert (EdgeRecipe().epochs, EdgeRecipe().learning_rate) == (5, 0.01)
    assert edge_recipe_for("resnet50-sem", {}, 320).size == 320
    small = edge_recipe_for("mini", {"size": 64}, 320)
    assert (small.size, small.batch_size, edge_settings_for("mini", {}).width) == (64, 16, 16)


@pytest.fixture(autouse=True)
def quiet_threads() -> Iterator[None]:
    """Nothing of a training stays switched on."""
    yield
    assert not torch.are_deterministic_algorithms_enabled()
