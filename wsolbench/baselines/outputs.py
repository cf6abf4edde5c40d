"""What networks take and return, checked: the network may be the user's.

If a network raises, it is run again under other conditions (with gradients, at other sizes, on one
photo): the message names a cause only if the network then works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import WsolbenchError, counted, some
from .backbones import ClassMapModel
from .user_models import fault_in_user_code

__all__ = ["checked_input", "model_input", "not_finite", "run_model"]

_TRIED_SIZES = (224, 256, 299, 320, 384, 448, 512, 128, 96, 64, 32)
_OUTPUTS = "class maps (B, C, h, w), features (B, c, h, w) and logits (B, C)"
_OUT_OF_MEMORY = re.compile("out of memory|not enough memory|can't allocate memory", re.IGNORECASE)


def run_model(
    model: ClassMapModel, images: Tensor, choose: Callable[[Tensor], Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a model's network on photos, and check the shapes of what it returns.

    Args:
        model: its module is on the device of the photos, in evaluation mode.
        images: (B, 3, S, S) float32; converted to the type of the module's first parameter.
        choose: logits (B, C) -> the class of each image, for a model whose class maps depend on it
            (`ClassMapModel.class_dependent`); others ignore it.

    Returns:
        Class maps (B, C, h, w), features (B, c, h, w) and logits (B, C), of any floating type.

    Raises:
        WsolbenchError: the module raises, memory is short, or the outputs are something else.
    """
    where = f"backbone {model.name}"
    given = model_input(model, images)
    try:
        asked = model.class_dependent and choose is not None
        outputs = model.module(given, choose) if asked else model.module(given)
    except Exception as error:  # the module may be the user's and raise anything
        if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
            raise WsolbenchError(
                where,
                found=f"not enough memory for {counted(len(images), 'photo')} of "
                f"{images.shape[-1]} pixels",
                cure="use a smaller batch_size (--batch-size)"
                if len(images) > 1
                else "use a smaller size (--size), or another device (--device)",
            ) from error
        raise fault_in_user_code(where, error, cure=_cure(model.module, given)) from error
    fault = _output_fault(outputs, len(images))
    if fault is not None:
        found, cure = fault
        raise WsolbenchError(where, found=found, expected=_OUTPUTS, cure=cure)
    class_maps, features, logits = outputs
    return class_maps, features, logits


def model_input(model: ClassMapModel, images: Tensor) -> Tensor:
    """Photos in the type of the module's first parameter."""
    return images.to(_dtype(model.module))


def checked_input(tensor: object, size: int, where: str) -> Tensor:
    """What a `preprocess` returned, as (3, size, size) float32 without gradients.

    Raises:
        WsolbenchError: it is something else, or not finite.
    """
    wanted = (3, size, size)
    if not isinstance(tensor, Tensor) or tensor.shape != wanted:
        raise WsolbenchError(
            where,
            found=f"{tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__}",
            expected=f"a tensor {wanted}",
            cure=_input_cure(tensor, wanted),
        )
    image = tensor.detach().to(torch.float32)
    if not bool(image.isfinite().all()):
        raise WsolbenchError(
            where, found="NaN or infinite values", cure="return finite numbers from preprocess"
        )
    return image


def not_finite(
    model: ClassMapModel, outputs: Mapping[str, Tensor], ids: Sequence[str]
) -> WsolbenchError:
    """The error for outputs that are not finite, with their cause as far as it is seen.

    Args:
        model: the model.
        outputs: its outputs by name.
        ids: the photos whose outputs are not finite.
    """
    where = f"backbone {model.name}"
    for name, tensor in (*model.module.named_parameters(), *model.module.named_buffers()):
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            return WsolbenchError(
                where,
                found=f"NaN or infinite values in its parameter {name}, and so in its outputs for "
                f"{some(ids)}",
                cure="load weights that are finite",
            )
    broken = [
        f"{name} ({str(tensor.dtype).removeprefix('torch.')})"
        for name, tensor in outputs.items()
        if not bool(tensor.isfinite().all())
    ]
    return WsolbenchError(
        where,
        found=f"NaN or infinite {', '.join(broken)} for {some(ids)}, though its parameters and the "
        "photos are finite",
        cure="correct the module's forward",
    )


def _dtype(module: nn.Module) -> torch.dtype:
    """The type of the first parameter, for networks of half precision; float32 without any."""
    return next((own for own in _dtypes(module)), torch.float32)


def _dtypes(module: nn.Module) -> Iterator[torch.dtype]:
    return (tensor.dtype for tensor in module.parameters() if tensor.is_floating_point())


