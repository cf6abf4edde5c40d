"""Plots of results, leaderboard entries and comparisons, one module per plot.

Plot functions draw on the axes they are given and return them. They compute no scores, open no
window and change no global style; the `save_...` functions write files. Modules are imported on
first use of their names, and matplotlib (`pip install 'wsolbench[plots]'`) only when drawing.

Examples:
    >>> from matplotlib.figure import Figure
    >>> result = wsolbench.read_result("demo/sem-val.json")
    >>> axes = wsolbench.plots.iou_threshold([result], Figure().add_subplot())
    >>> axes.get_xlabel()
    'Threshold T'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .areas import area_rates, count_area_rates, save_areas
    from .cases import save_cases
    from .curves import (
        CURVES,
        boundary,
        box_accuracy,
        curves_held,
        iou_threshold,
        precision_recall,
        save_curves,
    )
    from .edges import edges_on_white, save_edges
    from .forest import differences, save_forest, score_axes
    from .groups import group_scores, save_groups
    from .maps import save_maps
    from .matrix import standing_matrix
    from .photos import (
        foreground_with_mask,
        map_with_boxes,
        mask_alone,
        photo_alone,
        photo_with_mask,
    )
    from .seed_counts import save_seed_counts, seed_count_scores
    from .seeds import SeedPanel, embedded_groups, photo_with_seeds, save_seeds, seed_panels
    from .style import FIGURE_WIDTHS, STYLES, picture, require_form
    from .verdict import save_verdict, verdict_grid

_HOMES = {
    "CURVES": "curves",
    "FIGURE_WIDTHS": "style",
    "SeedPanel": "seeds",
    "STYLES": "style",
    "area_rates": "areas",
    "boundary": "curves",
    "box_accuracy": "curves",
    "count_area_rates": "areas",
    "curves_held": "curves",
    "differences": "forest",
    "edges_on_white": "edges",
    "embedded_groups": "seeds",
    "foreground_with_mask": "photos",
    "group_scores": "groups",
    "iou_threshold": "curves",
    "map_with_boxes": "photos",
    "mask_alone": "photos",
    "photo_alone": "photos",
    "photo_with_mask": "photos",
    "photo_with_seeds": "seeds",
    "picture": "style",
    "precision_recall": "curves",
    "require_form": "style",
    "save_areas": "areas",
    "save_cases": "cases",
    "save_curves": "curves",
    "save_edges": "edges",
    "save_forest": "forest",
    "save_groups": "groups",
    "save_maps": "maps",
    "save_seed_counts": "seed_counts",
    "save_seeds": "seeds",
    "score_axes": "forest",
    "seed_count_scores": "seed_counts",
    "save_verdict": "verdict",
    "seed_panels": "seeds",
    "standing_matrix": "matrix",
    "verdict_grid": "verdict",
}

__all__ = [
    "CURVES",
    "FIGURE_WIDTHS",
    "STYLES",
    "SeedPanel",
    "area_rates",
    "boundary",
    "box_accuracy",
    "count_area_rates",
    "curves_held",
    "differences",
    "edges_on_white",
    "embedded_groups",
    "foreground_with_mask",
    "group_scores",
    "iou_threshold",
    "map_with_boxes",
    "mask_alone",
    "photo_alone",
    "photo_with_mask",
    "photo_with_seeds",
    "picture",
    "precision_recall",
    "require_form",
    "save_areas",
    "save_cases",
    "save_curves",
    "save_edges",
    "save_forest",
    "save_groups",
    "save_maps",
    "save_seed_counts",
    "save_seeds",
    "save_verdict",
    "score_axes",
    "seed_count_scores",
    "seed_panels",
    "standing_matrix",
    "verdict_grid",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
