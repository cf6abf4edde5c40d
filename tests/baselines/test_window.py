"""Windows of models: what a preprocess shows is measured, and compared with what is stated."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision import transforms as tv

from tests.conftest import annotation
from wsolbench.baselines import ClassMapModel
from wsolbench.baselines.backbones import imagenet_input
from wsolbench.baselines.predict import predict
from wsolbench.baselines.window import check_window, measure_window, stated_windows
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.validate import validate
from wsolbench.maps.windows import centre_crop

SIZE = 224
SHAPES = [(200, 300), (300, 200), (240, 240)]
NORMALISE = tv.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

Step = Callable[[Image.Image], Image.Image]


def made(*steps: object, colour: object = NORMALISE) -> Callable[[Image.Image, int], Tensor]:
    chain = tv.Compose([*steps, tv.ToTensor(), colour])
    return lambda photo, size: chain(photo)


def resized(photo: Image.Image, size: int) -> Image.Image:
    return photo.resize((size, size), Image.Resampling.BILINEAR)


def photos(folder: Path, shapes: list[tuple[int, int]] = SHAPES) -> Dataset:
    annotations = [
        annotation(f"p{place}", np.ones(shape, bool)) for place, shape in enumerate(shapes)
    ]
    write_store(folder / "photos.h5", AnnotationSet("photos", annotations))
    return Dataset.open(folder / "photos.h5")


def model(preprocess: object, window: object = None) -> ClassMapModel:
    return ClassMapModel("mine", nn.Identity(), preprocess, window=window)


CROP = (tv.Resize(256), tv.CenterCrop(SIZE))
SQUARE = (tv.Resize((256, 256)), tv.CenterCrop(SIZE))


def letterbox(photo: Image.Image, size: int) -> Tensor:
    return made()(ImageOps.pad(photo, (size, size), color=(124, 116, 104)), size)


def letterbox_window(height: int, width: int, size: int) -> tuple[float, ...]:
    side = max(height, width)
    x, y = (side - width) / 2, (side - height) / 2
    return -x, -y, width + x, height + y


def left_half(photo: Image.Image) -> Image.Image:
    return photo.crop((0, 0, photo.width // 2, photo.height))


def edges(photo: Image.Image, size: int) -> Tensor:
    return imagenet_input(photo, size).diff(dim=2, append=torch.zeros(3, size, 1))


WHOLE = {
    "imagenet_input": imagenet_input,
    "torchvision": made(tv.Resize((SIZE, SIZE))),
    "nearest": made(tv.Resize((SIZE, SIZE), tv.InterpolationMode.NEAREST)),
    "bicubic": made(tv.Resize((SIZE, SIZE), tv.InterpolationMode.BICUBIC)),
    "no antialias": made(
        tv.PILToTensor(), tv.Resize((SIZE, SIZE), antialias=False), tv.ToPILImage()
    ),
    "grey": made(tv.Resize((SIZE, SIZE)), tv.Grayscale(3)),
    "one channel": lambda photo, size: imagenet_input(photo, size) * torch.eye(3)[0][:, None, None],
    "negative BGR": lambda photo, size: -255 * imagenet_input(photo, size).flip(0),
}
STATED = {
    "256/224": (made(*CROP), centre_crop(256, SIZE)),
    "232/224": (made(tv.Resize(232), tv.CenterCrop(SIZE)), centre_crop(232, SIZE)),
    "256x256/224": (made(*SQUARE), centre_crop((256, 256), SIZE)),
    "shorter side": (made(tv.Resize(SIZE), tv.CenterCrop(SIZE)), centre_crop(SIZE, SIZE)),
    "letterbox": (letterbox, letterbox_window),
    "crop without resizing": (
        made(tv.CenterCrop(160), tv.Resize(SIZE)),
        lambda height, width, size: (
            *(width / 2 - 80, height / 2 - 80),
            *(width / 2 + 80, height / 2 + 80),
        ),
    ),
    "the left half": (
        lambda photo, size: imagenet_input(
            photo.crop((0, 0, photo.width // 2, photo.height)), size
        ),
        lambda height, width, size: [0, 0, width // 2, height],
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_photos_need_no_window(tmp_path: Path, name: str) -> None:
    check_window(model(WHOLE[name]), photos(tmp_path), SIZE)
    measured = measure_window(WHOLE[name], (200, 300), SIZE)
    assert measured is not None
    assert measured.wrong == ""
    assert measured.window == pytest.approx((0, 0, 300, 200), abs=0.8)


@pytest.mark.parametrize("size", [7, 16, 32, 448])
def test_inputs_of_other_sizes_are_measured(size: int) -> None:
    for height, width in ((24, 40), (96, 64), (600, 800)):
        measured = measure_window(imagenet_input, (height, width), size)
        assert measured is not None
        grain = max(height, width) / 255 + max(height, width) / size / 4
        assert measured.window == pytest.approx((0, 0, width, height), abs=grain)


@pytest.mark.parametrize("name", STATED)
def test_windows_that_are_stated_are_found(tmp_path: Path, name: str) -> None:
    preprocess, window = STATED[name]
    check_window(model(preprocess, window), photos(tmp_path), SIZE)
    for height, width in SHAPES:
        measured = measure_window(preprocess, (height, width), SIZE)
        assert measured is not None
        assert measured.window == pytest.approx(tuple(window(height, width, SIZE)), abs=1.5)


@pytest.mark.parametrize("name", STATED)
def test_windows_that_are_not_stated_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WsolbenchError, match="photo, but the model states no window, so its maps"):
        check_window(model(STATED[name][0]), photos(tmp_path), SIZE)


@pytest.mark.parametrize("name", STATED)
def test_windows_that_are_not_shown_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WsolbenchError, match=r"but ClassMapModel\.window states"):
        check_window(model(imagenet_input, STATED[name][1]), photos(tmp_path), SIZE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "256/224",
            "preprocess of mine: the input shows the middle 72.* % of the width and the middle "
            "87.* % of the height of a 301x250 photo, but the model states no window, so its maps "
            r"would be stretched over whole photos; pass ClassMapModel\(window="
            r"wsolbench.centre_crop\(256, 224\)\), or resize",
        ),
        ("232/224", r"centre_crop\(232, 224\)"),
        ("256x256/224", r"the middle 87.* % of the width.*centre_crop\(\(256, 256\), 224\)"),
        ("shorter side", r"the middle 83.* % of the width and the whole height.*\(224, 224\)"),
        ("letterbox", r"the whole width and the height and padding, 120.* % of it.*FUNCTION\(heig"),
        ("the left half", r"pixels -?0.* to 150.* of the width and the whole height"),
        ("crop without resizing", r"53.* % of the width and the middle 6[34].* %.*=FUNCTION"),
    ],
)
def test_the_message_has_numbers_and_a_cure(tmp_path: Path, name: str, message: str) -> None:
    dataset = photos(tmp_path, [(200, 300), (250, 301), (299, 200)])
    with pytest.raises(WsolbenchError, match=message) as caught:
        check_window(model(STATED[name][0]), dataset, SIZE)
    assert "\n" not in str(caught.value)


TURNED = {
    "mirrored left to right": Image.Transpose.FLIP_LEFT_RIGHT,
    "mirrored top to bottom": Image.Transpose.FLIP_TOP_BOTTOM,
    "turned by 180 degrees": Image.Transpose.ROTATE_180,
    "turned by 90 degrees clockwise": Image.Transpose.ROTATE_270,
    "turned by 90 degrees counter-clockwise": Image.Transpose.ROTATE_90,
    "with rows and columns exchanged;": Image.Transpose.TRANSPOSE,
    "exchanged and turned by 180 degrees": Image.Transpose.TRANSVERSE,
}


@pytest.mark.parametrize("words", TURNED)
@pytest.mark.parametrize("cropped", [False, True])
def test_turned_photos_are_refused_by_name(tmp_path: Path, words: str, cropped: bool) -> None:
    steps = CROP if cropped else (tv.Resize((SIZE, SIZE)),)
    window = centre_crop(256, SIZE) if cropped else None
    preprocess = made(lambda photo: photo.transpose(TURNED[words]), *steps)
    with pytest.raises(WsolbenchError, match=r"the input shows a \d+x\d+ photo") as caught:
        check_window(model(preprocess, window), photos(tmp_path), SIZE)
    assert words.rstrip(";") + ("," if words.endswith(";") else "") in str(caught.value)


def test_portraits_turned_into_landscapes_are_refused(tmp_path: Path) -> None:
    def upright(photo: Image.Image) -> Image.Image:
        return photo.transpose(Image.Transpose.ROTATE_90) if photo.height > photo.width else photo

    preprocess = made(upright, tv.Resize((SIZE, SIZE)))
    check_window(model(preprocess), photos(tmp_path, [(200, 300), (200, 200)]), SIZE)
    with pytest.raises(WsolbenchError, match="a 200x300 photo turned by 90 degrees counter"):
        check_window(model(preprocess), photos(tmp_path), SIZE)


@pytest.mark.parametrize("degrees", [2, 5, -20])
def test_slanted_photos_are_refused(tmp_path: Path, degrees: int) -> None:
    preprocess = made(lambda photo: photo.rotate(degrees), tv.Resize((SIZE, SIZE)))
    with pytest.raises(WsolbenchError, match="turned or slanted"):
        check_window(model(preprocess), photos(tmp_path), SIZE)


RANDOM = {
    "crop": made(tv.Resize(256), tv.RandomCrop(SIZE)),
    "padded crop": made(tv.Resize((SIZE, SIZE)), tv.RandomCrop(SIZE, padding=8)),
    "resized crop": made(tv.RandomResizedCrop(SIZE)),
    "flip": made(tv.Resize((SIZE, SIZE)), tv.RandomHorizontalFlip()),
    "shift": made(tv.Resize((SIZE, SIZE)), tv.RandomAffine(3, translate=(0.05, 0.05))),
    "training": made(
        tv.RandomResizedCrop(SIZE), tv.RandomHorizontalFlip(), tv.ColorJitter(0.3, 0.3, 0.3)
    ),
}


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("window", [None, centre_crop(256, 224)])
def test_random_places_are_refused(tmp_path: Path, name: str, window: object) -> None:
    torch.manual_seed(0)
    random.seed(0)
    with pytest.raises(WsolbenchError, match=r"photo differently each time, .*without random"):
        check_window(model(RANDOM[name], window), photos(tmp_path), SIZE)


def standardised(photo: Image.Image, size: int) -> Tensor:
    tensor = tv.functional.to_tensor(resized(photo, size))
    return (tensor - tensor.mean()) / (tensor.std() + 1e-6)


def raising(photo: Image.Image, size: int) -> Tensor:
    if len(photo.getcolors(256) or range(3)) < 3:
        raise ValueError("no picture")
    return imagenet_input(photo, size)


UNMEASURED = {
    "noise": lambda photo, size: imagenet_input(photo, size) + torch.randn(3, size, size) / 50,
    "jitter": made(tv.Resize((SIZE, SIZE)), tv.ColorJitter(0.3, 0.3, 0.3)),
    "standardised": standardised,
    "stretched": made(tv.Resize((SIZE, SIZE)), lambda photo: ImageOps.autocontrast(photo, 10)),
    "equalised": made(tv.Resize((SIZE, SIZE)), ImageOps.equalize),
    "gamma": made(tv.Resize((SIZE, SIZE)), lambda photo: tv.functional.adjust_gamma(photo, 2.2)),
    "raising": raising,
    "not finite": lambda photo, size: imagenet_input(photo, size) / 0,
    "edges": lambda photo, size: imagenet_input(photo, size).diff(
        dim=2, append=torch.zeros(3, size, 1)
    ),
}


@pytest.mark.parametrize("name", UNMEASURED)
@pytest.mark.parametrize("window", [None, centre_crop(256, 224)])
def test_what_cannot_be_measured_is_not_refused(tmp_path: Path, name: str, window: object) -> None:
    torch.manual_seed(0)
    assert measure_window(UNMEASURED[name], (200, 300), SIZE) is None
    check_window(model(UNMEASURED[name], window), photos(tmp_path), SIZE)


def test_only_sizes_of_the_data_set_are_measured(tmp_path: Path) -> None:
    """A crop that changes nothing for square photos is no fault of theirs."""
    preprocess = made(tv.Resize(SIZE), tv.CenterCrop(SIZE))
    check_window(model(preprocess), photos(tmp_path, [(300, 300), (64, 64)]), SIZE)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (lambda h, w, size: None, r"mine for a 300x200 photo: found None, expected x0, y0, x1, y1"),
        (lambda h, w, size: (0, 0, w), r"found \(0, 0, 300\)"),
        (lambda h, w, size: (0, 0, w, "h"), "expected x0, y0, x1, y1 in pixels"),
        (lambda h, w, size: (0, 0, float("nan"), h), "nan.*finite"),
        (lambda h, w, size: (0.1, 0.1, 0.9, 0.9), "at least one pixel wide"),
        (lambda h, w, size: (16, 16, 240, 240), "lies within the image or covers all of it"),
        (lambda h, w, size: 1 / 0, r"ZeroDivisionError: division by zero at .*test_window.py"),
        (lambda h, w: (0, 0, w, h), "TypeError: .* takes 2 positional arguments"),
    ],
)
def test_windows_that_are_none(tmp_path: Path, window: object, message: str) -> None:
    dataset = photos(tmp_path, [(200, 300)])
    for check in (stated_windows, check_window):
        with pytest.raises(WsolbenchError, match=message):
            check(model(imagenet_input, window), dataset, SIZE)


# -- from the photo to the score -----------------------------------------------------------------


class Bright(nn.Module):
    """One class: the brightness of the input, averaged in fields of 4x4."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 4)
        return maps, maps, maps.mean(dim=(2, 3))