def _cure(module: nn.Module, images: Tensor) -> str:
    """What to do about a module that raises: what it works with, or else nothing in particular."""
    for dtype in dict.fromkeys((*_dtypes(module), torch.float32)):
        if dtype != images.dtype and _works(module, images.to(dtype)):
            name = str(dtype).removeprefix("torch.")
            return f"it works with photos of {name}: convert them in its forward"
    with torch.enable_grad():
        if _works(module, images):
            return (
                "it works with gradients: compute them inside `with torch.enable_grad():` in the "
                "module's forward"
            )
    if len(images) > 1 and _works(module, images[:1]):
        return "it works with one photo at a time: pass batch_size=1 (--batch-size 1)"
    for size in _TRIED_SIZES:
        sized = nn.functional.interpolate(images[:1].float(), size=(size, size)).to(images.dtype)
        if size != images.shape[-1] and _works(module, sized):
            return f"it works at size {size}: pass size={size} (--size {size})"
    return "correct the module's forward"


def _works(module: nn.Module, images: Tensor) -> bool:
    try:
        return _output_fault(module(images), len(images)) is None
    except Exception:  # noqa: BLE001 - only whether it raises is asked
        return False


def _output_fault(outputs: object, batch: int) -> tuple[str, str] | None:
    """What is wrong with a module's outputs, and what to do; None if they are sound."""
    cure = "return a tuple of all three, in this order, from the module's forward"
    if isinstance(outputs, Tensor):
        return f"one tensor {_shape(outputs)}", cure
    if isinstance(outputs, Mapping):
        return f"a dict with the keys {some(list(outputs))}", cure
    if not isinstance(outputs, tuple | list):
        return f"a {type(outputs).__name__}", cure
    if not all(isinstance(part, Tensor) for part in outputs):
        kinds = ", ".join(type(part).__name__ for part in outputs)
        return f"outputs of the types {kinds}", f"{cure}, as tensors"
    found = f"outputs of shapes {', '.join(map(_shape, outputs))} for {counted(batch, 'photo')}"
    dims = [part.ndim for part in outputs]
    if len(dims) != 3 or (dims != [4, 4, 2] and sorted(dims) == [2, 4, 4]):
        return found, cure
    if batch == 1 and dims == [3, 3, 1]:
        return f"{found}, without the axis of photos", "keep the first axis, also if it is 1"
    class_maps, features, logits = outputs
    for name, part, axes in (("class_maps", class_maps, 4), ("features", features, 4)):
        if part.ndim == 3 and len(part) == batch and logits.ndim == 2:
            return f"{found}; {name} are tokens (B, N, c)", _token_cure(name, part, outputs)
        if part.ndim != axes:
            return found, cure
    if logits.ndim != 2 or any(len(part) != batch for part in outputs):
        return found, "return one row for each photo of the batch, from the module's forward"
    if any(0 in part.shape for part in outputs):
        return f"{found}, which are empty", "pass a larger size (--size)"
    odd = [part.dtype for part in outputs if part.is_complex() or part.is_quantized]
    if odd or any(part.layout != torch.strided for part in outputs):
        kind = str(odd[0]).removeprefix("torch.") if odd else "a sparse layout"
        return f"outputs of {kind}", f"{cure}, as dense floating tensors"
    return _mismatch(class_maps, features, logits, found)


def _mismatch(
    class_maps: Tensor, features: Tensor, logits: Tensor, found: str
) -> tuple[str, str] | None:
    """As `_output_fault`, for outputs of the right number of axes."""
    classes, (height, width) = logits.shape[1], class_maps.shape[2:]
    if class_maps.shape[1] != classes:
        if class_maps.shape[3] == classes:
            return f"{found}; class maps are (B, h, w, C)", "use class_maps.permute(0, 3, 1, 2)"
        return (
            f"{found}: {class_maps.shape[1]} class maps for {classes} logits",
            "return a class map for each logit",
        )
    if features.shape[2:] != (height, width):
        if features.shape[1:3] == (height, width):
            return f"{found}; features are (B, h, w, c)", "use features.permute(0, 3, 1, 2)"
        return (
            f"{found}: features and class maps of different sizes",
            "resize one of them to the size of the other in the module's forward",
        )
    return None


def _token_cure(name: str, tokens: Tensor, outputs: Sequence[Tensor]) -> str:
    maps = next((part for part in outputs if part.ndim == 4), None)
    if maps is None:
        return f"reshape them: {name}.transpose(1, 2).unflatten(2, (h, w))"
    height, width = maps.shape[2:]
    extra = tokens.shape[1] - height * width
    own = name if extra <= 0 else f"{name}[:, {extra}:]"
    return f"reshape them: {own}.transpose(1, 2).unflatten(2, ({height}, {width}))"


def _input_cure(tensor: object, wanted: tuple[int, int, int]) -> str:
    """What to do about an input that is no tensor of the wanted shape."""
    shape = tuple(getattr(tensor, "shape", ()))
    _, size, _ = wanted
    if not isinstance(tensor, Tensor):
        return "return a torch.Tensor, e.g. with torch.from_numpy"
    if shape == (1, *wanted):
        return "return one photo without an axis of photos: tensor[0]"
    if shape == (size, size, 3):
        return "put the channels first: tensor.permute(2, 0, 1)"
    if len(shape) == 3 and shape[0] == 3:
        return "resize the photo to the given size, on both sides"
    if shape[:1] in ((1,), (4,)) or shape == (size, size):
        return "return three channels: image.convert('RGB')"
    return "return one photo, resized to the given size"


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
