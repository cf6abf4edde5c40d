"""The window of the photo that a model's input shows: stated by the model, and measured.

A `preprocess` that crops photos gives maps of the crop. Nothing in the maps shows it, so `predict`
measures it on marked pictures before it starts. Pictures of one grey tell how each input pixel
follows the grey of the photo; pictures whose grey rises from left to right and from top to bottom
then tell which place of the photo each input pixel shows. A line through these places gives the
window, and shows mirrored or turned inputs as well. What does not follow the grey of the photo (a
histogram equalisation, noise) cannot be measured, and is neither refused nor vouched for.

Conventions: windows are (x0, y0, x1, y1), half-open, in pixels of the photo; sizes are (height,
width).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..data.dataset import Dataset
from ..errors import WsolbenchError
from ..formats.submission.rules import WINDOW_RULE, WITHIN_RULE, bad_windows, misplaced_windows
from ..maps.windows import CentreCrop
from .backbones import ClassMapModel
from .user_models import fault_in_user_code

__all__ = ["Measured", "check_window", "measure_window", "stated_windows", "window_words"]

Array = NDArray[np.float64]
Size = tuple[int, int]
Window = tuple[float, float, float, float]
Preprocess = Callable[[Image.Image, int], Tensor]

REPEATS = 12
"""Times that a picture is preprocessed again, to see whether places change: a flip by chance stays
unseen once in 4,096."""

_GREYS = (32, 128, 224)
_STRAIGHT = 2.0  # steps of grey by which the middle one may lie off the line through the others
_FAINT = (64, 191.5)  # the ends of a ramp of half the contrast
_SAME = 0.01  # share of the input that may differ from run to run
_LARGEST = 1 << 20  # pixels of a picture: for larger photos, a smaller one of the same aspect
_SMALLEST = 8  # pixels of its shorter side
_TURNED = 0.02  # share of a step across that may come out as one down: a turn of a degree


@dataclass(frozen=True)
class Measured:
    """What the input shows of a picture.

    Attributes:
        window: of the picture; meaningless if it is not shown upright.
        wrong: how it is shown instead, in words; empty if upright.
    """

    window: Window
    wrong: str = ""


def stated_windows(model: ClassMapModel, dataset: Dataset, size: int) -> Array | None:
    """The windows of all photos of a data set, as the model states them.

    Returns:
        float64 (N, 4); None if the model states none, so that inputs show whole photos.

    Raises:
        WsolbenchError: the model's function raises, or gives something that is no window of the
            photo.
    """
    if model.window is None:
        return None
    heights, widths = dataset.store.heights[dataset.rows], dataset.store.widths[dataset.rows]
    shapes = list(zip(heights.tolist(), widths.tolist(), strict=True))
    known = {shape: _stated(model, shape, size) for shape in dict.fromkeys(shapes)}
    return np.array([known[shape] for shape in shapes], dtype=np.float64)


def window_words(model: ClassMapModel) -> str:
    """What a submission calls the model's window; empty if it states none."""
    if model.window is None or isinstance(model.window, CentreCrop):
        return "" if model.window is None else str(model.window)
    name = getattr(model.window, "__qualname__", type(model.window).__qualname__)
    return f"stated by the model ({name})"


def check_window(model: ClassMapModel, dataset: Dataset, size: int) -> None:
    """Compare what a model's input shows of photos with what the model states.

    Args:
        model: its `preprocess` is measured on pictures of the sizes of some photos.
        dataset: the photos; none of them is read.
        size: side of the input.

    Raises:
        WsolbenchError: the input shows another part of the photo than the model states, a mirrored
            or turned photo, or another part each time.
    """
    shapes = _shapes(dataset)
    measured = {shape: measure_window(model.preprocess, shape, size) for shape in shapes}
    where = f"preprocess of {model.name}"
    for place, (shape, own) in enumerate(measured.items()):
        random = _is_random(model.preprocess, shape, size, 1 if place else REPEATS)
        wrong = "differently each time" if random else "" if own is None else own.wrong
        if wrong:
            raise WsolbenchError(
                where,
                found=f"the input shows {_photo(shape)} {wrong}, which would misplace its map",
                cure="use the preprocessing of evaluation, without random, flipping or turning "
                "steps",
            )
    windows = {shape: own.window for shape, own in measured.items() if own is not None}
    for shape, window in windows.items():
        stated = _stated(model, shape, size)
        if not _agree(window, stated, shape, size):
            raise WsolbenchError(
                where,
                found=f"the input shows {_shown(window, shape, size)} of {_photo(shape)}, but "
                + (
                    "the model states no window, so its maps would be stretched over whole photos"
                    if model.window is None
                    else f"ClassMapModel.window states {_shown(stated, shape, size)}"
                ),
                cure=_cure(windows, size),
            )


