"""How panels share the width of a figure, and how many photos fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import WsolbenchError
from .style import inches_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["MAX_PHOTOS", "PHOTO_INCHES", "Grid", "panel_grid", "require_photos"]

MAX_PHOTOS = 40
"""Maximum number of photos in one figure, below each other."""

PHOTO_INCHES = 1.75
"""Width of a column of photos, in figures whose width is not given."""

_NARROWEST = 2.2
"""Inches of a panel with an axis and its labels."""

_LOWEST = 2.05


@dataclass(frozen=True)
class Grid:
    """Panels in rows.

    Attributes:
        count: of panels.
        columns: of a row.
        inches: the width of the figure; None for as many as the panels need.
    """

    count: int
    columns: int
    inches: float | None

    @property
    def rows(self) -> int:
        """Rows of panels."""
        return -(-self.count // self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def lowest(self) -> float | None:
        """Inches down to which all rows may shrink to fit a page; None if no width is given."""
        return None if self.inches is None else _LOWEST * self.rows

    def across(self, width: float) -> float:
        """Inches of a panel that would by itself be so wide, with its share of the gaps."""
        return width if self.inches is None else self.inches / self.columns

    def size(self, width: float, height: float) -> tuple[float, float]:
        """Inches of a figure whose panels would by themselves be so wide and so high.

        Panels of a given width keep their shape, but are not made larger, nor lower than the label
        of an axis is long.
        """
        own = self.across(width)
        return own * self.columns, min(height, max(_LOWEST, own / width * height)) * self.rows

    def filled(self, axes: NDArray[Any]) -> list[Axes]:
        """The axes of the panels, row by row; the others are removed."""
        flat = list(axes.flat)
        for ax in flat[self.count :]:
            ax.remove()
        return flat[: self.count]


def panel_grid(
    count: int, width: str | None, *, most: int = 4, narrowest: float = _NARROWEST
) -> Grid:
    """Panels in as few rows as the width has room for, and as even as they can be.

    Args:
        count: of panels, one at the least.
        width: a key of `style.FIGURE_WIDTHS`; None for no limit but `most` columns.
        most: columns at most.
        narrowest: inches that a panel needs.

    Raises:
        WsolbenchError: another width.
    """
    inches = inches_of(width)
    room = most if inches is None else max(1, min(most, int(inches / narrowest)))
    rows = -(-count // room)
    return Grid(count, -(-count // rows), inches)


def require_photos(count: int, most: int = MAX_PHOTOS) -> None:
    """Raise unless this many photos fit in one figure. Call it before any work."""
    if not 1 <= count <= most:
        raise WsolbenchError(
            "images",
            found=f"{count} images",
            expected=f"1 to {most}",
            cure="draw fewer in one figure" if count else "name at least one",
        )
