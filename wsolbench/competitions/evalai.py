"""EvalAI: an evaluation script, and what it does there.

Layout (EvalAI's documentation, Evaluation Scripts): an archive whose root holds `__init__.py`,
`main.py` with `evaluate(test_annotation_file, user_submission_file, phase_codename, **kwargs)`, and
`requirements.txt`, which the worker installs. It returns the scores by split under "result".
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..scores import SCORES, Better
from .bundle import write_bundle
from .rules import Rules, read_rules, score

__all__ = ["evaluate", "schema", "write_evalai"]

SCRIPT = '''\
"""Score a submission on EvalAI; to try it: python3 main.py ANNOTATIONS SUBMISSION [PHASE]"""

import json
import os
import sys
import tempfile

program = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, program)  # the wsolbench of this folder, whatever else is installed
# The program's folder may be read-only. The cache holds code, so nobody else may write to it.
cache = tempfile.TemporaryDirectory(prefix="wsolbench-")
os.environ.setdefault("NUMBA_CACHE_DIR", cache.name)


def evaluate(test_annotation_file, user_submission_file, phase_codename, **kwargs):
    """The scores of a submission; an error of one line if it cannot be scored."""
    from wsolbench.competitions.evalai import evaluate
    from wsolbench.errors import WsolbenchError

    try:
        return evaluate(program, test_annotation_file, user_submission_file)
    except WsolbenchError as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # a fault of the program is one line too
        text = " ".join(str(error).split())[:300]
        raise ValueError(f"unexpected {type(error).__name__} ({text}); report it") from None


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python3 main.py ANNOTATIONS SUBMISSION [PHASE]")
    try:
        print(json.dumps(evaluate(*sys.argv[1:3], "".join(sys.argv[3:4])), indent=1))
    except ValueError as error:
        sys.exit(f"wsolbench: {error}")
'''

_INIT = '''\
"""The worker imports this package and calls `evaluate`."""

from .main import evaluate
'''


def write_evalai(path: str | os.PathLike[str], rules: Rules) -> None:
    """Write the archive of the evaluation script, whole or not at all."""
    write_bundle(path, rules, {"__init__.py": _INIT, "main.py": SCRIPT})


def schema(rules: Rules) -> str:
    """The leaderboard's schema, as challenge_config.yaml has it."""
    content = {
        "labels": list(rules.scores),
        "default_order_by": rules.scores[0],
        "metadata": {
            key: {
                "sort_ascending": SCORES[key].better is Better.LOWER,
                "description": SCORES[key].title,
            }
            for key in rules.scores
        },
    }
    return f"leaderboard:\n  - id: 1\n    schema: {json.dumps(content)}"


def evaluate(
    program: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
    submission: str | os.PathLike[str],
) -> dict[str, Any]:
    """What the evaluation script returns.

    Args:
        program: the unpacked bundle.
        annotations: the challenge's annotation file.
        submission: the participant's file.

    Returns:
        "result": a list of one dict, the scores by the split's name; "submission_result": those
        scores, which the participant sees.

    Raises:
        WsolbenchError: see `rules.score`.
    """
    rules = read_rules(Path(program))
    result = score(rules, Path(annotations), Path(submission))
    scores = {key: result.scores[key] for key in rules.scores}
    return {"result": [{rules.split: scores}], "submission_result": scores}
