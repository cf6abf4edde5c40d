"""The page of `explain`: verdict, scores, and each photo with its maps, in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..errors import counted, printable
from ..evaluation.comparison_report import mark
from ..evaluation.overlays import Overlay, read_overlays
from ..evaluation.verdict import Verdict
from ..files import replacing
from ..formats.report import chance_text
from ..formats.result import Result
from ..formats.submission.reader import Submission
from ..formats.submission.rules import OUTSIDE
from ..progress import Progress
from ..scores import SCORES, Better, Unit, in_order
from .pictures import data_uri, thumbnail, with_map, with_outline
from .words import basis, conclusion, decided_beside, of_network, pair_sentence, short_names

__all__ = ["SHOWN", "write_page"]

SHOWN = (
    *("pointing_game", "relevance_mass", "rank_accuracy", "roc_auc", "auc_iou"),
    *("iou_otsu", "peak_iou", "peak_iou_image_mean", "ap", "gt_known_loc", "predicted_loc"),
)
"""Scores of the page's table, beside those with a decided difference; scores.csv has all."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --good: #0a7d4f; --bad: #b3401f; }
@media (prefers-color-scheme: dark) { :root { --good: #4cc38a; --bad: #ff8d6b; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1500px; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
p { max-width: 75ch; margin: .3rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); }
td { vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
thead th { vertical-align: bottom; }
td small { display: block; font-weight: normal; opacity: .7; white-space: nowrap; }
td small.hit, td small.miss { opacity: 1; }
td.best { font-weight: 700; }
.photo { display: grid; gap: .8rem; padding: .8rem 0; border-top: 1px solid var(--line);
  max-width: calc(var(--count) * 15.8rem); align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(max(150px, 99% / var(--count) - .8rem), 1fr)); }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; border-radius: 4px; }
