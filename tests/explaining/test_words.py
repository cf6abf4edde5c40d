"""The sentences of `explain`, of comparisons whose outcome is drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wsolbench.evaluation.comparison import Comparison
from wsolbench.evaluation.pairs import Pair
from wsolbench.evaluation.verdict import Verdict
from wsolbench.explaining.words import conclusion, decided_beside, pair_sentence
from wsolbench.formats.result import Bootstrap

NAMES = ("CAM", "SEM", "LayerCAM")
KEYS = ("peak_iou", "pointing_game", "relevance_mass")


def drawn(pointing: tuple[float, ...], **decided: str) -> Verdict:
    """A verdict; `peak_iou_01="ahead"` is that of SEM beside CAM in Peak-IoU."""
    pairs = [
        Pair(
            key,
            first,
            second,
            0.1,
            (0, 0.2),
            0.9,
            verdict=decided.get(f"{key}_{first}{second}", "undecided"),
        )
        for key in KEYS
        for first, second in ((0, 1), (0, 2), (1, 2))
    ]
    scores = dict.fromkeys(KEYS, pointing)
    return Verdict(
        (
            Comparison(
                names=NAMES,
                thresholds=("",) * 3,
                normalisations=("",) * 3,
                dataset="mini",
                split="val",
                label="gt",
                protocol={"name": "sem", "version": 2, "sha256": "0" * 64},
                annotations_sha256="0" * 64,
                submissions=("a", "b", "c"),
                images=30,
                of=(30,) * 3,
                maps=(30,) * 3,
                limit=None,
                bootstrap=Bootstrap(100, 0),
                boundary={},
                scores=scores,
                intervals={},
                pairs=pairs,
                left_out=(),
                seeds=(),
                seed_notes=(),
            ),
        ),
        {},
    )


@pytest.mark.parametrize(
    ("pointing", "decided", "told"),
    [
        (
            (0.5, 0.5, 0.5),
            {},
            "Undecided: on 30 photos no difference in any score is sure. "
            "Pointing game: all hit equally, 50.0 %.",
        ),
        (
            (0.5, 0.6, 0.8),
            {"pointing_game_02": "ahead", "relevance_mass_12": "ahead"},
            "LayerCAM is best: surely ahead of each other method in at least one score, and behind "
            "in none. Pointing game: LayerCAM hits most, 80.0 %, surely more than CAM; undecided "
            "beside SEM.",
        ),
        (
            (0.5, 0.8, 0.8),
            {"peak_iou_02": "ahead"},
            "No method is surely ahead of all others; LayerCAM is ahead in some scores and behind "
            "in none. Pointing game: SEM and LayerCAM hit most, 80.0 %, which is not surely more "
            "than any other.",
        ),
        (
            (0.9, 0.8, 0.7),
            {"peak_iou_01": "ahead", "pointing_game_01": "behind", "pointing_game_02": "behind"},
            "No method is best: each that is surely ahead in some score is behind in another. "
            "Pointing game: CAM hits most, 90.0 %, surely more than SEM or LayerCAM.",
        ),
    ],
)
def test_the_conclusion(pointing: tuple[float, ...], decided: dict[str, str], told: str) -> None:
    assert conclusion(drawn(pointing, **decided), NAMES) == told


def test_few_photos_are_named_first() -> None:
    (own,) = drawn((0.5, 0.6, 0.7), peak_iou_01="ahead").comparisons
    few = Verdict((replace(own, images=8),), {})
    assert conclusion(few, NAMES).startswith("8 photos are too few to rely on this: No method is")


def test_a_pair_and_who_is_marked() -> None:
    verdict = drawn((0.5, 0.6, 0.7), peak_iou_01="ahead", pointing_game_01="behind")
    own = verdict.comparisons[0].tallies[0]
    assert pair_sentence(own, NAMES) == (
        "SEM beside CAM: ahead in 1 (Peak-IoU), behind in 1 (Pointing game), "
        "undecided in 1 of 3 scores"
    )
    assert decided_beside(verdict, "peak_iou", 0) == ([], [1])
    assert decided_beside(verdict, "peak_iou", 1) == ([0], [])
    assert decided_beside(verdict, "pointing_game", 0) == ([1], [])
    assert decided_beside(verdict, "relevance_mass", 2) == ([], [])


def test_scores_that_are_not_there() -> None:
    verdict = drawn((0.5, 0.6, 0.7))
    (own,) = verdict.comparisons
    bare = Verdict((replace(own, scores={}),), {})
    assert conclusion(bare, NAMES).endswith("no difference in any score is sure.")
