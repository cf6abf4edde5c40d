"""Write the reported entries from tables of published numbers.

    python leaderboard/make_reported.py FOLDER

FOLDER contains masks.csv, boxes.csv, seeds.csv, features.csv and boundaries.csv: one row per row of
the paper's tables, in percent as printed.
"""

from __future__ import annotations

import csv
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from wsolbench.leaderboard.entries import entry_from_json
from wsolbench.leaderboard.papers import PAPERS
from wsolbench.leaderboard.schema import FORMAT, FORMAT_VERSION
from wsolbench.scores import SCORES, Unit

ROOT = Path(__file__).resolve().parent
SOURCE = {"title": PAPERS["sem"].title, "link": PAPERS["sem"].link}
IMAGES = {"val": 23151, "test": 21120}  # masks of ILSVRC

Name = tuple[str, str, str, str, str, str, str]  # data set, split, method, after, backbone, ...


def main() -> None:
    """Read the folder given on the command line and write all entries."""
    folder = Path(sys.argv[1])
    entries: dict[Name, dict[str, Any]] = {}
    for row in _rows(folder, "masks"):
        name = _name(row, "")
        _cells(entries, name, row, ["peak_iou", "ap", "peak_threshold"])
    for row in _rows(folder, "boxes"):
        stated = {"0": "quoted from the literature", "1": ""}
        variant = "" if row["sem"] == "1" else stated.get(row["reimplemented"], row["table"])
        _cells(entries, _name(row, variant), row, ["top1_loc", "gt_known_loc", "top1_cls"])
    for row in _rows(folder, "seeds"):
        name = ("ILSVRC", "val", "CAM", "SEM", "InceptionV3", f"K = {row['k']}", "number of seeds")
        _cells(entries, name, row, ["gt_known_loc", "peak_iou"])
        entries[name]["seeds"] = int(row["k"])
    for row in _rows(folder, "features"):
        name = ("ILSVRC", "val", "CAM", "SEM", "InceptionV3", row["features"], "features")
        _cells(entries, name, row, ["gt_known_loc", "peak_iou"])
    for row in _rows(folder, "boundaries"):
        named = {f"boundary_{key}": row.pop(key) for key in ("ods", "ois", "ap")}
        name = ("boundaries", "unstated", row["method"], "", "unstated", "", "boundaries")
        _cells(entries, name, {**row, **named}, list(named))
        entries[name]["supervision"] = row["supervision"]
        entries[name]["threshold"] = {"rule": "unstated"}
    for name, content in entries.items():
        content["footnotes"] = _footnotes(name, content)
        boxes = {"gt_known_loc", "top1_loc"} & content["scores"].keys()
        if name[0] == "ILSVRC" and "ap" in content["scores"] and not boxes:
            content["images"] = IMAGES[name[1]]
        entry_from_json({k: v for k, v in content.items() if v != {}}, name).write(ROOT)
    print(f"{len(entries)} entries")


def _rows(folder: Path, table: str) -> list[dict[str, str]]:
    with open(folder / f"{table}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _name(row: dict[str, str], variant: str) -> Name:
    after = "SEM" if row["sem"] == "1" else ""
    return row["dataset"], row["split"], row["method"], after, row["backbone"], variant, ""


def _cells(
    entries: dict[Name, dict[str, Any]], name: Name, row: dict[str, str], keys: list[str]
) -> None:
    """Add the cells of a row to its entry; the first cell of a score becomes its value."""
    content = entries.setdefault(name, _blank(name))
    for key in keys:
        if not row[key]:
            continue
        unit = SCORES[key].unit
        share = 100 if unit is Unit.FRACTION else 1
        value = int(row[key]) if unit is Unit.LEVEL else float(Decimal(row[key]) / share)
        content["scores"].setdefault(key, value)
        cell = {"table": row["table"], "score": key, "text": row[key]}
        content["provenance"]["printed"].append(cell)


def _blank(name: Name) -> dict[str, Any]:
    dataset, split, method, after, backbone, variant, study = name
    content: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "state": "reported",
        "method": method,
        "authors": "unstated",
        "backbone": backbone,
        "supervision": "image label",
        "dataset": dataset,
        "split": split,
        "threshold": {"rule": "unstated" if variant.startswith(("quoted", "Table")) else "max"},
        "scores": {},
        "date": "2020-06",
        "provenance": {"paper": SOURCE, "printed": []},
    }
    paper = PAPERS.get("sem" if method.startswith("SEM") else method.lower())
    if paper is not None:
        content["authors"] = paper.authors
        content["paper"] = {"title": paper.title, "link": paper.link}
    texts = {"post_processing": after, "variant": variant, "study": study}
    return {**content, **{key: text for key, text in texts.items() if text}}


def _footnotes(name: Name, content: dict[str, Any]) -> dict[str, list[int]]:
    """Numbers of the notes in notes.json, by key of score."""
    dataset, split, method, after, backbone, variant, study = name
    inception = backbone == "InceptionV3"
    main_table = dataset == "ILSVRC" and not study and not variant
    cam = main_table and method == "CAM" and inception
    found: dict[str, list[int]] = {"peak_iou": [7], "ap": [7], "peak_threshold": [9]}
    pairs = [
        (1, "peak_iou", cam),
        (2, "peak_iou", main_table and split == "val" and method == "ACoL" and after != ""),
        (2, "ap", main_table and split == "test" and backbone == "ResNet50" and after != ""),
        (3, "ap", main_table and split == "test" and method in ("CAM", "SPG") and inception),
        (3, "peak_iou", main_table and method == "SPG"),
        (4, "peak_iou", cam and split == "val" and after != ""),
        (4, "gt_known_loc", cam and after != ""),
        (4, "entry", variant in ("K = 40", "K = 60")),
        (5, "gt_known_loc", cam),
        (5, "gt_known_loc", main_table and method == "HaS" and after != ""),
        (5, "boundary_ap", method in ("SEM-HNS-HaS", "SOBD-subclass-specific")),
        (6, "peak_iou", main_table and after == ""),
        (8, "entry", dataset == "ILSVRC" and split == "test"),
    ]
    for number, key, concerned in pairs:
        if concerned:
            found.setdefault(key, []).append(number)
    held = content["scores"].keys() | {"entry"}
    return {key: sorted(numbers) for key, numbers in found.items() if key in held}


if __name__ == "__main__":
    main()