def squares(folder: Path) -> Dataset:
    """Black photos with a white square, which is the mask."""
    annotations = []
    for name, shape, (y, x) in (
        ("a", (160, 240), (40, 60)),
        ("b", (240, 160), (100, 70)),
        ("c", (160, 160), (60, 50)),
        ("d", (160, 320), (30, 150)),
    ):
        mask = np.zeros(shape, bool)
        mask[y : y + 48, x : x + 48] = True
        Image.fromarray(mask * np.uint8(255)).convert("RGB").save(folder / f"{name}.png")
        annotations.append(annotation(name, mask))
    write_store(folder / "squares.h5", AnnotationSet("squares", annotations))
    return Dataset.open(folder / "squares.h5", images=folder)


def run(dataset: Dataset, out: Path, preprocess: object, window: object, **more: object) -> float:
    own = ClassMapModel("bright", Bright(), preprocess, window=window)
    predict(own, dataset, out, size=SIZE, device="cpu", **more)
    return float(evaluate(dataset, out).scores["peak_iou"])


def test_a_crop_scores_as_the_whole_photo_does(tmp_path: Path) -> None:
    dataset = squares(tmp_path)
    whole = run(dataset, tmp_path / "whole.h5", imagenet_input, None)
    for preprocess, window in (
        (made(*CROP), centre_crop(256, SIZE)),
        (made(*SQUARE), centre_crop((256, 256), SIZE)),
        (letterbox, letterbox_window),
    ):
        assert run(dataset, tmp_path / "c.h5", preprocess, window) == pytest.approx(whole, abs=0.05)
    assert whole > 0.9


