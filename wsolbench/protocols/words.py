"""What a protocol says, in sentences for people; nothing is decided by them."""

from __future__ import annotations

from ..metrics.choices import BoxScore, Component, PixelScore, Reduction
from .record import Averaging, BoxTruth, Levels, Protocol, Scaling, Thresholds, Upsampling

__all__ = ["in_words"]

_UPSAMPLINGS = {
    Upsampling.BILINEAR: "bilinear, half-pixel centres, edges clamped, float32",
    Upsampling.OPENCV_CUBIC: "OpenCV INTER_CUBIC, float64",
    Upsampling.OPENCV_LINEAR: "OpenCV INTER_LINEAR, float32",
    Upsampling.OPENCV_LINEAR_BYTES: "floor(255 * value) at its own size, then OpenCV INTER_LINEAR",
}
_SCALINGS = {
    Scaling.NONE: "none",
    Scaling.FIRST: "min-max before the map is resized",
    Scaling.LAST: "min-max after the map is resized",
    Scaling.LAST_FLOAT64: "min-max after the map is resized, in float64",
}
_LEVELS = {
    Levels.BYTES: "floor(255 * value)",
    Levels.GREYS: "grey of matplotlib's cubehelix colours",
    Levels.VALUES: "the values themselves",
    Levels.BINS: "1,001 bins from 0, .001 ... .999, 1",
}
_PIXELS = {
    PixelScore.PEAK: "Peak-IoU",
    PixelScore.AP: "AP",
    PixelScore.AT_THRESHOLD: "IoU at a carried or fixed threshold",
}
_REDUCTIONS = {
    Reduction.POOLED: "pooled over all pixels",
    Reduction.IMAGE_MEAN: "mean over images",
}
_BOXES = {
    BoxScore.AT_THRESHOLD: "GT-known, Top-1 and Top-5 at one threshold",
    BoxScore.MAXIMUM: "MaxBoxAcc, the best over all thresholds",
}
_COMPONENTS = {
    Component.MOST_PIXELS: "of the 8-connected component with the most pixels",
    Component.LARGEST_OUTLINE: "of OpenCV's contour of largest area",
    Component.EVERY_OUTLINE: "of each of OpenCV's contours, of which the best counts",
}
_TRUTHS = {
    BoxTruth.ORIGINAL: "all of the image, at original size",
    BoxTruth.SCALED: "all of the image, scaled to the grid",
    BoxTruth.TRUNCATED: "all of the image, scaled to the grid and truncated",
    BoxTruth.TRUNCATED_WITHIN: "all of the image, scaled, at most side - 1, and truncated",
    BoxTruth.FIRST_TRUNCATED: "the first of the image alone, scaled and truncated",
}
_AVERAGES = {Averaging.IMAGES: "over images", Averaging.CLASSES: "over classes"}


def in_words(protocol: Protocol) -> dict[str, str]:
    """A protocol's choices as sentences, by subject; boxes and pixels only where it scores them."""
    own = protocol
    size = "the image's own size" if own.grid is None else f"{own.grid} x {own.grid} pixels"
    sentences = {
        "grid": size,
        "upsampling": _UPSAMPLINGS[own.upsampling],
        "normalisation": _SCALINGS[own.scaling],
        "levels": _LEVELS[own.levels],
        "foreground": _foreground(own),
    }
    if own.pixel_scores:
        sentences["pixel scores"] = ", ".join(_PIXELS[score] for score in own.pixel_scores)
        sentences["averages"] = " and ".join(_REDUCTIONS[way] for way in own.pixel_reductions)
    if own.box_scores:
        sentences["box scores"] = "; ".join(_BOXES[score] for score in own.box_scores)
        sentences["predicted box"] = _predicted(own)
        sentences["true boxes"] = _TRUTHS[own.box_truth]
        sentences["correct box"] = _correct(own)
        sentences["box accuracy"] = _AVERAGES[own.averaging]
    sentences["source"] = own.source or "not stated"
    return sentences


def _foreground(own: Protocol) -> str:
    sign = own.comparator.value
    if own.levels is Levels.VALUES:
        return f"value {sign} {own.fixed_threshold}"
    if own.fixed_threshold is not None:
        return f"level {sign} int({own.fixed_threshold} * highest level)"
    return {
        Thresholds.LEVELS: f"level {sign} T, T = 0..255",
        Thresholds.SHARES_OF_MAXIMUM: f"level {sign} int(t * highest level), t = 0, .001 ... .999",
        Thresholds.BINS: f"value {sign} t, t = 0, .001 ... 1",
    }[own.thresholds]


def _predicted(own: Protocol) -> str:
    text = _COMPONENTS[own.component]
    if own.box_clipped:
        text += ", far corners at most side - 1"
    return f"{text}; {own.box_empty} without foreground"


def _correct(own: Protocol) -> str:
    sign, (first, *others) = own.box_iou_comparator.value, own.box_iou_thresholds
    text = f"IoU {sign} {first}"
    if others:
        text += f" (MaxBoxAcc also {', '.join(map(str, others))})"
    if own.top_iou_comparator is not None:
        text += f", {own.top_iou_comparator.value} {first} for Top-1 and Top-5"
    if own.box_plus_one:
        text += "; sides count one pixel more"
    return text
