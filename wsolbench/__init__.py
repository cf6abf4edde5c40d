"""wsolbench measures localization maps against pixel masks and boxes.

The public names are loaded when first used, so that `import wsolbench` costs nothing:

- `Dataset`: one split of an annotation file, joined to a folder of photos.
- `Submission`, `SubmissionWriter`: the file of maps that a method gives.
- `evaluate`, `Evaluator`: scores under a named protocol.
- `Result`, `read_result`: what an evaluation leaves.
- `baselines`: class activation maps and self-enhancement maps.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import WsolbenchError

if TYPE_CHECKING:
    from . import baselines
    from .data.dataset import Dataset
    from .evaluation.evaluator import Evaluator
    from .evaluation.run import evaluate
    from .formats.annotations import AnnotationStore
    from .formats.result import Result, read_result
    from .formats.submission.reader import Submission
    from .formats.submission.rules import SubmissionHeader
    from .formats.submission.writer import SubmissionWriter

__version__ = "0.1.0"

_HOMES = {
    "AnnotationStore": "formats.annotations",
    "Dataset": "data.dataset",
    "Evaluator": "evaluation.evaluator",
    "Result": "formats.result",
    "Submission": "formats.submission.reader",
    "SubmissionHeader": "formats.submission.rules",
    "SubmissionWriter": "formats.submission.writer",
    "evaluate": "evaluation.run",
    "read_result": "formats.result",
}

__all__ = [
    "AnnotationStore",
    "Dataset",
    "Evaluator",
    "Result",
    "Submission",
    "SubmissionHeader",
    "SubmissionWriter",
    "WsolbenchError",
    "__version__",
    "baselines",
    "evaluate",
    "read_result",
]


def __getattr__(name: str) -> Any:
    if name == "baselines":
        return importlib.import_module(".baselines", __name__)
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
