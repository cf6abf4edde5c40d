"""Measure CAM, SEM and network-free baselines on the embedded benchmark; write entries and gallery.

    python leaderboard/make_mini.py [FOLDER]

Scenes, maps and results are kept in FOLDER (default: mini-run), so that
`wsolbench leaderboard verify` can score them again. Every entry carries its counts. It needs torch.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wsolbench.baselines.predict import predict
from wsolbench.baselines.trivial import TRIVIAL, predict_trivial
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.counts import counts_path, write_counts
from wsolbench.evaluation.run import Request, run
from wsolbench.files import write_text
from wsolbench.formats.annotations import write_store
from wsolbench.formats.result import Bootstrap, Result
from wsolbench.formats.submission.reader import Submission
from wsolbench.leaderboard import About, add
from wsolbench.leaderboard.gallery import make_gallery
from wsolbench.leaderboard.papers import PAPERS
from wsolbench.mini.classifier import load
from wsolbench.mini.scenes import write_benchmark

ROOT = Path(__file__).resolve().parent
SCENES = 120
SIZE = 128
SHARES = (None, 0.05, 0.1, 0.2)
"""Seeds of SEM as a share of all positions; None is CAM."""

MAP_SIZE = 16
"""Height and width of the network-free maps, as of the classifier's maps."""

DRAWN = Bootstrap(1000)

GALLERY = tuple(f"mini_val_{number:05}" for number in range(0, 120, 15))
"""Scenes of the page: every fifteenth, not selected by appearance."""


def main() -> None:
    """Replace the entries of the embedded benchmark by new ones."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "mini-run")
    folder.mkdir(parents=True, exist_ok=True)
    for old in (ROOT / "entries" / "mini").iterdir():
        old.unlink()
    images, content = write_benchmark(folder, val=SCENES, test=SCENES)
    write_store(folder / "mini.h5", content)
    for share in SHARES:
        chosen: Result | None = None
        for split in ("val", "test"):
            chosen = _measure(folder, images, share, split, chosen)
    for name in TRIVIAL:
        chosen = None
        for split in ("val", "test"):
            chosen = _measure_trivial(folder, name, split, chosen)
    maps = [Submission.open(folder / f"{stem}-val.h5") for stem in ("cam", "sem-0.1")]
    dataset = Dataset.open(folder / "mini.h5", "val", images)
    write_text(ROOT / "gallery.json", make_gallery(dataset, maps, ("CAM", "CAM + SEM"), GALLERY))


def scored(dataset: Dataset, maps: Path, chosen: Result | None) -> tuple[Result, Path]:
    """The result of some maps, written next to them, and its counts file."""
    request = Request(maps, dataset, threshold=chosen, bootstrap=DRAWN, counts=True)
    outcome = run(request)
    (result,), (counts,) = outcome.results, outcome.counts
    result.write(maps.with_suffix(".json"))
    path = counts_path(maps.with_suffix(".json"))
    write_counts(path, counts)
    return result, path


def _measure(
    folder: Path, images: Path, share: float | None, split: str, chosen: Result | None
) -> Result:
    dataset = Dataset.open(folder / "mini.h5", split, images)
    method = "cam" if share is None else "sem"
    stem = f"{method}-{split}" if share is None else f"{method}-{share}-{split}"
    predict(
        load(),
        dataset,
        folder / f"{stem}.h5",
        method=method,
        size=SIZE,
        seeds=share or 0.1,
        device="cpu",
        overwrite=True,
    )
    result, counts = scored(dataset, folder / f"{stem}.h5", chosen)
    about = About(
        authors=PAPERS["cam"].authors,
        supervision="image label",
        licence="Apache-2.0",
        date="2026-11",
        command="python leaderboard/make_mini.py",
        paper_title=PAPERS["cam"].title,
        paper_link=PAPERS["cam"].link,
        method="CAM",
        pretraining="none",
        post_processing="" if share is None else "SEM",
        variant="" if share is None else f"K = {share:g} of positions",
    )
    print(add(result, about, ROOT, counts))
    return result


def _measure_trivial(folder: Path, name: str, split: str, chosen: Result | None) -> Result:
    dataset = Dataset.open(folder / "mini.h5", split)
    maps = folder / f"{name}-{split}.h5"
    predict_trivial(dataset, maps, name, size=MAP_SIZE, overwrite=True)
    result, counts = scored(dataset, maps, chosen)
    about = About(
        authors="The wsolbench authors",
        supervision="the mask itself" if name == "mask" else "none",
        licence="Apache-2.0",
        date="2026-11",
        command="python leaderboard/make_mini.py",
        backbone="none",
        study="the mask itself" if name == "mask" else "",
        map_size=f"maps {MAP_SIZE} x {MAP_SIZE}",
    )
    print(add(result, about, ROOT, counts))
    return result


if __name__ == "__main__":
    main()
