from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.conftest import annotation, random_blob
from wsolbench.baselines.backbones import ClassMapModel, imagenet_input, load_backbone
from wsolbench.baselines.cam import class_activation_maps, class_channels
from wsolbench.baselines.predict import predict
from wsolbench.baselines.sem import seed_similarities, self_enhancement_maps
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.validate import validate
from wsolbench.maps.folders import import_maps
from wsolbench.maps.normalisations import normalisation_named

COUNT = 7
SIZE = 16


class Small(nn.Module):
    """Six classes on 8x8 maps, small and quick; parts of it may be set to go wrong."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.first = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.last = nn.Conv2d(12, 6, 1)
        self.noise = nn.Dropout(0.5)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.seen.append(len(images))
        features = self.noise(self.first(images).relu())
        class_maps = self.last(features)
        return class_maps, features, class_maps.mean(dim=(2, 3))


@pytest.fixture
def model() -> ClassMapModel:
    return ClassMapModel("small", Small(), imagenet_input)


def make_dataset(folder: Path, classes: list[int]) -> Dataset:
    rng = np.random.default_rng(1)
    annotations = []
    for i, class_index in enumerate(classes):
        height, width = 24 + i, 40 - i
        annotations.append(
            annotation(f"p{i}", random_blob(rng, height, width), class_index=class_index)
        )
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i}.png")
    write_store(folder / "drawn.h5", AnnotationSet("drawn", annotations))
    return Dataset.open(folder / "drawn.h5", images=folder)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path, [i % 6 for i in range(COUNT)])


def run(model: ClassMapModel, dataset: Dataset, out: Path, **options: Any) -> Submission:
    predict(model, dataset, out, **{"size": SIZE, "device": "cpu", "seeds": 5, **options})
    return Submission.open(out)


def by_hand(model: ClassMapModel, dataset: Dataset, index: int) -> tuple[Tensor, Tensor, Tensor]:
    with torch.inference_mode():
        outputs: tuple[Tensor, Tensor, Tensor] = model.module.eval()(
            model.preprocess(dataset.read_image(index), SIZE)[None]
        )
    return outputs


# -- what is written -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cam", "sem"])
@pytest.mark.parametrize("label", ["gt", "predicted"])
def test_maps_are_those_of_one_photo_at_a_time(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path, method: str, label: str
) -> None:
    submission = run(
        model, dataset, tmp_path / "s.h5", method=method, label=label, map_dtype="float32"
    )

    assert submission.image_ids == dataset.image_ids
    assert submission.header.label == label
    maps = submission.read(range(COUNT))
    for i in range(COUNT):
        class_maps, features, logits = by_hand(model, dataset, i)
        known = torch.tensor([int(dataset.class_indices[i])])
        wanted_class = known if label == "gt" else logits.argmax(dim=1)
        if method == "cam":
            wanted = class_activation_maps(class_maps, wanted_class)
        else:
            wanted = self_enhancement_maps(class_channels(class_maps, wanted_class), features, 5)
        assert np.abs(maps[i] - wanted[0].numpy()).max() < 1e-5
        assert submission.top5 is not None
        assert submission.top5[i].tolist() == logits[0].argsort(descending=True)[:5].tolist()


def test_every_map_is_valid_and_reaches_both_ends(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path
) -> None:
    submission = run(model, dataset, tmp_path / "s.h5", method="sem")

    assert validate(tmp_path / "s.h5", dataset.store) == []
    assert submission.dtype == np.uint8
    for plane in submission.read(range(COUNT)):
        assert plane.shape == (8, 8)
        assert (plane.min(), plane.max()) == (0, 255)


def test_uint8_is_the_nearest_level(model: ClassMapModel, dataset: Dataset, tmp_path: Path) -> None:
    whole = run(model, dataset, tmp_path / "f.h5", map_dtype="float32").read(range(COUNT))
    half = run(model, dataset, tmp_path / "h.h5", map_dtype="float16").read(range(COUNT))
    levels = run(model, dataset, tmp_path / "u.h5").read(range(COUNT))

    for exact, rounded, level in zip(whole, half, levels, strict=True):
        assert rounded.dtype == np.float16
        assert np.array_equal(rounded, exact.astype(np.float16))
        assert np.array_equal(level, np.round(exact * np.float32(255)).astype(np.uint8))


def test_header_says_how_the_maps_were_made(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path
) -> None:
    header = run(
        model, dataset, tmp_path / "s.h5", method="sem", seeds=0.1, metadata={"commit": "abc"}
    ).header

    assert (header.dataset, header.split) == ("drawn", "val")
    assert header.normalisation == (
        "min-max of each map at feature size, a constant map is zero; "
        "stored as round(255 * value) in uint8"
    )
    method = dict(header.method)
    assert method.pop("paper").startswith("Zhang et al., Rethinking Localization Map")
    assert method.pop("code").startswith("wsolbench ")
    assert method == {
        "name": "SEM",
        "backbone": "small",
        "parameters": {"size": 16, "seeds": 0.1},
        "commit": "abc",
    }


def test_random_weights_are_recorded(dataset: Dataset, tmp_path: Path) -> None:
    model = load_backbone("squeezenet1_1", random_weights_seed=7, classes=6)

    method = run(
        model, dataset, tmp_path / "s.h5", size=64, metadata={"name": "trial"}
    ).header.method

    assert (method["name"], method["seed"], method["random_weights"]) == ("trial", 7, True)
    assert method["parameters"] == {"size": 64}


def test_preprocessing_is_recorded(dataset: Dataset, tmp_path: Path) -> None:
    model = load_backbone(
        "squeezenet1_1", random_weights_seed=7, classes=6, preprocessing="half-range"
    )

    method = run(model, dataset, tmp_path / "s.h5", size=64).header.method

    assert method["parameters"] == {"size": 64, "preprocessing": "half-range"}
    assert "preprocessing" not in method


def test_fewer_than_five_classes_leave_the_last_places_empty(tmp_path: Path) -> None:
    model = ClassMapModel("three", Small(), imagenet_input)
    model.module.last = nn.Conv2d(12, 3, 1)
    dataset = make_dataset(tmp_path, [i % 3 for i in range(COUNT)])

    submission = run(model, dataset, tmp_path / "s.h5", label="predicted")

    assert submission.top5 is not None
    for i in range(COUNT):
        _, _, logits = by_hand(model, dataset, i)
        best = logits[0].argsort(descending=True).tolist()
        assert submission.top5[i].tolist() == [*best, -1, -1]


# -- the same bytes ------------------------------------------------------------------------------


def test_same_run_same_bytes_whatever_the_workers(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path
) -> None:
    options = {"method": "sem", "batch_size": 3}
    first = run(model, dataset, tmp_path / "a.h5", **options).sha256

    assert run(model, dataset, tmp_path / "b.h5", **options).sha256 == first
    assert run(model, dataset, tmp_path / "c.h5", workers=2, **options).sha256 == first


@pytest.mark.parametrize("method", ["cam", "sem"])
def test_another_batch_size_moves_no_value_by_more_than_rounding(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path, method: str
) -> None:
    options = {"method": method, "map_dtype": "float32"}
    one = run(model, dataset, tmp_path / "a.h5", batch_size=1, **options).read(range(COUNT))
    all_ = run(model, dataset, tmp_path / "b.h5", batch_size=COUNT, **options).read(range(COUNT))

    assert max(np.abs(a - b).max() for a, b in zip(one, all_, strict=True)) < 1e-5


# -- going on, progress, restoring ---------------------------------------------------------------


def test_resume_skips_what_is_written(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path
) -> None:
    class StopHereError(Exception):
        pass

    def stop_after_four(done: int, total: int) -> None:
        if done == 4:
            raise StopHereError

    whole = run(model, dataset, tmp_path / "whole.h5", batch_size=2, map_dtype="float32")
    out = tmp_path / "s.h5"
    with pytest.raises(StopHereError):
        run(
            model,
            dataset,
            out,
            batch_size=2,
            map_dtype="float32",
            resume=True,
            progress=stop_after_four,
        )
    assert not out.exists()
    model.module.seen.clear()
    told: list[tuple[int, int]] = []

    resumed = run(
        model,
        dataset,
        out,
        batch_size=2,
        map_dtype="float32",
        resume=True,
        progress=lambda done, total: told.append((done, total)),
    )

    assert model.module.seen == [1, 2, 1]  # the probe, then three photos
    assert told == [(4, 7), (6, 7), (7, 7)]
    assert resumed.image_ids == whole.image_ids
    for ours, theirs in zip(resumed.read(range(COUNT)), whole.read(range(COUNT)), strict=True):
        assert np.abs(ours - theirs).max() < 1e-5


def test_nothing_is_left_behind_without_resume(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path
) -> None:
    (dataset.images or tmp_path).joinpath("p5.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")

    with pytest.raises(WsolbenchError, match=r"p5\.png: found "):
        run(model, dataset, tmp_path / "s.h5", batch_size=2)

    assert [path.name for path in tmp_path.glob("*s.h5*")] == []


def test_modes_are_as_before_even_after_an_exception(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path
) -> None:
    module = model.module
    module.train()
    module.last.eval()
    before = [part.training for part in module.modules()]

    run(model, dataset, tmp_path / "s.h5")
    assert [part.training for part in module.modules()] == before

    (dataset.images or tmp_path).joinpath("p0.png").unlink()
    with pytest.raises(WsolbenchError, match=r"p0\.png: found no such file"):
        run(model, dataset, tmp_path / "t.h5")
    assert [part.training for part in module.modules()] == before
    assert True in before
    assert False in before


def test_no_gradient_is_kept(model: ClassMapModel, dataset: Dataset, tmp_path: Path) -> None:
    run(model, dataset, tmp_path / "s.h5")

    assert all(parameter.grad is None for parameter in model.module.parameters())
    assert all(parameter.requires_grad for parameter in model.module.parameters())


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_photo_of_another_size_is_named(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path, workers: int
) -> None:
    Image.new("RGB", (10, 10)).save((dataset.images or tmp_path) / "p2.png")

    with pytest.raises(WsolbenchError, match=r"p2\.png: found width 10, height 10, expected width"):
        run(model, dataset, tmp_path / "s.h5", workers=workers)


@pytest.mark.parametrize(
    "classes, message",
    [
        (
            [0, -1, 2, -1, -1, -1],
            r"drawn val: found no class for 4 of 6 images: p1, p3, p4 and 1 more, expected",
        ),
        ([0, 1, 6], r"drawn\.h5: a class outside the 6 of small for 1 of 3 images: p2; join"),
    ],
)
def test_classes_that_the_model_has_not_are_listed_before_any_work(
    model: ClassMapModel, tmp_path: Path, classes: list[int], message: str
) -> None:
    dataset = make_dataset(tmp_path, classes)

    with pytest.raises(WsolbenchError, match=message):
        run(model, dataset, tmp_path / "s.h5")

    assert model.module.seen == [1]  # the probe alone
    options = {"label": "predicted", "class_map": "same", "skip_unmapped": True}
    written = run(model, dataset, tmp_path / "s.h5", **options)
    assert len(written) == len([index for index in classes if index < 6])


# -- classes of the annotations and of the model -------------------------------------------------

NAMED = [("", "cat"), ("", "dog"), ("", "emu")]
JOINED = {"cat": [4, 1], "dog": 0}


def named_dataset(folder: Path, classes: list[int]) -> Dataset:
    """As `make_dataset`, with a list of three classes."""
    plain = make_dataset(folder, classes).store
    rows = [
        annotation(plain.image_ids[row], plain.mask(row), class_index=int(plain.class_indices[row]))
        for row in range(len(plain))
    ]
    write_store(folder / "named.h5", AnnotationSet("drawn", rows, NAMED))
    return Dataset.open(folder / "named.h5", images=folder)


@pytest.mark.parametrize("label", ["gt", "predicted"])
@pytest.mark.parametrize("method", ["cam", "sem"])
def test_a_joined_class_is_mapped_by_its_best_model_class(
    model: ClassMapModel, tmp_path: Path, method: str, label: str
) -> None:
    dataset = named_dataset(tmp_path, [0, 1, 0, 1, 0, 0])
    options: dict[str, Any] = {"method": method, "label": label, "map_dtype": "float32"}

    submission = run(model, dataset, tmp_path / "s.h5", class_map=JOINED, **options)

    assert validate(tmp_path / "s.h5", dataset.store) == []
    assert submission.top5 is not None
    class_of = {4: 0, 1: 0, 0: 1}
    kept = {"classes": 2, "model_classes": 6}
    told = submission.header.method["parameters"]["class_map"]
    assert {**told, **kept} == told
    assert (told["name"], len(told["sha256"])) == ("mapping", 64)
    for place, map_ in enumerate(submission.read(range(6))):
        class_maps, features, logits = by_hand(model, dataset, place)
        allowed = [4, 1] if dataset.class_indices[place] == 0 else [0]
        chosen = max(allowed, key=lambda index: float(logits[0, index]))
        if label == "predicted":
            chosen = int(logits.argmax())
        wanted = torch.tensor([chosen])
        plane = class_activation_maps(class_maps, wanted)
        if method == "sem":
            plane = self_enhancement_maps(class_channels(class_maps, wanted), features, 5)
        assert np.abs(map_ - plane[0].numpy()).max() < 1e-5
        expected: list[int] = []
        for index in logits[0].argsort(descending=True)[:5].tolist():
            translated = class_of.get(index, 1_000_000_000 + index)
            expected += [] if translated in expected else [translated]
        assert submission.top5[place].tolist() == (expected + [-1] * 5)[:5]


@pytest.mark.parametrize("label", ["gt", "predicted"])
def test_classes_without_model_class_are_named_or_left_out(
    model: ClassMapModel, tmp_path: Path, label: str
) -> None:
    dataset = named_dataset(tmp_path, [0, 2, 1, 2, 0])
    message = r"1 class without a class of the model: emu \(2 of 5 images\); .*--skip-unmapped"
    with pytest.raises(WsolbenchError, match=message):
        run(model, dataset, tmp_path / "s.h5", class_map=JOINED, label=label)
    assert not (tmp_path / "s.h5").exists()

    kept = predict(
        model,
        dataset,
        tmp_path / "s.h5",
        size=SIZE,
        device="cpu",
        class_map=JOINED,
        label=label,
        skip_unmapped=True,
    )

    assert kept.dataset.image_ids == ["p0", "p2", "p4"]
    assert Submission.open(tmp_path / "s.h5").image_ids == ["p0", "p2", "p4"]
    result = evaluate(dataset, tmp_path / "s.h5", ids=["p4", "p0", "p2"])
    assert (result.images, result.counts["missing"]) == (3, 0)
    assert result.ids == kept.dataset.subset
    with pytest.raises(WsolbenchError, match="no map for 2 of 5 images: p1, p3"):
        evaluate(dataset, tmp_path / "s.h5")


def test_nothing_left_is_refused(model: ClassMapModel, tmp_path: Path) -> None:
    dataset = named_dataset(tmp_path, [2, 2, 2])
    with pytest.raises(WsolbenchError, match="no image would be left"):
        run(model, dataset, tmp_path / "s.h5", class_map=JOINED, skip_unmapped=True)


def test_wrong_indices_are_noted(model: ClassMapModel, dataset: Dataset, tmp_path: Path) -> None:
    options: dict[str, Any] = {"size": SIZE, "device": "cpu"}
    top = run(model, dataset, tmp_path / "s.h5").top5
    assert top is not None
    never = (top[:, 0] + 1) % 6
    wrong = make_dataset(tmp_path, [*never[:-1].tolist(), 5])
    outcome = predict(model, wrong, tmp_path / "w.h5", **options, class_map="same")
    right = int(top[-1, 0] == 5)
    assert right == 0
    assert outcome.notes[0].startswith("none of 7 images of drawn val is classified correctly")
    best = make_dataset(tmp_path, [*top[:-1, 0].tolist(), 5])
    assert predict(model, best, tmp_path / "b.h5", **options, class_map="same").notes == ()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "grad-cam"}, "method: found 'grad-cam', expected cam or sem"),
        ({"label": "top"}, "label: found 'top'"),
        ({"map_dtype": "float64"}, "expected uint8, float16 or float32"),
        ({"batch_size": 0}, "batch_size: found 0, expected at least 1"),
        ({"workers": -1}, "workers: found -1"),
        ({"method": "sem", "seeds": 65}, r"found 65 on maps of 8x8, .* an integer from 1 to 64"),
        ({"device": "abacus"}, "device 'abacus': found an unknown device"),
        ({"device": "cuda:99"}, r"device 'cuda:99': only \d+ cuda devices"),
        ({"device": "meta"}, "only 0 meta devices"),
    ],
)
def test_options_out_of_range(
    model: ClassMapModel,
    dataset: Dataset,
    tmp_path: Path,
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(WsolbenchError, match=message):
        run(model, dataset, tmp_path / "s.h5", **options)


def logits_alone(module: Small, images: Tensor) -> object:
    return Small.forward(module, images)[2]


def other_features(module: Small, images: Tensor) -> object:
    class_maps, features, logits = Small.forward(module, images)
    return class_maps, features[:, :, 1:], logits


def broken(module: Small, images: Tensor) -> object:
    raise KeyError("layer5")


@pytest.mark.parametrize(
    "forward, message",
    [
        (logits_alone, r"backbone small: found one tensor \(1, 6\), expected"),
        (other_features, r"shapes \(1, 6, 8, 8\), \(1, 12, 7, 8\), \(1, 6\) .*expected"),
        (broken, r"backbone small: KeyError: 'layer5' at .*test_predict\.py:\d+; correct"),
    ],
)
def test_modules_that_give_something_else(
    model: ClassMapModel,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forward: Callable[[Small, Tensor], object],
    message: str,
) -> None:
    module = model.module
    monkeypatch.setattr(module, "forward", lambda images: forward(module, images))

    with pytest.raises(WsolbenchError, match=message):
        run(model, dataset, tmp_path / "s.h5")


@pytest.mark.parametrize("method, part", [("cam", "last"), ("sem", "first")])
def test_outputs_that_are_not_finite_are_refused_and_named(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path, method: str, part: str
) -> None:
    model.module.get_submodule(part).weight.data[0, 0] = float("nan")

    message = rf"NaN or infinite values in its parameter {part}\.weight, .* p0, p1, p2 and 4 more; "
    with pytest.raises(WsolbenchError, match=message):
        run(model, dataset, tmp_path / "s.h5", method=method)


def flat(photo: Image.Image, size: int) -> Tensor:
    return imagenet_input(photo, size)[0]


def lost(photo: Image.Image, size: int) -> Tensor:
    raise IndexError("no channel 4")


def picky(photo: Image.Image, size: int) -> Tensor:
    if photo.height == 26:
        raise ValueError("too plain")
    return imagenet_input(photo, size)


@pytest.mark.parametrize(
    "preprocess, workers, message",
    [
        (
            flat,
            0,
            r"preprocess of a grey picture: found \(16, 16\), expected a tensor \(3, 16, 16\)",
        ),
        (
            picky,
            0,
            r"preprocess of p2: ValueError: too plain at .*test_predict\.py:\d+; correct",
        ),
        (
            picky,
            2,
            r"preprocess of p2: ValueError: too plain at .*test_predict\.py:\d+; correct",
        ),
        (
            lost,
            0,
            r"preprocess of a grey picture: IndexError: no channel 4 at .*\.py:\d+; correct",
        ),
    ],
)
def test_preprocessing_that_fails(
    dataset: Dataset,
    tmp_path: Path,
    preprocess: Callable[[Image.Image, int], Tensor],
    workers: int,
    message: str,
) -> None:
    model = ClassMapModel("small", Small(), preprocess)

    with pytest.raises(WsolbenchError, match=message) as caught:
        run(model, dataset, tmp_path / "s.h5", workers=workers)
    assert "\n" not in str(caught.value)


LOST = """
import os, signal, sys
import tests.baselines.test_predict as here
from wsolbench.baselines.backbones import ClassMapModel, imagenet_input
from wsolbench.baselines.predict import predict
from wsolbench.data.dataset import Dataset

