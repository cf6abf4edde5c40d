"""What the runs of a study of boundaries say: means, spreads over seeds, paired differences.

As in `summary`: an interval covers the choice of photos, each resample being the same for all runs
and averaged over the seeds, and a difference is called higher or lower only if its interval
excludes zero and all of at least two seeds agree on its sign.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, printable
from ..evaluation.counts import Counts, counts_path, read_counts
from ..formats.result import Bootstrap, read_result
from ..metrics.bootstrap import draw_weights
from ..progress import Progress
from ..scores import SCORES
from ..tables import grid
from .edges import CANNY, KEYS, VARIANTS, read_edge_plan
from .estimate import Estimate

__all__ = [
    "CLAIMS",
    "EdgeFinding",
    "EdgeStudy",
    "Row",
    "edge_study_json",
    "edge_study_text",
    "summarise_edges",
]


@dataclass(frozen=True)
class Claim:
    """A statement of the paper: `second` scores higher than `first`."""

    text: str
    source: str
    key: str
    first: str
    second: str


_TABLE = "section 4.4, Table 7"
CLAIMS = (
    *(
        Claim(f"HNS raises {words}", _TABLE, key, "sem-vanilla", "sem-hns")
        for words, key in (("AP", "boundary_ap"), ("ODS", "boundary_ods"))
    ),
    *(
        Claim(f"SEM's maps give a higher {words} than CAM's", _TABLE, key, "cam-hns", "sem-hns")
        for words, key in (("AP", "boundary_ap"), ("ODS", "boundary_ods"))
    ),
    *(
        Claim(
            f"{words} raises the AP of SEM-HNS", _TABLE, "boundary_ap", "sem-hns", f"sem-hns-{own}"
        )
        for words, own in (("CutMix", "cutmix"), ("HaS", "has"))
    ),
)
"""What the paper says of its rows."""


@dataclass(frozen=True)
class Row:
    """One row of the table: its scores by key, over seeds and photos."""

    title: str
    seeds: tuple[int, ...]
    scores: Mapping[str, Estimate]


@dataclass(frozen=True)
class EdgeFinding:
    """What a study says of a claim: "holds", "is contradicted" or "undecided"."""

    text: str
    source: str
    key: str
    difference: Estimate
    verdict: str


@dataclass(frozen=True)
class EdgeStudy:
    """The summary of a study of boundaries.

    Attributes:
        plan: what all runs have in common.
        seeds: of classifiers and detectors.
        images: number of photos scored.
        boundary: how they were scored.
        bootstrap: how intervals were drawn.
        rows: by name of the variant, "canny" and "also/<title>".
        differences: of each other row to SEM-HNS (SEM-HNS minus the row), by name and key.
        findings: the paper's statements, and what this study says of them.
        ois_below_ods: rows in which OIS is below ODS, as in every row of Table 7.
    """

    plan: Mapping[str, Any]
    seeds: tuple[int, ...]
    images: int
    boundary: Mapping[str, Any]
    bootstrap: Bootstrap
    rows: Mapping[str, Row]
    differences: Mapping[str, Mapping[str, Estimate]]
    findings: Sequence[EdgeFinding]
    ois_below_ods: Sequence[str]


_Run = tuple[Mapping[str, float | int], Mapping[str, NDArray[Any]]]


def summarise_edges(
    folder: str | os.PathLike[str],
    bootstrap: Bootstrap | None = None,
    progress: Progress | None = None,
) -> EdgeStudy:
    """Summarise the runs that a folder holds.

    Args:
        folder: of `run_edge_study`.
        bootstrap: how intervals are drawn; by default 1,000 resamples, seed 0.
        progress: called with (results read, results).

    Raises:
        WsolbenchError: no run is finished, a variant lacks a seed that others have, or results are
            damaged or of other images or rules.
    """
    root, drawn = Path(folder), bootstrap or Bootstrap(1000)
    plan = read_edge_plan(root)
    paths = _paths(root)
    weights: NDArray[np.uint16] | None = None
    first: Counts | None = None
    runs: dict[str, list[_Run]] = {}
    done, total = 0, sum(map(len, paths.values()))
    for name, own in paths.items():
        runs[name] = []
        for path in own:
            counts = read_counts(counts_path(path), read_result(path))
            first = first or counts
            _check_alike(path, counts, first)
            if weights is None:
                rng = np.random.default_rng(drawn.seed)
                weights = draw_weights(len(counts.image_ids), drawn.resamples, rng)
            threshold = counts.result.threshold
            resampled = counts.scoring.resampled(counts.kept, weights, threshold)
            runs[name].append((counts.result.scores, resampled))
            done += 1
            if progress is not None:
                progress(done, total)
    if first is None:
        raise WsolbenchError(root, found="no result", cure="run wsolbench study edges first")
    seeds = _seeds(root)
    rows = {
        name: Row(
            _title(name),
            seeds if name in VARIANTS else (),
            {key: _over(own, None, key, drawn) for key in KEYS},
        )
        for name, own in runs.items()
    }
    differences = {
        name: {key: _over(runs["sem-hns"], own, key, drawn) for key in KEYS}
        for name, own in runs.items()
        if name != "sem-hns" and "sem-hns" in runs
    }
    findings = []
    for claim in CLAIMS:
        if claim.first in runs and claim.second in runs:
            difference = _over(runs[claim.second], runs[claim.first], claim.key, drawn)
            verdict = {1: "holds", 0: "undecided", -1: "is contradicted"}[difference.sign]
            findings.append(EdgeFinding(claim.text, claim.source, claim.key, difference, verdict))
    below = [
        row.title
        for row in rows.values()
        if row.scores["boundary_ois"].mean < row.scores["boundary_ods"].mean
    ]
    return EdgeStudy(
        plan,
        seeds,
        len(first.image_ids),
        dict(first.result.boundary),
        drawn,
        rows,
        differences,
        findings,
        below,
    )


def _paths(root: Path) -> dict[str, list[Path]]:
    """The results of each row, in the order of the table, one a seed."""
    seeds = _seeds(root)
    found = {}
    for name in VARIANTS:
        held = [root / f"seed-{seed}" / name / "test.json" for seed in seeds]
        there = [path for path in held if path.exists()]
        if there and len(there) < len(held):
            missing = next(path for path in held if not path.exists())
            raise WsolbenchError(
                missing,
                found="no result",
                expected=f"one of each of the seeds {', '.join(map(str, seeds))}",
                cure="run the study with these seeds and all variants to its end",
            )
        if there:
            found[name] = there
    if (root / "canny" / "test.json").exists():
        found["canny"] = [root / "canny" / "test.json"]
    for path in sorted(root.glob("also/*/test.json")):
        found[f"also/{path.parent.name}"] = [path]
    return found


def _seeds(root: Path) -> tuple[int, ...]:
    names = (path.name.removeprefix("seed-") for path in root.glob("seed-*"))
    return tuple(sorted(int(name) for name in names if name.isdecimal()))


def _title(name: str) -> str:
    if name in VARIANTS:
        return VARIANTS[name].title
    return CANNY if name == "canny" else name.removeprefix("also/")


def _check_alike(path: Path, counts: Counts, first: Counts) -> None:
    own, other = counts.result, first.result
    alike = (
        own.boundary == other.boundary
        and own.annotations_sha256 == other.annotations_sha256
        and list(counts.image_ids) == list(first.image_ids)
        and bool(counts.held.all())
    )
    if not alike:
        raise WsolbenchError(
            path,
            found="other images, annotations or rules than in the other results",
            expected="those of the study",
            cure="delete the file and run the study again",
        )


def _over(
    runs: Sequence[_Run], minus: Sequence[_Run] | None, key: str, bootstrap: Bootstrap
) -> Estimate:
    """A score, or a difference of two, over seeds and photos; a single run stands for all seeds."""
    values = [float(scores[key]) for scores, _ in runs]
    drawn = np.mean([resampled[key] for _, resampled in runs], axis=0)
    if minus is not None:
        others = [float(scores[key]) for scores, _ in minus]
        count = max(len(values), len(others))
        values = [
            one - other
            for one, other in zip(
                values * (count // len(values)), others * (count // len(others)), strict=True
            )
        ]
        drawn = drawn - np.mean([resampled[key] for _, resampled in minus], axis=0)
    return Estimate.of(values, drawn, bootstrap.level)


def edge_study_json(study: EdgeStudy) -> str:
    """The summary as JSON: sorted keys, a final newline, no NaN."""
    content = {"format": "wsolbench-edge-study", "format_version": 1, **asdict(study)}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return text + "\n"


def edge_study_text(study: EdgeStudy, form: str = "md") -> str:
    """The summary as text: a paragraph on what was run, tables, findings.

    Args:
        study: see `summarise_edges`.
        form: "md" or "text".
    """
    head = ["", *(SCORES[key].title.removeprefix("Boundary ") for key in KEYS)]
    mark = "## " if form == "md" else ""
    table = [
        [row.title, *(_score_text(row.scores[key]) for key in KEYS)] for row in study.rows.values()
    ]
    differences = [
        [study.rows[name].title, *(_difference_text(own[key]) for key in KEYS)]
        for name, own in study.differences.items()
    ]
    findings = [
        [own.text, own.source, own.verdict, _difference_text(own.difference)]
        for own in study.findings
    ]
    parts = [
        f"{'# ' if form == 'md' else ''}{printable(str(study.plan['title']))}",
        _about(study),
        f"{mark}Scores",
        grid(table, head, form, "lr"),
        f"{mark}SEM-HNS minus the others, percentage points",
        grid(differences, head, form, "lr"),
        f"{mark}The paper's statements",
        grid(findings, ["statement", "source", "here", "difference"], form, "lllr"),
        f"OIS below ODS: {', '.join(study.ois_below_ods) or 'in no row'} (Table 7: in every row).",
    ]
    text = "\n\n".join(parts) + "\n"
    return text if form == "md" else text.replace("**Bold**", "Marked (*)").replace("**", "*")


def _about(study: EdgeStudy) -> str:
    plan, recipe, drawn = study.plan, study.plan["recipe"], study.bootstrap
    nms = "after non-maximum suppression" if study.boundary["suppression"] else "without NMS"
    return (
        f"Data set {printable(plan['dataset'])}, annotations {plan['annotations_sha256'][:8]}, "
        f"{study.images} photos of {printable(plan['test'])}, trained on "
        f"{printable(plan['train'])}. Backbone {plan['backbone']}; detectors: "
        f"{recipe['epochs']} epochs, learning rate {recipe['learning_rate']:g}, width "
        f"{plan['settings']['width']}, grid "
        f"{plan['settings']['grid']}; {len(study.seeds)} seeds. Scored {nms}, "
        f"{study.boundary['truth']} truth, matched within {study.boundary['max_distance']:g} of "
        "the diagonal, thresholds of ODS and OIS chosen on these photos. Numbers are percent: "
        "mean and sample standard deviation over seeds; [low, high] is the "
        f"{100 * drawn.level:g} % interval of the mean over {drawn.resamples} resamples of the "
        "photos, the same for all; nothing is corrected for the number of differences. **Bold** "
        "differences have an interval without zero and one sign in all of several seeds."
    )


def _score_text(estimate: Estimate) -> str:
    low, high = (100 * end for end in estimate.interval)
    spread = "" if estimate.std is None else f" ± {100 * estimate.std:.1f}"
    return f"{100 * estimate.mean:.1f}{spread} [{low:.1f}, {high:.1f}]"


def _difference_text(estimate: Estimate) -> str:
    low, high = (100 * end for end in estimate.interval)
    text = f"{100 * estimate.mean:+.1f} [{low:+.1f}, {high:+.1f}]"
    return f"**{text}**" if estimate.sign else text
