"""Files for the Hugging Face Hub: `export hub`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, listed

__all__ = ["export_hub"]


@click.command("hub")
@click.argument("results", metavar="RESULT...", type=FILE, nargs=-1, required=True)
@click.option("--dataset-id", required=True, help="The data set on the Hub: OWNER/NAME.")
@click.option("--out", type=FILE, required=True, help="Folder to create.")
@click.option(
    "--annotations",
    type=FILE,
    help="Annotation file of the results: write the data set's eval.yaml, card and tables, too.",
)
@click.option(
    "--scores",
    metavar="KEY,KEY",
    help="Scores to publish [default: those of the leaderboard's tables, without thresholds].",
)
@click.option("--licence", default="", help="Licence of the annotations, e.g. cc-by-4.0.")
@click.option("--source", default="", help="Link to what the results come from (https).")
@click.option("--date", default="", help="Date of the evaluation: YYYY-MM-DD.")
def export_hub(
    results: tuple[Path, ...],
    dataset_id: str,
    out: Path,
    annotations: Path | None,
    scores: str | None,
    licence: str,
    source: str,
    date: str,
) -> None:
    """Write a model's .eval_results and a data set's eval.yaml and card for the Hugging Face Hub.

    Nothing is uploaded.
    """
    from ..competitions.hub import write_hub
    from ..formats.annotations import AnnotationStore
    from ..formats.result import read_result

    written = write_hub(
        out,
        [read_result(path) for path in results],
        dataset_id,
        store=AnnotationStore.open(annotations) if annotations else None,
        scores=listed(scores) if scores else None,
        licence=licence,
        source=source,
        date=date,
    )
    click.echo("\n".join(map(str, written)))
