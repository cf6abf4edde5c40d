"""Networks in the wrappings that people use, and the one cause of what goes wrong in them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from wsolbench.baselines.backbones import ClassMapModel, imagenet_input, load_backbone
from wsolbench.baselines.outputs import checked_input, not_finite, run_model
from wsolbench.baselines.predict import probe, ready
from wsolbench.baselines.user_models import load_model_function
from wsolbench.errors import WsolbenchError

CPU = torch.device("cpu")


class Cam(nn.Module):
    """Class maps of a small convolution; the base of the wrappings below."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 6, 3, stride=4)
        self.fc = nn.Conv2d(6, 4, 1)

    def forward(self, images: Tensor) -> Any:
        features = self.conv(images).relu()
        maps = self.fc(features)
        return maps, features, maps.mean((2, 3))


class Casting(Cam):
    """Half precision inside, float32 photos outside."""

    def forward(self, images: Tensor) -> Any:
        return super().forward(images.to(torch.bfloat16))


class Autocast(Cam):
    def forward(self, images: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(images)


class WithGradients(Cam):
    def forward(self, images: Tensor) -> Any:
        with torch.enable_grad():
            maps, features, logits = super().forward(images)
            (slope,) = torch.autograd.grad(logits.sum(), features)
        return maps, slope, logits


class ForgotGradients(Cam):
    def forward(self, images: Tensor) -> Any:
        maps, features, logits = super().forward(images)
        torch.autograd.grad(logits.sum(), features, retain_graph=True)
        return maps, features, logits


class FixedSize(Cam):
    """Only for photos of 64, as a transformer with embedded positions."""

    def forward(self, images: Tensor) -> Any:
        maps, features, logits = super().forward(images)
        return maps, features + torch.ones(16, 16), logits


class MixedTypes(Cam):
    """The first layer is in bfloat16 and only takes what it converts itself."""

    def forward(self, images: Tensor) -> Any:
        if images.dtype != torch.float32:
            raise TypeError("float32 photos, please")
        return super().forward(images.to(torch.bfloat16))


class OnePhoto(Cam):
    def forward(self, images: Tensor) -> Any:
        images.mean((1, 2, 3)).item()
        return super().forward(images)


class Broken(Cam):
    def forward(self, images: Tensor) -> Any:
        raise KeyError("class 7")


def model_of(module: nn.Module) -> ClassMapModel:
    return ClassMapModel("own", module, imagenet_input)


def photos(batch: int = 2, size: int = 32) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "wrapped, tolerance",
    [
        (lambda: nn.DataParallel(Cam()), 0.0),
        (lambda: torch.compile(Cam(), backend="eager"), 0.0),
        (lambda: torch.jit.trace(Cam(), torch.zeros(1, 3, 48, 48)), 0.0),
        (lambda: Cam().double(), 1e-6),
        (lambda: Cam().bfloat16(), 0.02),
        (lambda: Cam().half(), 0.002),
        (lambda: Casting().bfloat16(), 0.02),
        (Autocast, 0.02),
    ],
    ids=["parallel", "compiled", "traced", "double", "bf16", "fp16", "casting", "autocast"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")
def test_wrapped_networks_give_the_maps_of_the_plain_one(
    wrapped: Callable[[], nn.Module], tolerance: float
) -> None:
    module = wrapped()
    with ready(module, CPU), torch.no_grad():
        expected = Cam()(photos())
        found = run_model(model_of(module), photos())
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.float() - theirs).abs().max() <= tolerance * theirs.abs().max()


def test_networks_may_compute_gradients_inside() -> None:
    assert probe(model_of(WithGradients()), 32, CPU) == (4, 8, 8)
    with torch.no_grad():
        _, slope, _ = run_model(model_of(WithGradients()), photos(1))
    weights = Cam().fc.weight.sum(0).flatten() / 64  # of the sum of mean logits over 8x8 positions
    assert torch.allclose(slope[0, :, 3, 3], weights, atol=1e-6)


@pytest.mark.parametrize(
    "module, message",
    [
        (
            ForgotGradients(),
            r"require grad.*\.py:\d+; it works with gradients: .*enable_grad",
        ),
        (FixedSize(), r"must match .*; it works at size 64: pass size=64 \(--size 64\)$"),
        (MixedTypes().bfloat16(), "TypeError: .*; it works with photos of float32: convert them"),
        (OnePhoto(), r"; it works with one photo at a time: pass batch_size=1 \(--batch-size 1\)$"),
        (Broken(), r"KeyError: 'class 7' at .*test_outputs.py:\d+; correct the module's forward$"),
    ],
    ids=["gradients", "size", "type", "batch", "none"],
)
def test_only_a_cause_that_was_tried_is_named(module: nn.Module, message: str) -> None:
    with torch.no_grad(), pytest.raises(WsolbenchError, match=message) as caught:
        run_model(model_of(module), photos())
    assert "\n" not in str(caught.value)


def test_a_backbone_too_small_for_its_photos_names_a_size_that_works() -> None:
    model = load_backbone("googlenet", random_weights_seed=0, classes=2)
    model = ClassMapModel("own", nn.Sequential(nn.AvgPool2d(2), Cam()), model.preprocess)
    with pytest.raises(WsolbenchError, match=r"[Kk]ernel size.*; it works at size 224: .*--size"):
        probe(model, 4, CPU)


def test_short_memory_has_its_own_cure() -> None:
    class Large(Cam):
        def forward(self, images: Tensor) -> Any:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")

    message = r"not enough memory for {} of 32 pixels; use a smaller {}"
    for batch, own in ((2, ("2 photos", "batch_size")), (1, ("1 photo", r"size \(--size\)"))):
        with pytest.raises(WsolbenchError, match=message.format(*own)):
            run_model(model_of(Large()), photos(batch))


# -- outputs --------------------------------------------------------------------------------------

Change = Callable[[Tensor, Tensor, Tensor], object]

OUTPUTS: dict[str, tuple[Change, str]] = {
    "logits": (lambda m, f, c: c, r"found one tensor \(2, 4\), .*; return a tuple of all three"),
    "dict": (lambda m, f, c: {"maps": m, "top": c}, "a dict with the keys maps, top, .* tuple"),
    "none": (lambda m, f, c: None, "found a NoneType"),
    "arrays": (lambda m, f, c: (m.numpy(), f, c), "of the types ndarray, Tensor, Tensor"),
    "two": (lambda m, f, c: (m, c), r"shapes \(2, 4, 8, 8\), \(2, 4\) for 2 photos"),
    "order": (lambda m, f, c: (c, m, f), r"shapes \(2, 4\), .* in this order"),
    "tokens": (
        lambda m, f, c: (m, f.flatten(2).transpose(1, 2), c),
        r"features are tokens .*; reshape them: features\.transpose\(1, 2\)\.unflatten\(2, \(8, 8",
    ),
    "class token": (
        lambda m, f, c: (m, torch.ones(2, 65, 6), c),
        r"features are tokens .*; reshape them: features\[:, 1:\]\.transpose",
    ),
    "map tokens": (
        lambda m, f, c: (m.flatten(2).transpose(1, 2), f, c),
        r"class_maps are tokens .*; reshape them: class_maps\.transpose",
    ),
    "last": (lambda m, f, c: (m, f.permute(0, 2, 3, 1), c), r"are \(B, h, w, c\), .*permute\(0, 3"),
    "maps last": (
        lambda m, f, c: (m.permute(0, 2, 3, 1), f, c),
        r"maps are \(B, h, w, C\), ",
    ),
    "classes": (lambda m, f, c: (m[:, :3], f, c), "3 class maps for 4 logits, .* each logit"),
    "sizes": (lambda m, f, c: (m, f[..., 1:], c), "of different sizes, .*resize one of them"),
    "one row": (lambda m, f, c: (m, f, c.mean(0, keepdim=True)), "one row for each photo"),
    "empty": (lambda m, f, c: (m[..., :0], f[..., :0], c), "which are empty, .*larger size"),
    "complex": (lambda m, f, c: (m, f * 1j, c), "outputs of complex64, .*dense floating"),
    "sparse": (lambda m, f, c: (m, f.to_sparse(), c), "outputs of a sparse layout"),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_what_is_wrong_with_outputs_is_named(kind: str) -> None:
    change, message = OUTPUTS[kind]

    class Other(Cam):
        def forward(self, images: Tensor) -> Any:
            return change(*super().forward(images))

    with torch.no_grad(), pytest.raises(WsolbenchError, match=message) as caught:
        run_model(model_of(Other()), photos())
    assert "expected class maps (B, C, h, w)" in str(caught.value)


def test_a_lost_axis_of_photos_is_named() -> None:
    class Squeezing(Cam):
        def forward(self, images: Tensor) -> Any:
            return tuple(part.squeeze(0) for part in super().forward(images))

    with pytest.raises(WsolbenchError, match=r"without the axis of photos, .*keep the first axis"):
        probe(model_of(Squeezing()), 32, CPU)


def test_maps_need_not_be_square() -> None:
    class Wide(Cam):
        def forward(self, images: Tensor) -> Any:
            maps, features, logits = super().forward(images)
            return maps[:, :, ::2], features[:, :, ::2], logits

    assert probe(model_of(Wide()), 32, CPU) == (4, 4, 8)


def test_outputs_that_are_not_finite_name_the_parameter_or_the_output() -> None:
    module = Cam()
    outputs = {"class maps": torch.ones(1), "features": torch.tensor([torch.inf]).half()}
    found = str(not_finite(model_of(module), outputs, ["a", "b"]))
    assert "NaN or infinite features (float16) for a, b, though its parameters" in found
    module.fc.bias.data[2] = torch.nan
    found = str(not_finite(model_of(module), outputs, ["a", "b"]))
    assert "NaN or infinite values in its parameter fc.bias" in found
    assert found.endswith("for a, b; load weights that are finite")


# -- inputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, message",
    [
        (np.zeros((3, 8, 8)), r"found ndarray, .*; return a torch\.Tensor"),
        (torch.zeros(1, 3, 8, 8), r"found \(1, 3, 8, 8\), .*; return one photo .*tensor\[0\]"),
        (torch.zeros(8, 8, 3), r"channels first: tensor\.permute\(2, 0, 1\)"),
        (torch.zeros(3, 8, 12), "resize the photo to the given size, on both sides"),
        (torch.zeros(1, 8, 8), r"three channels: image\.convert\('RGB'\)"),
        (torch.zeros(7), "return one photo, resized to the given size"),
        (torch.full((3, 8, 8), torch.nan), "NaN or infinite values; return finite numbers"),
    ],
)
def test_what_is_wrong_with_an_input_is_named(given: object, message: str) -> None:
    with pytest.raises(WsolbenchError, match=rf"^preprocess of p: .*{message}"):
        checked_input(given, 8, "preprocess of p")


def test_inputs_are_float32_without_gradients() -> None:
    image = checked_input(torch.ones(3, 8, 8, dtype=torch.float64, requires_grad=True), 8, "p")
    assert (image.dtype, image.requires_grad) == (torch.float32, False)


# -- modules and functions that cannot be used -----------------------------------------------------


def test_a_module_without_evaluation_mode_is_one_line() -> None:
    class Exported(Cam):
        def train(self, mode: bool = True) -> Any:
            raise NotImplementedError("Calling train() is not supported yet.")

    message = r"module to run on cpu: NotImplementedError: Calling train\(\) is .*eval\(\); of an"
    with pytest.raises(WsolbenchError, match=message), ready(Exported(), CPU):
        pass


FUNCTIONS = """
import torch
from wsolbench.baselines import ClassMapModel

def sized(size, *, depth): ...

def swapped():
    return ClassMapModel(torch.nn.Identity(), torch.nn.Identity(), 3)
"""


@pytest.mark.parametrize(
    "function, message",
    [
        ("sized", r"needs arguments \(size, depth\), expected one .*; give them default values"),
        ("swapped", "a name of type Identity and a preprocess of type int, expected a text and a"),
    ],
)
def test_functions_that_give_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, message: str
) -> None:
    (tmp_path / "wsolbench_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(WsolbenchError, match=message):
        load_model_function(f"wsolbench_functions:{function}")
    sys.modules.pop("wsolbench_functions", None)


def test_grey_pictures_are_what_the_probe_shows() -> None:
    seen: list[tuple[int, int]] = []

    def preprocess(image: Image.Image, size: int) -> Tensor:
        seen.append(image.size)
        return imagenet_input(image, size)

    assert probe(ClassMapModel("own", Cam(), preprocess), 20, CPU) == (4, 5, 5)
    assert seen == [(20, 20)]
