"""Legends tell items apart; only comparable numbers share a figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from tests.plots.samples import ENTRIES, legend, measured, with_seeds
from wsolbench import plots
from wsolbench.errors import WsolbenchError
from wsolbench.formats.result import Result
from wsolbench.leaderboard.entries import read_entry


def test_names_that_are_alike_tell_their_seeds(results: list[Result], ax: Axes) -> None:
    one, two = (with_seeds(results[0], seeds, 0.5) for seeds in (1, 2))
    other = with_seeds(results[0], 1, 0.5, backbone="vgg")
    plots.box_accuracy([one, two, other], ax)
    names = [text.partition(":")[0] for text in legend(ax)]
    assert names == [
        "SEM, seeds 1",
        "SEM, seeds 2",
        "SEM vgg",
    ]
    assert ax.get_legend().get_title().get_text().endswith("\nrandom val")


def test_names_that_are_alike_tell_their_normalisation(results: list[Result], ax: Axes) -> None:
    forms = ("max", "ivr:45")
    several = [
        dataclasses.replace(
            results[0], method={"name": "CAM", "parameters": {"size": 9, "normalisation": form}}
        )
        for form in forms
    ]
    plots.iou_threshold([*several, results[0]], ax)
    assert [text.partition(":4")[0].partition(": ")[0] for text in legend(ax)[:2]] == [
        f"CAM, normalisation {form.partition(':')[0]}" for form in forms
    ]


def test_protocols_and_sources_are_not_mixed(results: list[Result], tmp_path: Path) -> None:
    one = with_seeds(results[0], 20, 0.5)
    reported = read_entry(next(ENTRIES.glob("ilsvrc/*number-of-seeds-k-1-val*.json")))
    elsewhere = {**reported.provenance, "paper": {"title": "Another paper"}}
    other_protocol = dataclasses.replace(one, protocol={**one.protocol, "sha256": "f" * 64})
    for pair, message in (
        ([one, reported], r"protocol sem\.v2 \(.*\), numbers reported in Rethinking"),
        ([reported, dataclasses.replace(reported, provenance=elsewhere)], "in Another paper, exp"),
        ([measured(one, seeds=40), other_protocol], r"protocol sem\.v2 \(ffffffff\), expected one"),
        ([], "no results or entries"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            plots.save_seed_counts(pair, tmp_path / "s.png")
    plots.save_curves([measured(one), one], tmp_path / "c.png")  # one protocol, two kinds of file
    assert [path.name for path in tmp_path.iterdir()] == ["c.png"]