def measure_window(preprocess: Preprocess, shape: Size, size: int) -> Measured | None:
    """What the input shows of a picture.

    Args:
        preprocess: of a `ClassMapModel`.
        shape: (height, width) of the picture.
        size: side of the input.

    Returns:
        None if it cannot be measured: the input does not follow the picture's grey in a straight
        line, or the places that it shows are not evenly spaced.
    """
    pictures = [np.full(shape, grey, np.uint8) for grey in _GREYS]
    pictures += [_ramp(shape, axis, 0, 255) for axis in (0, 1)]
    pictures += [_ramp(shape, axis, *_FAINT) for axis in (0, 1)]  # the same places
    found = [_input(preprocess, picture, size) for picture in (*pictures, *pictures)]
    inputs = [held for held in found if held is not None]
    count = len(pictures)
    if len(inputs) < 2 * count or not np.array_equal(inputs[:count], inputs[count:]):
        return None
    decoded = _decoded(inputs[: len(_GREYS)], inputs[len(_GREYS) : count])
    if decoded is None:
        return None
    planes = []
    for axis, side in ((1, shape[1]), (0, shape[0])):
        strong, faint = decoded[axis], 2 * (decoded[axis + 2] - _FAINT[0])
        plane = _plane(strong / 255 * (side - 1) + 0.5, side / 255)
        if plane is None or np.nanmedian(np.abs(strong - faint)) > 2 * _STRAIGHT:
            return None
        planes.append(plane)
    return _read(planes[0], planes[1], shape, size)


def _read(across: Array, down: Array, shape: Size, size: int) -> Measured:
    """What the planes x = a + b u + c v and y = a + b u + c v say; u is right and v down."""
    (x0, x_right, x_down), (y0, y_right, y_down) = across.tolist(), down.tolist()
    x0, y0 = x0 + x_down * size / 2, y0 + y_right * size / 2  # half-way along the other axis
    window = (x0, y0, x0 + size * x_right, y0 + size * y_down)
    height, width = shape
    straight = abs(x_right) / width + abs(y_down) / height
    crossed = abs(x_down) / width + abs(y_right) / height
    if crossed <= straight * _TURNED:
        return Measured(window, _MIRRORED[x_right < 0, y_down < 0])
    if straight <= crossed * _TURNED:
        return Measured(window, _EXCHANGED[x_down < 0, y_right < 0])
    return Measured(window, "turned or slanted")


_MIRRORED = {
    (False, False): "",
    (True, False): "mirrored left to right",
    (False, True): "mirrored top to bottom",
    (True, True): "turned by 180 degrees",
}
_EXCHANGED = {
    (False, False): "with rows and columns exchanged",
    (True, True): "with rows and columns exchanged and turned by 180 degrees",
    (False, True): "turned by 90 degrees clockwise",
    (True, False): "turned by 90 degrees counter-clockwise",
}


def _decoded(greys: Sequence[Array], inputs: Sequence[Array]) -> list[Array] | None:
    """The grey of the picture that each pixel of some inputs shows.

    Args:
        greys: the inputs (3, S, S) of pictures of one grey, `_GREYS`.
        inputs: (3, S, S) each.

    Returns:
        (S, S) each, NaN where the input does not follow the picture (padding); None if it follows
        nowhere, or not in a straight line.
    """
    dark, middle, bright = greys
    gain = (bright - dark) / (_GREYS[2] - _GREYS[0])
    if not gain.any():
        return None
    # Where padding is blended in, the grey would be read from too few levels.
    gain = np.where(np.abs(gain) > np.abs(gain).max() / 2, gain, np.nan)
    if np.nanmax(np.abs((middle - dark) / gain + _GREYS[0] - _GREYS[1])) > _STRAIGHT:
        return None
    channel = np.nanmax(np.abs(gain), axis=(1, 2), initial=0).argmax()  # all show the same grey
    return [(own[channel] - dark[channel]) / gain[channel] + _GREYS[0] for own in inputs]