figcaption { font-size: .85rem; padding-top: .25rem; overflow-wrap: anywhere; }
figcaption b { font-weight: 600; }
.hit { color: var(--good); } .miss { color: var(--bad); }
p.basis { font-size: .8rem; opacity: .8; overflow-wrap: anywhere; }
ul { max-width: 75ch; padding-left: 1.2rem; }
"""


def write_page(
    path: Path,
    *,
    dataset: Dataset,
    submissions: Sequence[Path],
    results: Sequence[Result],
    images: Sequence[Mapping[str, Sequence[Any]]],
    verdict: Verdict | None,
    notes: Sequence[str],
    class_names: Sequence[str] = (),
    progress: Progress | None = None,
) -> None:
    """Write the page of several methods on the same images.

    Args:
        path: the file.
        dataset: the images, with photos.
        submissions: the maps, one a method.
        results: their results.
        images: their per-image tables.
        verdict: who is ahead; None for a single method.
        notes: what a reader should know.
        class_names: of the network's outputs, in their order; empty if they are not known.
        progress: called with (images done, images).
    """
    names = short_names(verdict, results)
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for text in _head(dataset, names, results, verdict, notes):
            file.write(text + "\n")
        opened = [Submission.open(own) for own in submissions]
        try:
            overlays = read_overlays(dataset, opened, dataset.image_ids, [None] * len(opened))
            first = next((own for own in opened if own.top5 is not None), opened[0])
            best = first.top5
            rows = {image_id: row for row, image_id in enumerate(first.image_ids)}
            for place, overlay in enumerate(overlays):
                output = None if best is None else int(best[rows[overlay.image_id], 0])
                seen = "" if output is None else _class(output, dataset, class_names)
                file.write(_photo(overlay, names, place, images, seen) + "\n")
                if progress is not None:
                    progress(place + 1, len(dataset))
        finally:
            for own in opened:
                own.close()
        file.write("</main></html>\n")


def _head(
    dataset: Dataset,
    names: Sequence[str],
    results: Sequence[Result],
    verdict: Verdict | None,
    notes: Sequence[str],
) -> Iterator[str]:
    backbone = str(of_network(results).method.get("backbone", ""))
    title = f"Where {backbone} looks" if backbone else "Where the network looks"
    yield '<!doctype html><html lang="en"><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{_safe(title)}</title><style>{_STYLE}</style><main>"
    yield f"<h1>{_safe(title)}</h1>"
    whose = "annotated class" if results[0].label == "gt" else "class that the network predicts"
    yield (
        f"<p>{counted(len(dataset), 'photo')}, {counted(len(names), 'method')}; maps of "
        f"the {whose}.</p>"
    )
    if verdict is not None:
        yield f"<h2>Verdict</h2><p><b>{_safe(conclusion(verdict, names))}</b></p><ul>"
        for own in verdict.comparisons[0].tallies:
            yield f"<li>{_safe_long(pair_sentence(own, names))}</li>"
        yield "</ul><p>Paired differences on the same photos, corrected for the number of "
        yield "comparisons (Holm); comparison.json has each of them.</p>"
    yield f"<h2>Scores</h2>{_table(names, results, verdict)}"
    yield f"<p>{_legend(verdict)}</p>"
    yield from (f'<p class="basis">{_safe_long(line)}</p>' for line in basis(results, verdict))
    if not any(own.method.get("class_agnostic") for own in results):
        yield "<p>None of these maps is made without the photo: add trivial:centre-gaussian to the "
        yield "methods to see what the middle of a photo scores.</p>"
    if notes:
        yield "<h2>Notes</h2><ul>"
        yield from (f"<li>{_safe(note)}</li>" for note in notes)
        yield "</ul>"
    yield "<h2>Photos</h2><p>White: the outline of the mask. Ring: the map's highest pixel (the "
    yield "first, if several are equal). IoU at the method's Peak-T, the same threshold for all "
    yield "photos; in brackets the best of that photo.</p>"


def _legend(verdict: Verdict | None) -> str:
    """What the marks in the table mean."""
    told = "Small: 95 % interval, and what a map scores by chance, where that is known"
    if verdict is None:
        return "Small: what a map scores by chance, where that is known. scores.csv has all scores."
    return (
        f"{told}. Numbers are percent but those of KL divergence, NSS and Pearson. "
        "Bold: the best number of the row, which is no verdict. "
        '<span class="hit">▲ A</span>: surely ahead of method A; '
        '<span class="miss">▼ B</span>: surely behind method B; without a mark, undecided. '
        "scores.csv has all scores."
    )


def _table(names: Sequence[str], results: Sequence[Result], verdict: Verdict | None) -> str:
    comparison = verdict.comparisons[0] if verdict else None
    shown = set(SHOWN)
    if comparison is not None:
        shown |= {key for own in comparison.tallies for key in (*own.ahead, *own.behind)}
    keys = in_order({key for own in results for key in own.scores} & shown)
    letters = [f"{mark(place)}: " if verdict else "" for place in range(len(names))]
    rows = ["<thead><tr><th>percent</th>"]
    rows += [f"<th>{letter}{_safe(name)}</th>" for letter, name in zip(letters, names, strict=True)]
    rows.append("</tr></thead><tbody>")
    for key in keys:
        score = SCORES[key]
        known = [own.scores[key] for own in results if key in own.scores]
        best = {Better.HIGHER: max(known), Better.LOWER: min(known)}.get(score.better)
        cells = []
        for place, own in enumerate(results):
            if key not in own.scores:
                cells.append("<td></td>")
                continue
            value, small = own.scores[key], []
            if comparison is not None and key in comparison.intervals:
                low, high = comparison.intervals[key][place]
                small.append(f"<small>{_number(key, low)} to {_number(key, high)}</small>")
            if verdict is not None:
                small += _marks(verdict, key, place)
            if chance := chance_text(key, own.scores, _number):
                small.append(f"<small>{chance}</small>")
            bold = ' class="best"' if len(known) > 1 and value == best else ""
            cells.append(f"<td{bold}>{_number(key, value)}{''.join(small)}</td>")
        rows.append(f"<tr><td>{_safe(score.title)}</td>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table>{"".join(rows)}</tbody></table></div>'


def _number(key: str, value: float) -> str:
    """Percent with one decimal; scores that are no fractions, such as KL divergence, with two."""
    return SCORES[key].text(value, 2 if SCORES[key].unit is Unit.NUMBER else 1)


def _marks(verdict: Verdict, key: str, place: int) -> list[str]:
    """Whom a method is surely ahead of and behind in a score."""
    found = []
    for sign, style, others in zip(
        "▲▼", ("hit", "miss"), decided_beside(verdict, key, place), strict=True
    ):
        if others:
            letters = ", ".join(map(mark, others))
            found.append(f'<small class="{style}">{sign} {letters}</small>')
    return found


def _class(output: int, dataset: Dataset, names: Sequence[str]) -> str:
    """A class of `top5` in words: of the annotations where these have classes, else an output."""
    outside = output >= OUTSIDE
    place = output - OUTSIDE if outside else output
    stored = [name for _, name in dataset.store.classes]
    known = names if outside or not stored else stored
    return f"class {place}" + (f" ({known[place]})" if place < len(known) else "")


def _photo(
    overlay: Overlay,
    names: Sequence[str],
    place: int,
    images: Sequence[Mapping[str, Sequence[Any]]],
    seen: str,
) -> str:
    small = thumbnail(overlay.photo)
    name = _safe(overlay.image_id)
    told = f"; the network sees {_safe(seen)}" if seen else ""
    figures = [
        f'<figure><img alt="{name}" src="{data_uri(with_outline(small, overlay.mask))}">'
        f"<figcaption><b>{name}</b><br>photo and mask{told}</figcaption></figure>"
    ]
    for method, own, table in zip(names, overlay.maps, images, strict=True):
        picture = data_uri(with_map(small, own.levels, overlay.mask))
        figures.append(
            f'<figure><img alt="{_safe(method)} of {name}" src="{picture}"><figcaption>'
            f"<b>{_safe(method)}</b><br>{_caption(table, place)}</figcaption></figure>"
        )
    columns = f"--count: {len(figures)}"
    return f'<section class="photo" style="{columns}">{"".join(figures)}</section>'


def _caption(table: Mapping[str, Sequence[Any]], place: int) -> str:
    """IoU and pointing game of one map."""

    def value(key: str) -> float | None:
        return table[key][place] if key in table else None

    words = []
    iou, best = value("iou"), value("best_iou")
    if iou is not None and best is not None:
        words.append(f"IoU {100 * iou:.0f} % ({100 * best:.0f})")
    hit = value("pointing_game")
    if hit is not None:
        kind, text = ("hit", "points at it") if hit == 1 else ("miss", "misses it")
        if 0 < hit < 1:
            kind, text = "", f"a tie, {100 * hit:.0f} % of it on the object"
        words.append(f'<span class="{kind}">{text}</span>')
    return ", ".join(words)


def _safe(text: str) -> str:
    return escape(printable(text))


def _safe_long(text: str) -> str:
    """As `_safe`, of a text of many parts, each of which may be as long as `printable` allows."""
    return ", ".join(_safe(part) for part in text.split(", "))
