"""What a competition scores, and the score of one submission by it.

A bundle holds the rules as `rules.json` beside the sources of this package; the platform holds the
annotations, which must be those that the bundle was made for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_choice, some
from ..evaluation.checks import default_metrics
from ..evaluation.evaluator import Evaluator
from ..evaluation.run import Request, run
from ..files import require_file, strict_json
from ..formats.result import Result
from ..protocols import as_protocol
from ..scores import SCORES, in_order

__all__ = ["RULES", "Rules", "read_rules", "rules_for", "score"]

RULES = "rules.json"
"""Name of the rules in a bundle."""


@dataclass(frozen=True)
class Rules:
    """What decides which scores a submission gets.

    Attributes:
        dataset: the data set's name.
        split: the split that is scored.
        annotations_sha256: of the annotations' logical content.
        protocol: its name.
        metrics: metric families that are scored.
        scores: keys of the scores on the leaderboard (`scores.SCORES`); the first ranks.
        wsolbench: the version that the bundle was made with and holds.
    """

    dataset: str
    split: str
    annotations_sha256: str
    protocol: str
    metrics: tuple[str, ...]
    scores: tuple[str, ...]
    wsolbench: str = __version__

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def rules_for(
    annotations: str | os.PathLike[str],
    split: str,
    protocol: str = "sem",
    metrics: Sequence[str] | None = None,
    scores: Sequence[str] | None = None,
) -> Rules:
    """The rules of a competition.

    Args:
        annotations: the annotation file.
        split: the split to score.
        protocol: a protocol's name.
        metrics: metric families; None for all but boundaries that protocol and annotations allow.
        scores: keys of the scores on the leaderboard; None for those that matter most and that
            maps of the true class have. Others need more: "top1_loc" class predictions,
            "boundary_ods" edges.

    Raises:
        WsolbenchError: a damaged annotation file, no such split, protocol, metric or score; a score
            that the metrics do not give.
    """
    dataset = Dataset.open(annotations, split)
    rules = as_protocol(protocol)
    families = list(default_metrics(dataset, rules) if metrics is None else metrics)
    evaluator = Evaluator(dataset, rules, families)
    if scores is None:
        keys = [key for key in _given(dataset, evaluator) if SCORES[key].rank or SCORES[key].brief]
    else:
        keys = list(dict.fromkeys(scores))
        for key in keys:
            require_choice("scores", key, SCORES)
        unmeasured = [key for key in keys if SCORES[key].family not in (*families, "class")]
        if unmeasured or not keys:
            raise WsolbenchError(
                "scores",
                found=some(unmeasured) if keys else "none",
                expected=f"scores of the metrics {some(families)}",
                cure="request the metrics too, or name other scores",
            )
    return Rules(
        dataset.name,
        split,
        dataset.store.content_sha256,
        rules.name,
        tuple(evaluator.metrics),
        tuple(keys),
    )


def read_rules(folder: Path) -> Rules:
    """The rules in the folder of an unpacked bundle.

    Raises:
        WsolbenchError: there are none, or they are of another version.
    """
    path = require_file(folder / RULES, "the rules of a competition", "unpack the bundle again")
    try:
        content: dict[str, Any] = strict_json(path.read_bytes())
        rules = Rules(
            **{**content, "metrics": (*content["metrics"],), "scores": (*content["scores"],)}
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WsolbenchError(
            path,
            found=f"no rules ({error})",
            expected=f"the keys {', '.join(own.name for own in fields(Rules))}",
            cure="make the bundle again",
        ) from error
    if rules.wsolbench != __version__:
        raise WsolbenchError(
            path,
            found=f"rules of wsolbench {rules.wsolbench}",
            expected=__version__,
            cure="run the wsolbench of the bundle, or make the bundle again",
        )
    return rules


def score(rules: Rules, annotations: Path, submission: Path) -> Result:
    """Score a submission by the rules of a competition.

    Raises:
        WsolbenchError: other annotations than the bundle was made for; a submission that cannot be
            scored, or lacks what a score of the leaderboard needs.
    """
    dataset = Dataset.open(annotations, rules.split)
    if dataset.store.content_sha256 != rules.annotations_sha256:
        raise WsolbenchError(
            annotations.name,
            found=f"annotations of SHA-256 {dataset.store.content_sha256[:12]}",
            expected=f"{rules.annotations_sha256[:12]}, for which the bundle was made",
            cure="upload those as reference data, or make the bundle again",
        )
    request = Request(submission, dataset, protocols=(rules.protocol,), metrics=rules.metrics)
    result = run(request).results[0]
    lacking = [key for key in rules.scores if key not in result.scores]
    if lacking:
        raise WsolbenchError(
            submission.name,
            found=f"a submission without {some([SCORES[key].title for key in lacking])}",
            expected="maps of the true class, with the class predictions or edges that this "
            "competition's scores need",
            cure="add what is missing to the submission",
            exit_status=1,
        )
    return result


def _given(dataset: Dataset, evaluator: Evaluator) -> list[str]:
    """Keys of the scores that any maps of the true class get, in the order of tables."""
    first = Evaluator(dataset.first(1), evaluator.protocol, evaluator.metrics)
    nothing = [np.zeros((1, 1), np.uint8)]
    edges = nothing if "boundary" in evaluator.metrics else None
    maps = nothing if set(evaluator.metrics) != {"boundary"} else None
    first.update(first.dataset.image_ids, maps, edges=edges)
    return in_order(first.result().scores)
