"""Files for the Hugging Face Hub: a model's evaluation results, a data set's benchmark and card.

Sources: the Hub's documentation of evaluation results (docs/hub/eval-results.md of
huggingface/hub-docs) and `parse_eval_result_entries` of huggingface_hub 2.4.0, which reads
`.eval_results/*.yaml`; dataset cards are README files with YAML metadata in front.

Conventions: the Hub knows one number per task of a data set. Here each score under a protocol on a
split is a task, since numbers of different protocols or splits must not be compared; its id is
`<protocol>_<split>_<key>`, and for scores that are read at a threshold it ends in how that was
chosen. Values are those of result files. Nothing is uploaded.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WsolbenchError, meant, one_of, printable, require_items, some
from ..files import replacing_folder, write_text
from ..formats.annotations import UNLABELLED, AnnotationStore
from ..formats.report import signature
from ..formats.result import Result
from ..leaderboard.entries import slug
from ..protocols import versioned
from ..scores import SCORES, Read, in_order
from ..tables import markdown_text

__all__ = ["FRAMEWORK", "eval_results", "eval_yaml", "task_id", "write_hub", "yaml_text"]

FRAMEWORK = "wsolbench"
"""The evaluation framework that eval.yaml names; the Hub's allow-list decides whether it shows."""

RESULTS_FOLDER = ".eval_results"
"""The folder of a model's repository that the Hub reads."""

_DATASET_ID = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?/[A-Za-z0-9](?:[\w.-]{0,94}\w)?")
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_HTTPS = re.compile(r"https://[\x21-\x7e]+")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_TAGS = ("weakly-supervised-object-localization", "explainability", "wsolbench")


def write_hub(
    out: str | os.PathLike[str],
    results: Sequence[Result],
    dataset_id: str,
    *,
    store: AnnotationStore | None = None,
    scores: Sequence[str] | None = None,
    licence: str = "",
    source: str = "",
    date: str = "",
) -> list[Path]:
    """Write `models/<method>/.eval_results/*.yaml` and, with annotations, `dataset/`.

    Args:
        out: the folder to create.
        results: of one data set; those of one method share a folder, one file a result.
        dataset_id: the data set on the Hub, OWNER/NAME.
        store: its annotations: `dataset/` then holds eval.yaml, a card (README.md) and a table of
            each split (data/<split>.jsonl).
        scores: keys of the scores; None for those that tables show, without thresholds.
        licence: of the annotations, as the Hub spells it, e.g. "cc-by-4.0"; empty for none.
        source: https link to what the results were made of, e.g. a leaderboard entry.
        date: of the evaluation, YYYY-MM-DD; empty for that of the commit.

    Returns:
        The files, in the order of their paths.

    Raises:
        WsolbenchError: no result, a part of a split, results of different data sets or annotations,
            two of one method, protocol and split, an illegal id, link or date, a score that no
            result has.
    """
    require_items("results", results, (Result,), "results, of read_result")
    _check(results, dataset_id, source, date)
    keys = _keys(results, scores)
    files: dict[str, str] = {}
    for result in results:
        name = f"{_stem(result)}.yaml"
        path = f"models/{slug(result.name)}/{RESULTS_FOLDER}/{name}"
        if path in files:
            raise WsolbenchError(
                f"{result.name} on {result.split}",
                found="two results of one method, protocol and split",
                expected="one, since the Hub shows one number per model and task",
                cure="name the one that is to be published",
            )
        files[path] = yaml_text(eval_results(result, dataset_id, keys, source=source, date=date))
    if store is not None:
        _check_store(store, results)
        tasks = eval_yaml(results, keys)
        files["dataset/eval.yaml"] = yaml_text(tasks)
        titles = {task_id(own, key): SCORES[key].title for own in results for key in keys}
        files["dataset/README.md"] = _card(store, dataset_id, tasks["tasks"], titles, licence)
        for split in sorted(set(store.splits)):
            lines = (json.dumps(row, sort_keys=True) for row in _rows(store, split))
            files[f"dataset/data/{_word(split)}.jsonl"] = "".join(f"{line}\n" for line in lines)
    with replacing_folder(out) as folder:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_text(folder / path, text)
    return [Path(out, path) for path in sorted(files)]


def eval_results(
    result: Result, dataset_id: str, keys: Sequence[str], *, source: str = "", date: str = ""
) -> list[dict[str, Any]]:
    """The content of a model's file `.eval_results/*.yaml`: one record a score.

    `notes` hold the signature that two results must share before their numbers may be compared,
    and the score's interval, if it has one.
    """
    found = []
    for key in in_order([key for key in keys if key in result.scores]):
        ends = result.intervals.get(key)
        interval = f"; interval [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else ""
        record: dict[str, Any] = {
            "dataset": {"id": dataset_id, "task_id": task_id(result, key)},
            "value": result.scores[key],
        }
        if date:
            record["date"] = date
        if source:
            record["source"] = {"url": source, "name": "wsolbench"}
        record["notes"] = f"{signature(result)}{interval}"
        found.append(record)
    return found


