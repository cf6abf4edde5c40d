"""Training: the same bits after a kill, several processes, the log, and what is refused."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.baselines.narrow import narrow_networks
from tests.conftest import annotation
from wsolbench.baselines import networks
from wsolbench.baselines.checkpoints import build_method, load_checkpoint, read_checkpoint
from wsolbench.baselines.settings import Recipe
from wsolbench.baselines.train import (
    LogRow,
    Trained,
    learning_rate_at,
    log_path,
    parameter_groups,
    train,
)
from wsolbench.baselines.training_data import labelled_folder, labelled_split
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationSet, write_store

SMALL: dict[str, Any] = {"batch_size": 4, "resize": 18, "size": 16}
CLASSES = ("ant", "bee", "cat")
SECONDS = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`photos/<class>/<name>.png`, four of each of three classes."""
    rng = np.random.default_rng(0)
    for index, name in enumerate(CLASSES):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            pixels[..., index] = 255
            path = tmp_path / "photos" / name / f"{name}{number}.png"
            Image.fromarray(pixels).save(path)
    return tmp_path


def run(folder: Path, out: str = "c.pt", *, seed: int = 0, epochs: int = 1, **options: Any) -> Any:
    """Train the small network on the folder; `recipe` holds further settings."""
    recipe = Recipe(**{**SMALL, **options.pop("recipe", {})}, seed=seed, epochs=epochs)
    given = {"backbone": "mini", "device": "cpu", "recipe": recipe, **options}
    return train(labelled_folder(folder / "photos"), folder / out, **given)


