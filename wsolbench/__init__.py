"""wsolbench measures localization maps against pixel masks and boxes.

Everything that the documentation tells people to call has a name here. Names are loaded when first
used, so that `import wsolbench` costs nothing:

- Data: `Dataset`, `AnnotationStore`; `importer`, `AnnotationSet`, `Annotation`, `write_store`,
  `export_coco`, `export_png`.
- Maps: `SubmissionWriter`, `SubmissionHeader`, `Submission`, `validate`, `merge_submissions`;
  `import_maps`, `import_edges`, `maps_of`, `normalisation_named`, `centre_crop`.
- Scores: `evaluate`, or `run` with a `Request` for several protocols, tables and counts;
  `evaluate_many` for many submissions;
  `Evaluator` for maps in memory, `LocalizationMetric` for torchmetrics; `Bootstrap`, `Threshold`;
  `PROTOCOLS`, `Protocol`; `SCORES`.
- Results: `Result`, `read_result`, `signature`, `table`, `Layout`, `breakdown_table`, `readings`;
  `seed_groups`, `seeds_table`, `SeedGroup`;
  `read_counts`, `counts_path`, `compare`, `compare_files`, `comparison_table`, `Comparison`;
  `compare_protocols`, `judge`, `verdict_table`, `Verdict` for several protocols together;
  `rescored` for more scores of counts; `find_cases`.
- Files: `trust_files` for files of your own.
- Packages: `baselines` (CAM, SEM, networks), `plots`, `leaderboard`, `metrics`, `protocols`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import WsolbenchError, with_torch

if TYPE_CHECKING:
    from . import baselines, leaderboard, metrics, plots, protocols
    from .data.dataset import Dataset
    from .data.export import export_coco, export_png
    from .data.importers import importer
    from .data.torch_dataset import collate
    from .evaluation.cases import find_cases
    from .evaluation.compare_files import compare_files, compare_protocols
    from .evaluation.comparison import Comparison, compare
    from .evaluation.comparison_report import comparison_table
    from .evaluation.counts import Counts, counts_path, read_counts, write_counts
    from .evaluation.evaluator import Evaluator
    from .evaluation.many import evaluate_many
    from .evaluation.rescore import rescored
    from .evaluation.run import Outcome, Request, evaluate, run
    from .evaluation.thresholds import readings, readings_table
    from .evaluation.torch_metric import LocalizationMetric
    from .evaluation.verdict import Verdict, judge, verdict_table
    from .explaining.run import Explained, explain
    from .formats.annotations import (
        Annotation,
        AnnotationSet,
        AnnotationStore,
        find_annotations,
        write_store,
    )
    from .formats.layout import Layout
    from .formats.report import breakdown_table, seeds_table, signature, table
    from .formats.result import Bootstrap, Group, Result, Threshold, read_result
    from .formats.seeds import SeedGroup, seed_groups
    from .formats.submission.merge import merge_submissions
    from .formats.submission.reader import Submission
    from .formats.submission.rules import SubmissionHeader
    from .formats.submission.validate import validate
    from .formats.submission.writer import SubmissionWriter
    from .formats.untrusted.trust import trust_files
    from .maps.adapters import maps_of
    from .maps.folders import import_edges, import_maps
    from .maps.normalisations import normalisation_named
    from .maps.windows import centre_crop
    from .metrics.choices import BoundaryRule
    from .protocols import PROTOCOLS, Protocol
    from .scores import SCORES, Score

__version__ = "0.1.0"
"""The version of the package, which results state.

Examples:
    >>> wsolbench.read_result("demo/sem-val.json").wsolbench == wsolbench.__version__
    True
