"""How a table of results is laid out, beyond what every table has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import WsolbenchError, meant, one_of, require_choice, require_type, some
from ..scores import SCORES, Better, in_order
from ..tables import FORMATS

__all__ = ["ABOUT", "BY_NAME", "PLAIN", "Layout", "best_places", "check_form"]

_Row = TypeVar("_Row")

ABOUT = {"dataset": "Data set", "split": "Split", "images": "Images", "threshold": "Threshold"}
"""Columns that are no scores, and their titles."""

BY_NAME = "method"
"""What sorts by names."""


@dataclass(frozen=True)
class Layout:
    """Which columns a table has, and in which order and direction.

    Attributes:
        columns: keys of scores and of `ABOUT`, in order; none for all.
        sort: the key of a score, whose best value comes first, or "method"; empty for the order
            that is given.
        transposed: whether rows and columns change places.
        bold: whether the best value of each score is bold, and values that are printed alike.
        named: whether short names stand in place of letters (comparisons).
        width: of a terminal, in characters; wider text tables are cut into several. None for any.

    Examples:
        >>> results = [wsolbench.read_result(f"demo/{name}-val.json") for name in ("cam", "sem")]
        >>> layout = wsolbench.Layout(["peak_threshold"], sort="peak_iou")
        >>> print(wsolbench.table(results, "md", layout))
        | Method   |   Peak-T |
        |----------|----------|
        | SEM mini |      128 |
        | CAM mini |       24 |
    """

    columns: Sequence[str] = ()
    sort: str = ""
    transposed: bool = False
    bold: bool = False
    named: bool = False
    width: int | None = None

    def keys(self, held: Iterable[str], about: Collection[str] = ()) -> list[str]:
        """The columns of a table, of those that it can have.

        Args:
            held: keys of scores.
            about: keys of `ABOUT`.

        Raises:
            WsolbenchError: a column that it cannot have.
        """
        known = [*about, *in_order(set(held))]
        unknown = [key for key in self.columns if key not in known]
        if unknown:
            raise WsolbenchError(
                "columns",
                found=some(unknown),
                expected=one_of(known),
                cure=meant(unknown, known, "name some of these"),
            )
        return list(dict.fromkeys(self.columns)) or known

    def scores(self, held: Iterable[str]) -> list[str]:
        """The scores among the columns, or all scores where no column is a score."""
        held = set(held)
        keys = self.keys(held, ABOUT)
        return [key for key in keys if key in held]

    def order(
        self,
        rows: Sequence[_Row],
        scores: Callable[[_Row], Mapping[str, float | int]],
        name: Callable[[_Row], str],
    ) -> list[_Row]:
        """Rows by `sort`; those without the score come last, equal ones in the order given.

        Raises:
            WsolbenchError: a score that no row has.
        """
        if not self.sort:
            return list(rows)
        if self.sort == BY_NAME:
            return sorted(rows, key=lambda row: name(row).casefold())
        known = [BY_NAME, *in_order({key for row in rows for key in scores(row)})]
        if self.sort not in known:
            raise WsolbenchError(
                "sort",
                found=repr(self.sort),
                expected=one_of(known),
                cure=meant([self.sort], known, "name one of these"),
            )
        return sorted(rows, key=lambda row: SCORES[self.sort].order(scores(row).get(self.sort)))


PLAIN = Layout()
"""All columns as they come."""


def check_form(
    form: str, layout: Layout = PLAIN, *, forms: Sequence[str] = FORMATS, sorted_: bool = True
) -> None:
    """Check the form and layout of a table before anything is formed.

    Args:
        form: one of `forms`.
        layout: of the table.
        forms: those that the table has.
        sorted_: whether its rows may be sorted.

    Raises:
        WsolbenchError: another form or no layout; a layout that the table has no place for.
    """
    require_choice("form", form, forms)
    require_type("layout", layout, (Layout,), "a Layout")
    given = {"bold": layout.bold, "transposed": layout.transposed}
    unfit = [name for name, own in given.items() if own and form == "csv"]
    unfit += ["sort"] if layout.sort and not sorted_ else []
    if unfit:
        raise WsolbenchError(
            f"layout: {unfit[0]}",
            found=f"it for a table of form {form}",
            expected="a table that has a place for it",
            cure="leave it out, or name another form" if sorted_ else "leave it out",
        )


def best_places(key: str, values: Sequence[float | int | None]) -> list[int]:
    """Where the best value of a score stands, and those that are printed like it.

    None for a score without a better direction, such as a threshold or a chance level, and where
    fewer than two have the score.
    """
    score = SCORES[key]
    there = [value for value in values if value is not None]
    if score.better is Better.NEITHER or not score.is_compared or len(there) < 2:
        return []
    best = score.text(min(there, key=score.order))
    return [
        place
        for place, value in enumerate(values)
        if value is not None and score.text(value) == best
    ]