def state(path: Path) -> dict[str, torch.Tensor]:
    return dict(read_checkpoint(path).state)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The log without its column of speed, which is another in each run."""
    with open(log_path(path), newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.pop("photos_per_second")
    return rows


def command(folder: Path, *arguments: object, processes: int = 1) -> subprocess.Popen[str]:
    """`wsolbench train cam` in processes of its own."""
    start = [sys.executable, "-W", "ignore", "-m"]
    if processes > 1:
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    given = ["--backbone", "mini", "--device", "cpu", "--workers", "0", "--quiet"]
    given += ["--batch-size", "4", "--resize", "18", "--size", "16", "--images", "photos"]
    return subprocess.Popen(
        [*start, "wsolbench", "train", "cam", *given, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# -- the same bits ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_run_continues_to_the_bit(folder: Path) -> None:
    whole = command(folder, "--out", "whole.pt", "--epochs", 60)
    killed = command(folder, "--out", "killed.pt", "--epochs", 60)
    until = time.monotonic() + SECONDS
    while not (folder / "killed.pt").exists() and time.monotonic() < until:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=SECONDS)
    done = read_checkpoint(folder / "killed.pt")
    assert 1 <= done.epoch < 60
    assert not done.finished

    again = command(folder, "--out", "killed.pt", "--epochs", 60, "--resume")
    for process in (whole, again):
        _, stderr = process.communicate(timeout=SECONDS)
        assert (process.returncode, stderr[:4]) == (0, "note"), stderr
    assert read_checkpoint(folder / "killed.pt").finished
    assert same(state(folder / "killed.pt"), state(folder / "whole.pt"))
    assert len(rows_of(folder / "whole.pt")) == 60
    assert rows_of(folder / "killed.pt") == rows_of(folder / "whole.pt")
    names = {path.name for path in folder.iterdir()}
    assert names == {"photos", "whole.pt", "whole.csv", "killed.pt", "killed.csv"}


@pytest.mark.parametrize("method", ["has", "acol", "cutmix", "spg", "adl"])
def test_what_a_method_draws_does_not_depend_on_where_a_run_stopped(
    folder: Path, method: str
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 24:  # in the second epoch; the first is saved
            raise KeyboardInterrupt

    whole = run(folder, "whole.pt", epochs=3, method=method)
    with pytest.raises(KeyboardInterrupt):
        run(folder, epochs=3, method=method, progress=stop)
    again = run(folder, epochs=3, method=method, resume=True)

    assert same(state(folder / "c.pt"), state(folder / "whole.pt"))
    assert [row.loss for row in again.rows[1:]] == [row.loss for row in whole.rows[1:]]


def test_a_seed_decides_all(folder: Path) -> None:
    kept = torch.get_rng_state()
    run(folder, "a.pt", seed=3)
    run(folder, "b.pt", seed=3, workers=1)
    run(folder, "c.pt", seed=4)

    assert same(state(folder / "a.pt"), state(folder / "b.pt"))
    assert not same(state(folder / "a.pt"), state(folder / "c.pt"))
    assert torch.equal(kept, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_finished_run_is_left_as_it_is(folder: Path) -> None:
    run(folder)
    before = (folder / "c.pt").read_bytes()

    again: Trained = run(folder, resume=True)

    assert (folder / "c.pt").read_bytes() == before
    assert [(row.epoch, row.step) for row in again.rows] == [(1, 3)]


def test_a_folder_and_a_split_give_the_same_weights(folder: Path) -> None:
    rows = []
    for index, name in enumerate(CLASSES):
        for number in range(4):
            mask = np.ones((20, 24), np.bool_)
            rows.append(annotation(f"{name}{number}", mask, class_index=index, split="train"))
    classes = [(name, name) for name in CLASSES]
    write_store(folder / "drawn.h5", AnnotationSet("drawn", rows, classes))
    split = labelled_split(Dataset.open(folder / "drawn.h5", "train", folder / "photos"))
    run(folder, "a.pt")
    recipe = Recipe(**SMALL, epochs=1)
    train(split, folder / "b.pt", backbone="mini", device="cpu", recipe=recipe)

    assert split.title == "drawn train"
    assert same(state(folder / "a.pt"), state(folder / "b.pt"))


# -- several processes -----------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_train_one_network(folder: Path) -> None:
    process = command(folder, "--out", "two.pt", "--epochs", 2, processes=2)
    stdout, stderr = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, stderr
    assert stdout.count("two.pt: CAM on mini, 12 photos of 3 classes, 2 epochs") == 1
    model = load_checkpoint(folder / "two.pt", method="cam", backbone="mini")
    assert model.classes == tuple((name, name) for name in CLASSES)
    rows = rows_of(folder / "two.pt")
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "3"), ("2", "3")]
    for row in rows:  # a share of all 12 photos of an epoch, not of one process's 6
        assert float(row["accuracy"]) * 12 == pytest.approx(
            round(float(row["accuracy"]) * 12), abs=1e-4
        )
    assert {path.name for path in folder.iterdir()} == {"photos", "two.pt", "two.csv"}


@pytest.mark.slow
def test_gradients_of_two_processes_are_those_of_one_without_batch_norm(folder: Path) -> None:
    """Before the first step all is equal: the loss of step one is the mean over both shares."""
    given = ("--epochs", 1, "--backbone", "squeezenet1_1-gap", "--resize", 34, "--size", 32)
    one = command(folder, "--out", "one.pt", *given)
    two = command(folder, "--out", "two.pt", *given, processes=2)
    for process in (one, two):
        _, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, stderr
    first, second = state(folder / "one.pt"), state(folder / "two.pt")
    start = build_method("cam", "squeezenet1_1-gap", 3, {}, seed=0).state_dict()

    moved = max(float((first[name] - start[name]).abs().max()) for name in first)
    apart = max(float((first[name] - second[name]).abs().max()) for name in first)
    assert apart < 1e-3 * moved


# -- the log and the recipe ------------------------------------------------------------------------


def test_the_log_holds_the_loss_and_accuracy_of_a_step(folder: Path) -> None:
    seen: list[LogRow] = []
    trained = run(folder, recipe={"batch_size": 12}, say=seen.append)
    lines = log_path(folder / "c.pt").read_text().splitlines()

    assert lines[0] == "epoch,step,loss,accuracy,learning_rate,photos_per_second"
    assert lines[1].startswith(f"1,1,{seen[0].loss:.6g},{seen[0].accuracy:.6g},0.001,")
    assert (trained.log, trained.rows) == (folder / "c.csv", tuple(seen))

    module = build_method("cam", "mini", 3, {}, seed=0).train()
    from wsolbench.baselines.small import preprocess
    from wsolbench.baselines.training_data import random_crop, steps_of

    recipe = Recipe(**{**SMALL, "batch_size": 12}, epochs=1)
    photos = labelled_folder(folder / "photos")
    crops, labels = [], []
    for place in steps_of(12, recipe, 0)[0]:
        with Image.open(photos.paths[place]) as photo:
            crop = random_crop(photo.convert("RGB"), 18, 16, np.random.default_rng([0, 0, place]))
        crops.append(preprocess(crop, 16))
        labels.append(photos.labels[place])
    with torch.no_grad():
        logits = module(torch.stack(crops))[2].double().numpy()
    wanted = [
        math.log(np.exp(row - row[own]).sum()) for row, own in zip(logits, labels, strict=True)
    ]
    assert sorted(labels) == [0] * 4 + [1] * 4 + [2] * 4
    assert seen[0].loss == pytest.approx(sum(wanted) / 12, rel=1e-5)
    assert seen[0].accuracy == np.mean(logits.argmax(axis=1) == labels)


def test_the_learning_rate_drops_after_the_second_epoch(folder: Path) -> None:
    assert [learning_rate_at(Recipe(), epoch) for epoch in range(5)] == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-4, 1e-4]
    )
    run(folder, epochs=3)
    assert [row["learning_rate"] for row in rows_of(folder / "c.pt")] == [
        "0.001",
        "0.001",
        "0.0001",
    ]


@pytest.mark.parametrize("backbone", sorted(networks.PAPER))
def test_only_what_torchvision_does_not_fill_learns_ten_times_as_fast(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow_networks(monkeypatch)
    of_trunk: set[str] | None = None
    for method, beside in (
        ("cam", ()),
        ("acol", ("branch",)),
        ("spg", ("b1", "b2", "shared", "c")),
    ):
        settings = {"width": 4} if method == "spg" else {}
        module = build_method(method, backbone, 3, settings, seed=0)
        trunk, head = parameter_groups(module, Recipe())
        names = {id(own): name for name, own in module.named_parameters()}
        found = {names[id(own)] for own in trunk["params"]}
        others = {names[id(own)] for own in head["params"]}
        assert found | others == set(names.values())
        assert not found & others
        assert all(name.startswith("network.trunk.") for name in found)
        assert not any(name.startswith("network.trunk.") for name in others)
        assert {name.split(".")[0] for name in others} == {"network", *beside}
        assert of_trunk in (None, found)  # the same for every method
        of_trunk = found
        assert (trunk["lr"], head["lr"]) == (0.001, 0.01)


def test_the_head_learns_ten_times_as_fast() -> None:
    for backbone, of_head in (
        ("mini", ["network.classifier.weight", "network.classifier.bias"]),
        (
            "squeezenet1_1",
            ["network.network.classifier.1.weight", "network.network.classifier.1.bias"],
        ),
    ):
        module = build_method("cam", backbone, 3, {}, seed=0)
        trunk, head = parameter_groups(module, Recipe())
        names = {id(own): name for name, own in module.named_parameters()}
        assert [names[id(own)] for own in head["params"]] == of_head
        assert len(trunk["params"]) + len(head["params"]) == len(names)
        assert (trunk["lr"], head["lr"]) == (0.001, 0.01)


def test_short_numbers_train_on_a_cpu(folder: Path) -> None:
    trained: Trained = run(folder, "b.pt", recipe={"precision": "bfloat16"})
    whole: Trained = run(folder, "f.pt")

    assert trained.rows[0].loss == pytest.approx(whole.rows[0].loss, rel=0.05)
    assert trained.rows[0].loss != whole.rows[0].loss
    assert {own.dtype for own in state(folder / "b.pt").values()} == {torch.float32, torch.int64}
    with pytest.raises(WsolbenchError, match="float16 on cpu, expected float32 or bfloat16"):
        run(folder, recipe={"precision": "float16"})


# -- what is refused -------------------------------------------------------------------------------


def refused(words: str, folder: Path, **options: Any) -> None:
    """A run that ends in one line with these words, and leaves all files as they were."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(WsolbenchError) as raised:
        run(folder, **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_checkpoint_of_another_training_is_refused(folder: Path) -> None:
    run(folder, method="has")
    for words, options in (
        ("a checkpoint with method has, expected method cam", {}),
        ("expected backbone squeezenet1_1", {"method": "has", "backbone": "squeezenet1_1"}),
        (
            "hide_rate 0.5, expected hide_rate 0.1",
            {"method": "has", "settings": {"hide_rate": 0.1}},
        ),
        ("with seed 0, expected seed 1", {"method": "has", "seed": 1}),
        ("with epochs 1, expected epochs 2", {"method": "has", "epochs": 2}),
    ):
        refused(words, folder, resume=True, **options)
    refused("a file that exists; continue with --resume", folder, method="has")
    run(folder, method="cam", overwrite=True)
    assert read_checkpoint(folder / "c.pt").method == "cam"
    (folder / "photos/ant/ant0.png").unlink()
    refused("with photos 12, expected photos 11", folder, resume=True)
    (folder / "photos/ant").rename(folder / "photos/asp")
    refused("3 classes", folder, resume=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a file that cannot be read, expected a checkpoint of wsolbench train"),
        (b"not a checkpoint", "a file that cannot be read"),
        (None, "a file that cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_refused(folder: Path, content: bytes | None, words: str) -> None:
    run(folder)
    whole = (folder / "c.pt").read_bytes()
    (folder / "c.pt").write_bytes(whole[: len(whole) // 2] if content is None else content)
    refused(words, folder, resume=True)
    torch.save({"a": torch.zeros(1)}, folder / "c.pt")
    refused("another file of torch.save", folder, resume=True)


def test_a_log_of_something_else_is_refused(folder: Path) -> None:
    run(folder)
    (folder / "c.csv").write_text("name,price\ncheese,3\n")
    refused("c.csv: no log of this training; move the file away", folder, resume=True)
    (folder / "c.csv").unlink()
    assert run(folder, resume=True).rows == ()


def test_broken_photos_and_folders_are_refused(folder: Path) -> None:
    path = folder / "photos/bee/bee2.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    refused("bee2.png", folder)
    path.write_bytes(whole)
    (folder / "photos/dog").mkdir()
    refused("dog", folder)
    (folder / "photos/dog").rmdir()
    for name in ("ant", "cat"):
        (folder / "photos" / name).rename(folder / name)
    refused("one class, expected at least two", folder)
    (folder / "photos/bee").rename(folder / "bee")
    refused("expected one subfolder for each class", folder)


def test_a_split_without_classes_is_refused(folder: Path) -> None:
    mask = np.ones((20, 24), np.bool_)
    rows = [annotation(f"ant{i}", mask, class_index=0 if i else -1) for i in range(3)]
    write_store(folder / "drawn.h5", AnnotationSet("drawn", rows))
    with pytest.raises(
        WsolbenchError, match=r"drawn val: found no class for 1 of 3 images: ant0, "
    ):
        labelled_split(Dataset.open(folder / "drawn.h5", images=folder / "photos"))


def test_a_loss_that_is_not_finite_ends_the_run(folder: Path) -> None:
    recipe = {"learning_rate": 1e30}
    with pytest.raises(
        WsolbenchError, match=r"epoch \d+, step 3: a loss that is not finite"
    ) as end:
        run(folder, epochs=5, recipe=recipe)
    assert "lower learning rate than 1e+" in str(end.value)
    if (folder / "c.pt").exists():  # of an epoch before
        assert all(own.isfinite().all() for own in state(folder / "c.pt").values())


@pytest.mark.slow
def test_a_batch_that_processes_cannot_share_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = command(folder, "--out", "c.pt", "--batch-size", 3, processes=2)
    _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode != 0
    assert "batch_size: found 3 photos a step for 2 processes, expected a multiple" in stderr
    assert not (folder / "c.pt").exists()
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused("the environment: found RANK '2' and WORLD_SIZE '2'", folder)


def test_a_log_never_replaces_another_file(folder: Path) -> None:
    (folder / "mine.csv").write_text("mine")
    refused("mine.csv: a file that exists, without the checkpoint", folder, out="mine.pt")
    refused("c.csv: found the ending .csv, which the log has", folder, out="c.csv")
    assert log_path("lr0.1").name == "lr0.1.csv"
    assert log_path("a/cam.pth") == Path("a/cam.csv")


def test_a_finished_training_without_its_log(folder: Path) -> None:
    run(folder, "c.pt")
    (folder / "c.csv").unlink()
    again = run(folder, "c.pt", resume=True)
    assert again.rows == ()
