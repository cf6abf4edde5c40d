"""Draw the pictures of docs/boundaries.md from a study on the embedded benchmark.

python docs/make_boundary_pictures.py ANNOTATIONS IMAGES STUDY

STUDY is the folder that `wsolbench study edges` made.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from wsolbench import plots
from wsolbench.boundaries.pseudo import pseudo_steps
from wsolbench.data.dataset import Dataset
from wsolbench.formats.result import read_result
from wsolbench.formats.submission.reader import Submission
from wsolbench.metrics.boundary import true_boundary
from wsolbench.plots.palette import reduce_png

PICTURES = Path(__file__).parent / "pictures"

SCENES = (3, 40, 77, 150)
"""Places of the scenes in test."""

CURVES = ("cam-hns", "sem-vanilla", "sem-hns", "sem-pseudo", "sem-gradient")
STEPS = ("photo", "SEM map", "ConvCRF", "contour", "Canny", "pseudo-boundary", "true boundary")


def draw_steps(dataset: Dataset, study: Path, out: Path) -> None:
    """Every step from a map to its pseudo-boundary."""
    size = (1.15 * len(STEPS), 1.15 * len(SCENES) + 0.3)
    with (
        Submission.open(study / "seed-0" / "sem-pseudo" / "test.h5") as opened,
        plots.picture(out, len(SCENES), len(STEPS), size) as axes,
    ):
        for place, row in zip(SCENES, axes, strict=True):
            sample = dataset[place]
            photo = np.asarray(sample.image.convert("RGB"))
            map_ = opened.read([opened.image_ids.index(sample.image_id)])[0]
            steps = pseudo_steps(map_, photo)
            row[0].imshow(photo)
            for ax, grey in zip(row[1:3], (steps.map, steps.crf), strict=True):
                ax.imshow(grey, cmap="viridis", vmin=0, vmax=1)
            lines = (steps.contour, steps.canny, steps.boundary, true_boundary(sample.mask))
            for ax, line in zip(row[3:], lines, strict=True):
                plots.edges_on_white(line.astype(np.uint8) * 255, ax)
            for ax in row:
                ax.set_xticks([])
                ax.set_yticks([])
                ax.grid(visible=False)
        for ax, title in zip(axes[0], STEPS, strict=True):
            ax.set_title(title, fontsize=7)


def draw_rows(dataset: Dataset, study: Path, out: Path) -> None:
    """The rows of the paper's Fig. 10."""
    opened = [
        Submission.open(study / "seed-0" / name / "test.h5")
        for name in ("sem-pseudo", "cam-hns", "sem-vanilla", "sem-hns")
    ]
    names = [dataset.image_ids[place] for place in SCENES]
    plots.save_edges(dataset, opened, out, names)


def draw_curves(dataset: Dataset, study: Path, out: Path) -> None:
    """Precision and recall of seed 0."""
    paths = [study / "seed-0" / name / "test.json" for name in CURVES]
    results = [read_result(path) for path in (*paths, study / "canny" / "test.json")]
    plots.save_curves(results, out, ("boundary",))


def main() -> None:
    """Draw the pictures and print their sizes."""
    if len(sys.argv) != 4:
        sys.exit("python docs/make_boundary_pictures.py ANNOTATIONS IMAGES STUDY")
    annotations, images, study = map(Path, sys.argv[1:])
    dataset = Dataset.open(annotations, "test", images)
    for name, draw in (
        ("boundary-steps", draw_steps),
        ("boundary-rows", draw_rows),
        ("boundary-curves", draw_curves),
    ):
        out = PICTURES / f"{name}.png"
        draw(dataset, study, out)
        reduce_png(out, 128, 800)
        print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