def _plane(places: Array, grain: float) -> Array | None:
    """The plane through the places that the middle of the input shows.

    Args:
        places: (S, S), pixels of the picture along one axis, NaN where unknown.
        grain: pixels of the picture that a step of grey stands for.

    Returns:
        (a, b, c): the place is a + b u + c v at (u, v) of the input, where pixel i covers
        [i, i + 1). None if too few places are known, or they are on no plane.
    """
    known = np.isfinite(places)
    if not known.any():
        return None
    middle = np.zeros_like(known)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    middle[_half(rows), _half(columns)] = True
    v, u = np.nonzero(middle & known)
    if min(len(np.unique(u)), len(np.unique(v))) < 3:
        return None
    design = np.stack((np.ones(len(u)), u + 0.5, v + 0.5), axis=1)
    plane = np.asarray(np.linalg.lstsq(design, places[v, u], rcond=None)[0], dtype=np.float64)
    step = np.abs(plane[1:]).max()
    off = np.abs(design @ plane - places[v, u]).max()
    return plane if off + step > 0 and off <= 2 * grain + 1.5 * step + 1 else None


def _half(known: NDArray[np.int64]) -> slice:
    """The middle half: resizing smooths the edges, and padding may repeat or mirror them."""
    first, count = int(known[0]), int(known[-1] - known[0]) + 1
    return slice(first + count // 4, first + count - count // 4)


def _is_random(preprocess: Preprocess, shape: Size, size: int, repeats: int) -> bool:
    """Whether one picture of black and white fields gives other fields in another run.

    Fields are told apart by half the contrast, so noise and random contrasts do not count.
    """
    fields = np.random.default_rng(0).random((8, 8)) > 0.5
    rows, columns = (np.arange(side) * 8 // side for side in shape)
    picture = np.where(fields[rows][:, columns], np.uint8(224), np.uint8(32))

    def seen() -> NDArray[np.bool_] | None:
        found = _input(preprocess, picture, size)
        if found is None:
            return None
        channel = found[found.reshape(3, -1).std(axis=1).argmax()]
        return np.asarray(channel > (channel.min() + channel.max()) / 2)

    first = seen()
    for _ in range(repeats if first is not None else 0):
        now = seen()
        if now is not None and first is not None and (now != first).mean() > _SAME:
            return True
    return False


def _ramp(shape: Size, axis: int, low: float, high: float) -> NDArray[np.uint8]:
    """Greys that rise along an axis."""
    line = np.rint(np.linspace(low, high, shape[axis])).astype(np.uint8)
    return np.broadcast_to(line[:, None] if axis == 0 else line[None], shape)


def _input(preprocess: Preprocess, greys: NDArray[np.uint8], size: int) -> Array | None:
    """The input of a grey picture as float64 (3, S, S); None if there is none that is finite."""
    picture = Image.fromarray(np.ascontiguousarray(greys)).convert("RGB")
    try:
        found = preprocess(picture, size)
    except Exception:  # noqa: BLE001 - the user's function may not like such pictures
        return None
    if not isinstance(found, Tensor) or found.shape != (3, size, size):
        return None
    held = found.detach().cpu().float().numpy().astype(np.float64)
    return held if np.isfinite(held).all() else None


def _shapes(dataset: Dataset) -> list[Size]:
    """Up to five sizes of photos: of middle, lowest and highest aspect, smallest and largest."""
    store, rows = dataset.store, dataset.rows
    sizes = np.stack((store.heights[rows], store.widths[rows]), axis=1).astype(np.int64)
    shrunk = np.minimum(1, np.sqrt(_LARGEST / sizes.prod(axis=1)))
    sizes = np.unique((sizes * shrunk[:, None]).astype(np.int64), axis=0)
    sizes = sizes[sizes.min(axis=1) >= _SMALLEST]
    if not len(sizes):
        return []
    by_aspect = sizes[np.argsort(sizes[:, 1] / sizes[:, 0], kind="stable")].tolist()
    by_area = sizes[np.argsort(sizes.prod(axis=1), kind="stable")].tolist()
    chosen = [by_aspect[len(sizes) // 2], by_aspect[0], by_aspect[-1], by_area[0], by_area[-1]]
    return list(dict.fromkeys((height, width) for height, width in chosen))


def _stated(model: ClassMapModel, shape: Size, size: int) -> Window:
    """The window that the model states for photos of some size; the whole photo by default."""
    height, width = shape
    if model.window is None:
        return 0.0, 0.0, float(width), float(height)
    where = f"window of {model.name} for {_photo(shape)}"
    try:
        given = model.window(height, width, size)
    except Exception as error:  # the function is the user's and may raise anything
        raise fault_in_user_code(where, error) from error
    fault = WINDOW_RULE
    try:
        row = np.array([[float(end) for end in given]])
    except (TypeError, ValueError):
        row = np.empty((1, 0))
    if row.shape == (1, 4) and not bad_windows(row):
        sides = np.array([height]), np.array([width])
        fault = WITHIN_RULE if misplaced_windows(row, *sides) else ""
    if fault:
        raise WsolbenchError(
            where,
            found=f"{given!r}",
            expected=fault,
            cure="return four numbers in pixels of the photo, or use wsolbench.centre_crop",
        )
    x0, y0, x1, y1 = row[0].tolist()
    return x0, y0, x1, y1


def _agree(window: Window, stated: Window, shape: Size, size: int) -> bool:
    """Whether a measured window is the stated one, to within a pixel of the input."""
    sides = (shape[1], shape[0]) * 2
    for end, side in enumerate(sides):
        span = stated[end % 2 + 2] - stated[end % 2]
        if abs(window[end] - stated[end]) > span / size + side / 510:
            return False
    return True


def _photo(shape: Size) -> str:
    return f"a {shape[1]}x{shape[0]} photo"


def _shown(window: Window, shape: Size, size: int) -> str:
    """A part of a photo in words and numbers."""
    x0, y0, x1, y1 = window
    parts = []
    for name, low, high, side in (("width", x0, x1, shape[1]), ("height", y0, y1, shape[0])):
        span, near = high - low, (high - low) / size + side / 510
        if abs(low) <= near and abs(high - side) <= near:
            parts.append(f"the whole {name}")
        elif abs(low + high - side) <= 2 * near and span < side:
            parts.append(f"the middle {100 * span / side:.1f} % of the {name}")
        elif abs(low + high - side) <= 2 * near:
            parts.append(f"the {name} and padding, {100 * span / side:.1f} % of it")
        else:
            parts.append(f"pixels {low:.1f} to {high:.1f} of the {name}")
    return " and ".join(parts)


def _cure(windows: Mapping[Size, Window], size: int) -> str:
    """What to do: with the centre crop that fits everything measured, if one does."""
    for crop in _guesses(windows, size):
        if all(_agree(own, crop(*shape), shape, size) for shape, own in windows.items()):
            stated = f"wsolbench.centre_crop({crop.resize}, {crop.crop})"
            return f"pass ClassMapModel(window={stated}), or resize the photo without cropping"
    return (
        "pass ClassMapModel(window=FUNCTION) with FUNCTION(height, width, size) -> "
        "(x0, y0, x1, y1), or resize the whole photo"
    )


def _guesses(windows: Mapping[Size, Window], size: int) -> list[CentreCrop]:
    """Centre crops of the input's side: of the usual shares, and of the share that was measured."""
    sides = [size, round(size * 256 / 224), round(size * 232 / 224)]  # as in torchvision's recipes
    for (height, width), (x0, y0, x1, y1) in windows.items():
        share = (y1 - y0) / height if height <= width else (x1 - x0) / width
        if 0.05 < share <= 1:
            sides.append(round(size / share))
    return [CentreCrop(form, size) for side in sides for form in (side, (side, side))]