home = os.getpid()

def preprocess(photo, size):
    if os.getpid() != home:
        FAULT
    return imagenet_input(photo, size)

folder = sys.argv[1]
model = ClassMapModel("small", here.Small(), preprocess)
dataset = Dataset.open(folder + "/drawn.h5", images=folder)
try:
    predict(model, dataset, folder + "/s.h5", size=16, device="cpu", workers=2)
except here.WsolbenchError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "fault, message",
    [
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            r"processes reading photos: RuntimeError: .*(killed|exited).*workers=0\n",
        ),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGSTOP)",
            r"processes reading photos: found process \d+(, process \d+)? stopped, expected "
            r"processes that read; run the same command with --resume, or .*\n",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="asks /proc"),
        ),
        pytest.param(
            "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))",
            r"processes reading photos: no shared memory for a batch \(.*File too large.*\n",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="shared memory in files"),
        ),
    ],
    ids=["killed", "stopped", "full"],
)
def test_a_lost_reader_is_one_line(dataset: Dataset, fault: str, message: str) -> None:
    # In a process of its own: the queues of a killed worker may complain when they are collected.
    program = "import wsolbench.baselines.reading as reading; reading.LOOK_SECONDS = 0.5\n"
    program += LOST.replace("FAULT", fault)
    done = subprocess.run(
        [sys.executable, "-c", program, str(dataset.images)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert re.fullmatch(message, done.stdout), (done.stdout, done.stderr)
    assert not Path(str(dataset.images), "s.h5").exists()


def test_constant_map_is_zero(dataset: Dataset, tmp_path: Path) -> None:
    model = ClassMapModel("small", Small(), imagenet_input)
    model.module.last.weight.data.zero_()

    for method in ("cam", "sem"):
        submission = run(model, dataset, tmp_path / "s.h5", method=method)
        assert max(plane.max() for plane in submission.read(range(COUNT))) == 0


# -- normalisations ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cam", "sem"])
def test_one_run_gives_a_submission_a_normalisation(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path, method: str
) -> None:
    outs = {name: tmp_path / f"{place}.h5" for place, name in enumerate(["max", "ivr:30"])}
    options: dict[str, Any] = {"size": SIZE, "device": "cpu", "map_dtype": "float32"}
    options |= {"method": method, "seeds": 5}
    predict(model, dataset, {**outs, "min-max": tmp_path / "usual.h5"}, **options)
    runs = len(model.module.seen)
    alone = tmp_path / "alone.h5"
    usual = run(model, dataset, alone, map_dtype="float32", method=method, seeds=5)
    assert len(model.module.seen) == 2 * runs
    read = Submission.open(tmp_path / "usual.h5")
    assert all(
        (ours == alone).all()
        for ours, alone in zip(read.read(range(COUNT)), usual.read(range(COUNT)), strict=True)
    )
    for name, path in outs.items():
        submission = Submission.open(path)
        assert submission.header.method["parameters"]["normalisation"] == name
        assert submission.header.normalisation.startswith(name.partition(":")[0])
        assert (submission.top5 == usual.top5).all()
        for i, map_ in enumerate(submission.read(range(COUNT))):
            class_maps, features, _ = by_hand(model, dataset, i)
            raw = class_maps[:, int(dataset.class_indices[i])]
            if method == "sem":
                raw = seed_similarities(raw, features, 5)
            assert np.abs(map_ - normalisation_named(name)(raw[0].numpy())).max() < 1e-5


def test_values_that_none_leaves_out_of_range_are_refused(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path
) -> None:
    outs = {"none": tmp_path / "n.h5", "max": tmp_path / "m.h5"}
    with pytest.raises(WsolbenchError, match="choose a normalisation"):
        predict(model, dataset, outs, size=SIZE, device="cpu")
    assert list(tmp_path.glob("*.h5")) == [tmp_path / "drawn.h5"]
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.parametrize("before", ["", "import wsolbench.baselines.predict; "])
def test_the_package_gives_the_function_not_its_module(before: str) -> None:
    program = f"{before}from wsolbench.baselines import predict, min_max; print(predict.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "predict\n", done.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_photos_with_an_exif_orientation_are_counted_and_turned_on_request(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path, workers: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    for index in (1, 4):
        path = dataset.image_path(index)
        with Image.open(path) as picture:
            picture.load()
        picture.save(path, exif=exif.tobytes())
    maps = []
    for choice, done in (("ignore", "was ignored (--exif apply if"), ("apply", "was applied")):
        opened = Dataset.open(dataset.store.path, images=tmp_path, exif=choice)
        predicted = predict(
            model, opened, tmp_path / f"{choice}.h5", size=SIZE, device="cpu", workers=workers
        )
        assert f"2 photos have an EXIF orientation, which {done}" in predicted.notes[0]
        submission = Submission.open(tmp_path / f"{choice}.h5")
        maps.append(submission.read(range(COUNT)))
        parameters = submission.header.method["parameters"]
        assert isinstance(parameters, dict)
        assert parameters.get("exif") == (choice if choice == "apply" else None)
    changed = [not np.array_equal(*pair) for pair in zip(*maps, strict=True)]
    assert [index for index, other in enumerate(changed) if other] == [1, 4]


@pytest.mark.parametrize("form", ["min-max", "max", "ivr:30"])
@pytest.mark.parametrize("map_dtype", ["uint8", "float32"])
def test_predicted_and_imported_maps_have_the_same_bytes(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path, form: str, map_dtype: str
) -> None:
    (tmp_path / "raw").mkdir()
    for index, image_id in enumerate(dataset.image_ids):
        class_maps, _, _ = by_hand(model, dataset, index)
        label = torch.tensor([int(dataset.class_indices[index])])
        np.save(tmp_path / "raw" / f"{image_id}.npy", class_channels(class_maps, label)[0].numpy())
    options = {"size": SIZE, "device": "cpu", "map_dtype": map_dtype, "batch_size": 1}
    predict(model, dataset, {form: tmp_path / "p.h5"}, **options)
    outs = {normalisation_named(form): tmp_path / "i.h5"}
    import_maps(tmp_path / "raw", dataset, outs, method={"name": "m"}, dtype=map_dtype)
    pairs = [Submission.open(tmp_path / name).read(range(COUNT)) for name in ("p.h5", "i.h5")]
    assert all(np.array_equal(*pair) for pair in zip(*pairs, strict=True))


@pytest.mark.parametrize("changed", ["network", "photos", "annotations"])
def test_a_run_is_resumed_only_with_the_same_inputs(
    model: ClassMapModel, dataset: Dataset, tmp_path: Path, changed: str
) -> None:
    def stop(done: int, _: int) -> None:
        if done:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"size": SIZE, "device": "cpu", "batch_size": 2}
    with pytest.raises(KeyboardInterrupt):
        predict(model, dataset, tmp_path / "s.h5", progress=stop, **options)
    if changed == "network":
        with torch.no_grad():
            model.module.last.weight.neg_()
    elif changed == "photos":
        shutil.copytree(tmp_path, tmp_path / "others")
        dataset = Dataset.open(dataset.store.path, images=tmp_path / "others")
    else:
        dataset = make_dataset(tmp_path, [(i + 1) % 6 for i in range(COUNT)])
    with pytest.raises(WsolbenchError, match=rf"unfinished run with inputs\.{changed}"):
        predict(model, dataset, tmp_path / "s.h5", resume=True, **options)