def test_the_submission_holds_windows_and_words(tmp_path: Path) -> None:
    dataset = squares(tmp_path)
    run(dataset, tmp_path / "s.h5", made(*CROP), centre_crop(256, SIZE), batch_size=3)
    assert validate(tmp_path / "s.h5", dataset.store) == []
    with Submission.open(tmp_path / "s.h5") as submission:
        assert submission.windows is not None
        assert submission.windows[3].tolist() == [90, 10, 230, 150]
        parameters = submission.header.method["parameters"]
    assert parameters == {"size": SIZE, "window": "centre crop 256/224"}
    assert evaluate(dataset, tmp_path / "s.h5").counts["windowed"] == 4
    run(dataset, tmp_path / "l.h5", letterbox, letterbox_window)
    with Submission.open(tmp_path / "l.h5") as submission:
        assert submission.header.method["parameters"]["window"] == (
            "stated by the model (letterbox_window)"
        )


def test_nothing_is_written_for_a_crop_that_is_not_stated(tmp_path: Path) -> None:
    dataset = squares(tmp_path)
    with pytest.raises(WsolbenchError, match="bright: the input shows the middle"):
        run(dataset, tmp_path / "s.h5", made(*CROP), None)
    assert not [file for file in tmp_path.iterdir() if re.match(r"s\.h5", file.name)]


def test_several_normalisations_have_the_same_windows(tmp_path: Path) -> None:
    dataset = squares(tmp_path)
    outs = {"min-max": tmp_path / "a.h5", "max": tmp_path / "b.h5"}
    own = ClassMapModel("bright", Bright(), made(*CROP), window=centre_crop(256, SIZE))
    predict(own, dataset, outs, size=SIZE, device="cpu")
    held = [Submission.open(path).windows for path in outs.values()]
    assert held[0] is not None
    assert np.array_equal(held[0], held[1])
