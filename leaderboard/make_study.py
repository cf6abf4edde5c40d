"""Write the entries of the study on the embedded benchmark from its folder.

    wsolbench study mini --out mini-study --seeds 0,1,2
    python leaderboard/make_study.py mini-study

Each run has an entry without SEM, and one with SEM at the K that Peak-IoU chooses on val; all are
on test, at the thresholds of val. docs/studies/ has the summary.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wsolbench.baselines.settings import METHODS
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.result import Bootstrap, read_result
from wsolbench.leaderboard import About, add
from wsolbench.leaderboard.papers import PAPERS
from wsolbench.study.plan import OWN, TRIVIAL, Maps
from wsolbench.study.summary import summarise

ROOT = Path(__file__).resolve().parent
DRAWN = Bootstrap(1000)


def main() -> None:
    """Replace the entries of the study by those of a folder."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "mini-study")
    study = summarise(folder)
    for old in (ROOT / "entries" / "mini-study").glob("*.json"):
        old.unlink()
    dataset = Dataset.open(folder / "scenes.h5", "test")
    for own in study.methods:
        for seed in study.seeds:
            for kind in (OWN, Maps(own.best["peak_iou"])):
                place = folder / f"seed-{seed}" / own.name
                _add(place, kind, own.name, seed, dataset)
    for name in TRIVIAL:
        _add_trivial(folder / "trivial" / name, dataset)


def _add(place: Path, kind: Maps, method: str, seed: int, dataset: Dataset) -> None:
    chosen = read_result(place / "val" / f"{kind.stem}.json")
    maps = place / "test" / f"{kind.stem}.h5"
    result = evaluate(dataset, maps, threshold=chosen, bootstrap=DRAWN)
    paper = PAPERS[method]
    about = About(
        authors=paper.authors,
        supervision="image label",
        licence="Apache-2.0",
        date="2026-11",
        command="python leaderboard/make_study.py",
        paper_title=paper.title,
        paper_link=paper.link,
        method=METHODS[method].title,
        pretraining="the embedded classifier's trunk",
        post_processing="" if kind == OWN else "SEM",
        variant=f"seed {seed}" + ("" if kind == OWN else f", K = {kind.seeds:g} of positions"),
    )
    print(add(result, about, ROOT))


def _add_trivial(place: Path, dataset: Dataset) -> None:
    chosen = read_result(place / "val.json")
    result = evaluate(dataset, place / "test.h5", threshold=chosen, bootstrap=DRAWN)
    about = About(
        authors="The wsolbench authors",
        supervision="none",
        licence="Apache-2.0",
        date="2026-11",
        command="python leaderboard/make_study.py",
        backbone="none",
        map_size="maps 28 x 28",
    )
    print(add(result, about, ROOT))


if __name__ == "__main__":
    main()