def eval_yaml(results: Sequence[Result], keys: Sequence[str]) -> dict[str, Any]:
    """The content of a data set's eval.yaml: its name, the framework, and one task a score."""
    tasks = {
        task_id(result, key): {
            "id": task_id(result, key),
            "config": "default",
            "split": _word(result.split),
        }
        for result in results
        for key in in_order([key for key in keys if key in result.scores])
    }
    name = results[0].dataset
    description = (
        f"Weakly supervised object localization on {name}: how well heat maps of networks that "
        "were trained on class labels show where the object is. Each score under a protocol on a "
        "split is a task; values are fractions, not percent."
    )
    return {
        "name": name,
        "description": description,
        "evaluation_framework": FRAMEWORK,
        "tasks": [tasks[name] for name in sorted(tasks)],
    }


def task_id(result: Result, key: str) -> str:
    """The id of the task that a score of a result belongs to, e.g. "sem_v2_test_peak_iou".

    Scores that are read at a chosen threshold end in its rule, e.g. "gt_known_loc_at_carried".
    """
    if SCORES[key].read is not Read.THRESHOLD:
        return f"{_stem(result)}_{key}"
    threshold = result.threshold
    level = threshold.box if SCORES[key].family == "box" else threshold.pixel
    fixed = f"_{level}" if threshold.rule == "fixed" and level is not None else ""
    return f"{_stem(result)}_{key}_at_{threshold.kind.replace(':', '_')}{fixed}"


