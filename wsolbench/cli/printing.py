"""Results as text, for `evaluate` and `info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..formats.layout import Layout
    from ..formats.result import Result

__all__ = ["print_notes", "print_result", "print_results"]


def print_notes(notes: Sequence[str]) -> None:
    """Print notes to stderr, a line each."""
    for note in notes:
        click.echo(f"note: {note}", err=True)


def print_results(results: Sequence[Result], form: str, as_json: bool) -> None:
    """Print results one after the other; as JSON, several results are a list."""
    from ..formats.report import breakdown_table, signature, table

    if as_json:
        texts = [result.to_json().rstrip("\n") for result in results]
        click.echo(texts[0] if len(texts) == 1 else "[" + ",\n".join(texts) + "]")
        return
    for place, result in enumerate(results):
        if place:
            click.echo()
        if form == "text":
            print_result(result)
        else:
            click.echo(table([result], form))
            for kind in result.breakdowns if form != "csv" else ():
                click.echo(f"\n{breakdown_table(result, kind, form)}")
            click.echo(signature(result), err=True)


def print_result(result: Result, layout: Layout | None = None) -> None:
    """Print one result: heading, table, tables of its groups, warnings, signature."""
    from ..formats.layout import PLAIN
    from ..formats.report import breakdown_table, signature, table
    from ..formats.result import levels_read

    head = (
        f"{result.name} on {result.dataset} {result.split}, {result.images} images, "
        f"protocol {result.protocol['name']}, percent"
    )
    scores = table([result], layout=layout or PLAIN)
    click.echo(click.style(head, bold=True))
    click.echo(scores)
    for kind in result.breakdowns:
        click.echo(f"\n{breakdown_table(result, kind)}")
    if result.breakdowns:
        names = {"pixel": "T", "box": "Box-T"}
        levels = levels_read(result.threshold, result.scores)
        told = [f"{names[family]} = {level}" for family, level in levels.items()]
        if told:
            told = [f"groups are scored at the thresholds of the whole split: {', '.join(told)}"]
        if (own := result.threshold.own) is not None:
            told.append(f"groups are scored at the same thresholds: {own.words}")
        if result.boundary:
            told.append("boundary scores of a group are at the best threshold of that group")
        click.echo("\n" + "; ".join(told) if told else "")
    for name, words in (
        ("missing", "{} without a map, scored as zeros"),
        ("constant", "{} with a constant map"),
        ("windowed", "{} with a map of a part of them, placed in its window"),
        ("full_frame_masks", "{} with a mask that covers 95 % of the image or more"),
        ("empty_masks", "{} without an object pixel, absent from the explanation scores"),
        ("whole_image_masks", "{} without a pixel off the object, absent from ROC-AUC and Pearson"),
    ):
        if result.counts.get(name):
            click.echo(f"images: {words.format(result.counts[name])}")
    click.echo(signature(result))
