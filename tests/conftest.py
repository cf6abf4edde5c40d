"""What the tests share: the real data beside the project, and small stores to score against."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

# The tests start hundreds of processes, and there is one worker a processor: more threads would
# wait for each other, and modules without bytecode would be compiled each time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
import pytest

from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.formats.annotations import Annotation, AnnotationSet, write_store

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _importing(package: str) -> list[str]:
    """The test modules that import a package at their top."""
    here = Path(__file__).parent
    found = re.compile(rf"^(import|from) {package}\b", re.MULTILINE)
    return [
        str(file.relative_to(here))
        for file in sorted(here.rglob("test_*.py"))
        if found.search(file.read_text(encoding="utf-8"))
    ]


NEEDED = {
    "torch": [
        *_importing("torch"),
        "baselines/test_class_map.py",
        "baselines/test_sharded.py",
        "cli/test_plot_seeds.py",
        "test_structure.py::test_the_public_names_are_there",
    ],
    "torchmetrics": [
        *_importing("torchmetrics"),
        "test_structure.py::test_the_public_names_are_there",
    ],
    "cv2": ["protocols/test_protocols.py", "protocols/test_programs.py"],
    "sklearn": [
        "baselines/test_embedding.py",
        "cli/test_plot_seeds.py",
        "plots/test_seeds.py::test_panels_hold_all_seeds_and_a_random_choice_of_the_rest",
    ],
    "mlcroissant": ["test_croissant.py"],
    "material": ["docs/test_site.py"],
    "mkdocstrings": ["docs/test_site.py"],
    "matplotlib": [
        "plots",
        "cli/test_plot_seeds.py",
        "evaluation/test_cases.py",
        "cli/test_compare.py::test_methods_are_compared_from_results_and_submissions",
        "cli/test_evaluate.py::test_from_masks_to_scores",
    ],
    "jinja2": [
        "leaderboard/test_page.py",
        *(
            f"leaderboard/test_leaderboard.py::test_{name}"
            for name in (
                "an_entry_out_of_place_or_without_its_note_is_told",
                "an_entry_written_over_another_of_its_names_is_a_change",
                "hostile_names_stay_text",
                "links_are_refused_and_not_followed",
                "new_entries_are_welcome",
                "pipes_and_huge_files_are_refused_unread",
                "stale_files_are_told_line_by_line",
                "the_committed_leaderboard_is_fresh",
                "the_same_maps_twice_are_refused",
                "what_a_stranger_wrote_is_printed_on_lines_without_controls",
                "what_is_more_than_a_new_entry_is_told",
            )
        ),
    ],
}
"""Packages without which whole modules of tests are left out, and single tests are skipped."""

LACKING = {package: names for package, names in NEEDED.items() if find_spec(package) is None}
collect_ignore = [name for names in LACKING.values() for name in names if "::" not in name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the single tests that need a package which is not installed."""
    lacking = {name: package for package, names in LACKING.items() for name in names}
    for item in items:
        name = item.nodeid.removeprefix("tests/").partition("[")[0]
        if name in lacking:
            item.add_marker(pytest.mark.skip(reason=f"{lacking[name]} is not installed"))


def pytest_report_header() -> list[str]:
    """Say at the top what cannot be tested here."""
    missing = [
        f"{package} is not installed: {', '.join(modules)} left out"
        for package, names in LACKING.items()
        if (modules := [name for name in names if "::" not in name])
    ]
    if not SHARED_DATA.is_dir():
        missing.append(f"no real data at {SHARED_DATA}: tests on it are skipped")
    return missing


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos, masks and lists; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}: this test needs photos, masks and lists")
    return SHARED_DATA


def annotation(image_id: str, mask: np.ndarray, **fields: object) -> Annotation:
    """An annotation of a drawn mask, with its tight box unless `boxes` are given."""
    boxes = fields.pop("boxes", [masks.tight_box(mask)])
    given = {"split": "val", "class_index": 0, **fields}
    return Annotation(
        image_id,
        mask=masks.encode(mask),
        boxes=np.array(boxes, dtype=np.int32).reshape(-1, 4),
        **given,
    )


def random_blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A bool mask (height, width) with a random rectangle and some specks, never empty."""
    mask = rng.random((height, width)) < 0.05
    y, x = rng.integers(height), rng.integers(width)
    mask[y : y + rng.integers(1, height + 1), x : x + rng.integers(1, width + 1)] = True
    return mask


def random_dataset(path: Path, count: int, seed: int = 0, **fields: object) -> Dataset:
    """A store of `count` random images of different sizes, with one to three boxes each."""
    rng = np.random.default_rng(seed)
    annotations = []
    for index in range(count):
        height, width = rng.integers(2, 40, size=2)
        mask = random_blob(rng, height, width)
        boxes = [masks.tight_box(mask), (0, 0, 2, 2), (1, 0, width, height)]
        annotations.append(
            annotation(
                f"image_{index:03}",
                mask,
                boxes=boxes[: 1 + index % 3],
                class_index=int(rng.integers(7)),
                **fields,
            )
        )
    write_store(path, AnnotationSet("random", annotations))
    return Dataset.open(path)


def random_maps(count: int, seed: int = 0) -> list[np.ndarray]:
    """Smooth uint8 maps of different sizes, the first of them constant."""
    rng = np.random.default_rng([seed, 1])
    maps = [np.full((4, 5), 77, np.uint8)]
    while len(maps) < count:
        low = rng.integers(0, 256, size=rng.integers(1, 9, size=2))
        maps.append(np.kron(low, np.ones((2, 3))).astype(np.uint8))
    return maps[:count]