"""

_HOMES = {
    "PROTOCOLS": "protocols",
    "SCORES": "scores",
    "Annotation": "formats.annotations",
    "AnnotationSet": "formats.annotations",
    "AnnotationStore": "formats.annotations",
    "Bootstrap": "formats.result",
    "BoundaryRule": "metrics.choices",
    "Comparison": "evaluation.comparison",
    "Counts": "evaluation.counts",
    "Dataset": "data.dataset",
    "Evaluator": "evaluation.evaluator",
    "Explained": "explaining.run",
    "Group": "formats.result",
    "Layout": "formats.layout",
    "LocalizationMetric": "evaluation.torch_metric",
    "Outcome": "evaluation.run",
    "Protocol": "protocols",
    "Request": "evaluation.run",
    "Result": "formats.result",
    "Score": "scores",
    "SeedGroup": "formats.seeds",
    "Submission": "formats.submission.reader",
    "SubmissionHeader": "formats.submission.rules",
    "SubmissionWriter": "formats.submission.writer",
    "Threshold": "formats.result",
    "Verdict": "evaluation.verdict",
    "breakdown_table": "formats.report",
    "centre_crop": "maps.windows",
    "collate": "data.torch_dataset",
    "compare": "evaluation.comparison",
    "compare_files": "evaluation.compare_files",
    "rescored": "evaluation.rescore",
    "compare_protocols": "evaluation.compare_files",
    "comparison_table": "evaluation.comparison_report",
    "counts_path": "evaluation.counts",
    "evaluate": "evaluation.run",
    "evaluate_many": "evaluation.many",
    "explain": "explaining.run",
    "export_coco": "data.export",
    "export_png": "data.export",
    "find_annotations": "formats.annotations",
    "find_cases": "evaluation.cases",
    "import_edges": "maps.folders",
    "import_maps": "maps.folders",
    "importer": "data.importers",
    "judge": "evaluation.verdict",
    "maps_of": "maps.adapters",
    "merge_submissions": "formats.submission.merge",
    "normalisation_named": "maps.normalisations",
    "read_counts": "evaluation.counts",
    "read_result": "formats.result",
    "readings": "evaluation.thresholds",
    "readings_table": "evaluation.thresholds",
    "run": "evaluation.run",
    "seed_groups": "formats.seeds",
    "seeds_table": "formats.report",
    "signature": "formats.report",
    "table": "formats.report",
    "trust_files": "formats.untrusted.trust",
    "validate": "formats.submission.validate",
    "verdict_table": "evaluation.verdict",
    "write_counts": "evaluation.counts",
    "write_store": "formats.annotations",
}

_PACKAGES = ("baselines", "leaderboard", "metrics", "plots", "protocols")

__all__ = [
    "PROTOCOLS",
    "SCORES",
    "Annotation",
    "AnnotationSet",
    "AnnotationStore",
    "Bootstrap",
    "BoundaryRule",
    "Comparison",
    "Counts",
    "Dataset",
    "Evaluator",
    "Explained",
    "Group",
    "Layout",
    "LocalizationMetric",
    "Outcome",
    "Protocol",
    "Request",
    "Result",
    "Score",
    "SeedGroup",
    "Submission",
    "SubmissionHeader",
    "SubmissionWriter",
    "Threshold",
    "Verdict",
    "WsolbenchError",
    "__version__",
    "baselines",
    "breakdown_table",
    "centre_crop",
    "collate",
    "compare",
    "compare_files",
    "compare_protocols",
    "comparison_table",
    "counts_path",
    "evaluate",
    "evaluate_many",
    "explain",
    "export_coco",
    "export_png",
    "find_annotations",
    "find_cases",
    "import_edges",
    "import_maps",
    "importer",
    "judge",
    "leaderboard",
    "maps_of",
    "merge_submissions",
    "metrics",
    "normalisation_named",
    "plots",
    "protocols",
    "read_counts",
    "read_result",
    "readings",
    "readings_table",
    "rescored",
    "run",
    "seed_groups",
    "seeds_table",
    "signature",
    "table",
    "trust_files",
    "validate",
    "verdict_table",
    "write_counts",
    "write_store",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name in _HOMES:
        with with_torch(f"wsolbench.{name}"):
            return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