def yaml_text(value: Any) -> str:
    """Mappings, lists, texts and numbers as YAML, which every version of it reads alike.

    Texts are in double quotes, so that none of them is a number, a date or a truth value; floats
    are written without an exponent, which YAML 1.1 reads as a text if it has no point.
    """
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, own in value.items():
            if isinstance(own, (Mapping, list)):
                yield f"{key}:"
                yield from (f"  {line}" for line in _lines(own))
            else:
                yield f"{key}: {_scalar(own)}"
    else:
        for item in value:
            first, *rest = _lines(item) if isinstance(item, Mapping) else [_scalar(item)]
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _scalar(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"no scalar: {value!r}")
    if isinstance(value, str):
        return json.dumps(printable(value), ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    return np.format_float_positional(value, unique=True, trim="0")


def _check(results: Sequence[Result], dataset_id: str, source: str, date: str) -> None:
    for name, text, rule, expected in (
        ("--dataset-id", dataset_id, _DATASET_ID, "OWNER/NAME, as on the Hub"),
        ("--source", source or "https://x", _HTTPS, "a link that starts with https://"),
        ("--date", date or "2026-01-01", _DATE, "YYYY-MM-DD"),
    ):
        if rule.fullmatch(text) is None:
            raise WsolbenchError(name, found=repr(text), expected=expected, cure="correct it")
    if not results:
        raise WsolbenchError("results", found="none", cure="name one result or more")
    for result in results:
        missing = result.counts.get("missing", 0)
        part = result.part or (f"{missing} missing images" if missing else "")
        if part:
            raise WsolbenchError(
                f"{result.name} on {result.split}",
                found=f"a result of a {part}" if result.part else part,
                expected="the result of a whole split",
                cure="evaluate all images, without --limit, --ids and --allow-missing",
                exit_status=1,
            )
    first = results[0]
    for other in results[1:]:
        for name in ("dataset", "annotations_sha256"):
            if getattr(other, name) != getattr(first, name):
                raise WsolbenchError(
                    f"{other.name} on {other.split}",
                    found=f"{name} {getattr(other, name)}",
                    expected=f"{getattr(first, name)}, as the first result has",
                    cure="export the results of each data set by themselves",
                )


def _keys(results: Sequence[Result], scores: Sequence[str] | None) -> list[str]:
    """The scores to publish, in the order of tables."""
    held = {key for result in results for key in result.scores}
    if scores is None:
        return [key for key in in_order(held) if SCORES[key].shown and not SCORES[key].is_threshold]
    lacking = [key for key in scores if key not in held]
    if lacking:
        raise WsolbenchError(
            "--scores",
            found=some(lacking),
            expected=one_of(in_order(held)),
            cure=meant(lacking, held, "name some of these"),
        )
    return in_order(scores)


def _check_store(store: AnnotationStore, results: Sequence[Result]) -> None:
    ours, theirs = store.content_sha256, results[0].annotations_sha256
    if ours != theirs:
        raise WsolbenchError(
            store.path,
            found=f"annotations {ours[:8]}",
            expected=f"{theirs[:8]}, on which the results were scored",
            cure="name the annotation file of the results, or leave --annotations out",
            exit_status=1,
        )


def _stem(result: Result) -> str:
    """Protocol with its version, split and class of the maps as a word."""
    whose = "" if result.label == "gt" else result.label
    return _word(f"{versioned(result.protocol)} {result.split} {whose}")


def _word(text: str) -> str:
    """The text in lower-case letters, digits and underscores, as the Hub's splits are named."""
    return slug(text).replace("-", "_")


def _rows(store: AnnotationStore, split: str) -> Iterator[dict[str, Any]]:
    """A split's images: what an annotation file holds of each."""
    for row in np.flatnonzero([own == split for own in store.splits]).tolist():
        index = int(store.class_indices[row])
        found: dict[str, Any] = {
            "image_id": store.image_ids[row],
            "height": int(store.heights[row]),
            "width": int(store.widths[row]),
            "boxes": store.boxes(row).tolist(),
        }
        if index != UNLABELLED:
            found["class_index"] = index
        if store.masked[row]:
            found["mask"] = store.run_lengths(row).counts.decode("ascii")
        ignored = store.ignore_run_lengths(row)
        if ignored is not None:
            found["ignore"] = ignored.counts.decode("ascii")
        yield found


def _card(
    store: AnnotationStore,
    dataset_id: str,
    tasks: Sequence[Mapping[str, str]],
    titles: Mapping[str, str],
    licence: str,
) -> str:
    """The data set's README.md: YAML metadata, then what a reader should know."""
    count = len(store)
    size = next((name for most, name in _SIZES if count < most), "1M<n<10M")
    splits = sorted(Counter(store.splits).items())
    data = [{"split": _word(name), "path": f"data/{_word(name)}.jsonl"} for name, _ in splits]
    head: dict[str, Any] = {"pretty_name": store.dataset}
    head |= {"license": licence} if licence else {}
    head |= {
        "task_categories": ["image-segmentation", "object-detection"],
        "size_categories": [size],
        "tags": list(_TAGS),
        "configs": [{"config_name": "default", "data_files": data}],
    }
    splits_text = [f"| {_cell(name)} | {images} |" for name, images in splits]
    sources = [
        f"| {_cell(own.file)} | {_cell(own.licence) or 'not stated'} | "
        f"{_cell(own.citation) or '-'} | `{own.sha256[:12]}` |"
        for own in store.sources
    ]
    of_classes = f" (of {len(store.classes)})" if store.classes else ""
    lines = [
        "---",
        yaml_text(head).rstrip("\n"),
        "---",
        "",
        f"# {_cell(store.dataset)}",
        "",
        "Object masks and boxes to score localization maps: heat maps with which a network that "
        "was trained on class labels alone shows where the object is. No photos are included.",
        "",
        "| split | images |",
        "|---|---:|",
        *splits_text,
        "",
        f"{int(store.masked.sum())} of {count} images have a mask, "
        f"{int((store.box_counts > 0).sum())} a box, "
        f"{int((store.class_indices >= 0).sum())} a class{of_classes}. "
        f"The content has the SHA-256 `{store.content_sha256}`.",
        "",
        "Each line of `data/*.jsonl` is an image: `image_id`, `height`, `width`, `boxes` "
        "(half-open x0, y0, x1, y1 in pixels), and where known `class_index`, `mask` and `ignore` "
        "(COCO's compressed run lengths: `pycocotools.mask.decode`).",
        "",
        "## Scores",
        "",
        "Scored by wsolbench. Each score under a protocol on a split is a task of `eval.yaml`. "
        "Compare numbers of one task only, and only if their notes name the same annotations, maps "
        "and rule of the threshold. Models publish their results in `.eval_results/*.yaml`:",
        "",
        "```yaml",
        "- dataset:",
        f"    id: {dataset_id}",
        f"    task_id: {tasks[0]['id']}",
        "  value: 0.5",
        "```",
        "",
        "| task | score | split |",
        "|---|---|---|",
        *(f"| `{task['id']}` | {titles[task['id']]} | {task['split']} |" for task in tasks),
        "",
        "## Sources",
        "",
        *(
            ["| file | licence | citation | SHA-256 |", "|---|---|---|---|", *sources]
            if sources
            else ["The annotation file states no sources."]
        ),
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A stranger's text as Markdown on one line."""
    return markdown_text(printable(text))
