"""Measure CAM, SEM and network-free baselines on photos of animals; write entries.

    python -m leaderboard.make_animals ANNOTATIONS IMAGES [FOLDER]

ANNOTATIONS is the file that docs/real-run.md makes of Caltech-101's animals, IMAGES their photos;
`examples.squeezenet` says where its weights come from. Maps and results are kept in FOLDER
(default: animals-run), so that `wsolbench leaderboard verify` can score them again. Only scores and
counts go into the entries: neither photos nor masks are part of this project.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from examples.squeezenet import model
from leaderboard.make_mini import ROOT, scored
from wsolbench.baselines.predict import predict
from wsolbench.baselines.trivial import predict_trivial
from wsolbench.data.dataset import Dataset
from wsolbench.formats.result import Result
from wsolbench.leaderboard import About, add
from wsolbench.leaderboard.entries import read_entry
from wsolbench.leaderboard.papers import PAPERS

SIZE = 320
SEEDS = 0.1
MAP_SIZE = 28
"""Height and width of the network-free maps, as in docs/real-run.md."""

BASELINES = ("centre-gaussian", "whole-image", "centre-box", "noise")
NOTE = 11
"""Number of the note that explains these scores."""

ABOUT = About(
    authors="The wsolbench authors",
    supervision="none",
    licence="Apache-2.0",
    date="2026-11",
    command="python -m leaderboard.make_animals animals.h5 animals/images",
    backbone="none",
    map_size=f"maps {MAP_SIZE} x {MAP_SIZE}",
)


def main() -> None:
    """Replace the entries of the data set by new ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("animals-run"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for old in (ROOT / "entries" / "animals").glob("*"):
        old.unlink()
    for name in ("cam", "sem", *BASELINES):
        chosen: Result | None = None
        for split in ("val", "test"):
            dataset = Dataset.open(given.annotations, split, given.images)
            maps = given.folder / f"{name}-{split}.h5"
            if name in BASELINES:
                predict_trivial(dataset, maps, name, size=MAP_SIZE, overwrite=True)
            else:
                _predict(dataset, maps, name)
            chosen, counts = scored(dataset, maps, chosen)
            path = add(chosen, _about(name), ROOT, counts)
            replace(read_entry(path), footnotes={"entry": [NOTE]}).write(ROOT)
            print(path)


def _predict(dataset: Dataset, maps: Path, method: str) -> None:
    predict(
        model(),
        dataset,
        maps,
        method=method,
        size=SIZE,
        seeds=SEEDS,
        class_map="same",
        device="cpu",
        overwrite=True,
    )


def _about(name: str) -> About:
    if name in BASELINES:
        return ABOUT
    paper = PAPERS["cam"]
    return replace(
        ABOUT,
        authors=paper.authors,
        supervision="image label",
        paper_title=paper.title,
        paper_link=paper.link,
        method="CAM",
        backbone="SqueezeNet 1.1",
        pretraining="ImageNet",
        map_size="",
        post_processing="SEM" if name == "sem" else "",
        variant=f"K = {SEEDS:g} of positions" if name == "sem" else "",
    )


if __name__ == "__main__":
    main()
