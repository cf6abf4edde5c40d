"""Draw the pictures of the README and the pages from what `wsolbench demo --out FOLDER` made.

python docs/make_pictures.py FOLDER [REAL]

REAL holds the results of docs/real-run.md on val, which are drawn too where it is given.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from wsolbench import plots
from wsolbench.baselines.seed_features import seed_features, seed_statistics
from wsolbench.baselines.trivial import predict_trivial
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.cases import find_cases
from wsolbench.evaluation.compare_files import compare_protocols
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.counts import Counts
from wsolbench.evaluation.overlays import read_overlays
from wsolbench.evaluation.run import Request, run
from wsolbench.formats.result import Bootstrap, read_result
from wsolbench.formats.submission.reader import Submission
from wsolbench.mini.classifier import SIZE, load
from wsolbench.plots.palette import reduce_png

PICTURES = Path(__file__).parent / "pictures"
SCENES = ("mini_val_00023", "mini_val_00034", "mini_val_00084")
SEEDED = ("mini_val_00000", "mini_val_00040", "mini_val_00100")
"""Of the six scenes that `plot seeds` chooses: one in between, the best and the worst by AUC."""

METHODS = ("cam", "sem")

SMALLER = {
    "strip": (128, 760),
    "maps": (96, 640),
    "cases": (128, 760),
    "seeds": (128, 600),
    "matrix": (32,),
    "animals": (32,),
}
"""Colours and longest side of pictures; other charts keep their size and have 64 colours."""

BASELINES = (
    *(("mask", 32, 0), ("mask", 8, 0), ("centre-gaussian", 16, 0), ("centre-box", 16, 0)),
    *(("whole-image", 16, 0), *(("noise", 16, seed) for seed in range(5))),
)
"""Name, size and seed of the network-free baselines beside CAM and SEM."""


def draw_curves(demo: Path, out: Path) -> None:
    """The val curves of CAM and SEM."""
    results = [read_result(demo / f"{method}-val.json") for method in METHODS]
    plots.save_curves(results, out, width="text")


def counted(dataset: Dataset, path: Path, metrics: tuple[str, ...] | None = None) -> Counts:
    """What a comparison needs of a submission."""
    return run(Request(path, dataset, metrics=metrics, counts=True)).counts[0]


def draw_differences(demo: Path, out: Path) -> None:
    """By how much SEM is ahead of CAM on val."""
    dataset = Dataset.open(demo / "mini.h5", "val")
    held = [counted(dataset, demo / f"{method}-val.h5") for method in METHODS]
    plots.save_forest(compare(held, Bootstrap(1000)), out)


def draw_matrix(demo: Path, out: Path) -> None:
    """CAM, SEM and ten network-free baselines on val, by their pixel scores."""
    dataset = Dataset.open(demo / "mini.h5", "val")
    held = [counted(dataset, demo / f"{method}-val.h5", ("pixel",)) for method in METHODS]
    with tempfile.TemporaryDirectory() as folder:
        for place, (name, size, seed) in enumerate(BASELINES):
            path = Path(folder, f"{place}.h5")
            predict_trivial(dataset, path, name, size=size, seed=seed)
            held.append(counted(dataset, path, ("pixel",)))
    plots.save_forest(compare(held, Bootstrap(12_000)), out)


def draw_verdict(demo: Path, out: Path) -> None:
    """In which scores SEM is ahead of CAM on val, under several protocols."""
    verdict = compare_protocols(
        [demo / f"{method}-val.h5" for method in METHODS],
        Bootstrap(2000),
        demo / "mini.h5",
        protocols=["sem", "wsoleval-v2", "wsoleval-pxap", "tscam", "bas", "adl"],
    )
    plots.save_verdict(verdict, out)


def draw_cases(demo: Path, out: Path) -> None:
    """One image of each kind on which the metrics agree or not."""
    dataset = Dataset.open(demo / "mini.h5", "val", demo / "images")
    with Submission.open(demo / "sem-val.h5") as submission:
        plots.save_cases(dataset, submission, find_cases(dataset, submission, count=1), out)


def draw_maps(demo: Path, out: Path) -> None:
    """Two photos beside the maps of CAM and SEM, with what was scored on them."""
    dataset = Dataset.open(demo / "mini.h5", "val", demo / "images")
    maps = [Submission.open(demo / f"{method}-val.h5") for method in METHODS]
    results = [read_result(demo / f"{method}-val.json") for method in METHODS]
    plots.save_maps(dataset, maps, out, SCENES[:2], results)


def draw_strip(demo: Path, out: Path) -> None:
    """Photo, CAM, SEM and mask of three scenes, a row each."""
    dataset = Dataset.open(demo / "mini.h5", "val", demo / "images")
    maps = [Submission.open(demo / f"{method}-val.h5") for method in METHODS]
    shown = list(read_overlays(dataset, maps, SCENES, [None] * len(maps)))
    tall = [min(1.0, overlay.mask.shape[0] / overlay.mask.shape[1]) for overlay in shown]
    with plots.picture(out, len(shown), 4, (6.4, 1.6 * sum(tall) + 0.35), heights=tall) as axes:
        for overlay, (photo, cam, sem, mask) in zip(shown, axes, strict=True):
            plots.photo_alone(overlay.photo, photo)
            for ax, drawn in zip((cam, sem), overlay.maps, strict=True):
                plots.map_with_boxes(overlay.photo, drawn.levels, overlay.boxes[:0], None, ax)
            plots.mask_alone(overlay.mask, mask)
        for ax, title in zip(axes[0], ("photo", "CAM", "SEM", "mask"), strict=True):
            ax.set_title(title)


def draw_seeds(demo: Path, out: Path) -> None:
    """Features of seeds, of the rest of the object and of the background."""
    dataset = Dataset.open(demo / "mini.h5", "val", demo / "images").only(SEEDED)
    found = seed_features(load(), dataset, size=SIZE, device="cpu")
    panels = plots.seed_panels(dataset, [(own, seed_statistics(own)) for own in found])
    plots.save_seeds(panels, out, f"mini, feat5, on {dataset.title}")


def draw_animals(real: Path, out: Path) -> None:
    """The val curves of CAM, SEM and a Gaussian on real photos."""
    names = (*METHODS, "gauss")
    results = [read_result(real / f"{name}-val.json") for name in names]
    plots.save_curves(results, out, width="text")  # letters stay legible on a page


def main() -> None:
    """Draw the pictures and tell their sizes."""
    if len(sys.argv) not in (2, 3):
        sys.exit(
            "python docs/make_pictures.py FOLDER [REAL]  (made by: wsolbench demo --out FOLDER)"
        )
    demo = Path(sys.argv[1])
    PICTURES.mkdir(exist_ok=True)
    drawn: dict[str, Callable[[Path, Path], None]] = {
        "curves": draw_curves,
        "strip": draw_strip,
        "differences": draw_differences,
        "verdict": draw_verdict,
        "matrix": draw_matrix,
        "maps": draw_maps,
        "cases": draw_cases,
        "seeds": draw_seeds,
    }
    if len(sys.argv) == 3:
        drawn["animals"] = lambda _, out: draw_animals(Path(sys.argv[2]), out)
    for name, draw in drawn.items():
        out = PICTURES / f"{name}.png"
        draw(demo, out)
        reduce_png(out, *SMALLER.get(name, ()))
        print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
