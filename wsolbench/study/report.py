"""A study's summary as Markdown and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from ..baselines.settings import METHODS
from ..errors import counted, printable
from ..files import together, write_text
from ..plots.seed_curves import SeedCountCurve, save_seed_count_curves
from ..scores import SCORES
from ..tables import grid
from .estimate import Estimate
from .summary import CHOSEN_BY, KEYS, Study

__all__ = [
    "FORMAT",
    "save_study",
    "study_json",
    "study_tables",
    "study_text",
    "write_report",
]

FORMAT = "wsolbench-study"
FORMAT_VERSION = 1

Section = tuple[str, str, list[str], list[list[str]]]
"""Title, what to know of it, head and rows."""

_TRIVIAL = {"centre-gaussian": "Centre Gaussian", "whole-image": "Whole image"}


def study_json(study: Study) -> str:
    """The summary as JSON: sorted keys, a final newline, no NaN."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(study)}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return text + "\n"


def write_report(study: Study, folder: str | os.PathLike[str]) -> list[Path]:
    """Write study.json and study.md, and seed-counts.png if matplotlib is installed.

    Returns:
        The files.
    """
    root = Path(folder)
    written = [root / "study.json", root / "study.md"]
    with together():
        write_text(root / "study.json", study_json(study))
        write_text(root / "study.md", study_text(study))
        if find_spec("matplotlib") is not None:
            save_study(study, root / "seed-counts.png")
            written.append(root / "seed-counts.png")
    return written


def save_study(
    study: Study, path: str | os.PathLike[str], style: str = "screen", width: str | None = None
) -> None:
    """Draw the scores on val against SEM's K; see `plots.seed_curves.save_seed_count_curves`."""
    plan = study.plan
    about = f"{plan['dataset']} {plan['val']}, backbone {plan['backbone']}"
    source = printable(f"{about}; protocol {study.protocol}")
    save_seed_count_curves(_curves(study), path, KEYS["val"][:3], style, width, source)


def _curves(study: Study) -> list[SeedCountCurve]:
    """Scores on val against SEM's K, as plots take them."""
    keys = KEYS["val"][:3]
    curves = []
    for own in study.methods:
        points = own.curve[1:]
        curves.append(
            SeedCountCurve(
                title=own.title,
                counts=[point.seeds or 0 for point in points],
                means={key: [point.scores[key].mean for point in points] for key in keys},
                spreads={key: [point.scores[key].std or 0.0 for point in points] for key in keys},
                own={key: own.curve[0].scores[key].mean for key in keys},
            )
        )
    return curves


def study_text(study: Study, form: str = "md") -> str:
    """The whole summary as text: a paragraph on what was run, tables, findings.

    Args:
        study: see `summary.summarise`.
        form: "md" or "text".
    """
    mark = "## " if form == "md" else ""
    parts = [f"{'# ' if form == 'md' else ''}{printable(str(study.plan['title']))}", _about(study)]
    for title, words, head, rows in study_tables(study):
        parts += [f"{mark}{title}", *([words] if words else []), grid(rows, head, form, "lr")]
    text = "\n\n".join(parts) + "\n"
    return text if form == "md" else text.replace("**Bold**", "Marked (*)").replace("**", "*")


def _about(study: Study) -> str:
    plan, recipe, drawn = study.plan, study.plan["recipe"], study.bootstrap
    weights = plan["trunk_weights"].get("file", "none: random weights")
    several = len(study.seeds) > 1
    seeds = f"{len(study.seeds)} seeds" if several else "one seed, which decides no difference"
    epochs = counted(recipe["epochs"], "epoch")
    train, val, test = (printable(plan[name]) for name in ("train", "val", "test"))
    return (
        f"Data set {printable(plan['dataset'])}, annotations {plan['annotations_sha256'][:8]}; "
        f"trained on {train}, K and thresholds chosen on {val} ({study.images['val']} photos), "
        f"used on {test} ({study.images['test']} photos). Backbone {plan['backbone']}, "
        f"trunk weights {printable(weights)}, {epochs}, learning rate "
        f"{recipe['learning_rate']:g} (head x {recipe['head_factor']:g}), photos of "
        f"{recipe['size']}x{recipe['size']}; {seeds}, protocol {study.protocol}. Numbers are "
        f"percent: mean and sample standard deviation over seeds; [low, high] is the "
        f"{100 * drawn.level:g} % interval of the mean over {drawn.resamples} resamples of the "
        "photos, the same for all. "
        "It covers neither the choice of K and, on test, of thresholds, nor that of the seeds; "
        "nothing is corrected for the number of differences. **Bold** differences have an interval "
        "without zero and one sign in all of several seeds."
        + "".join(f" Note: {note}." for note in study.notes)
    )


def study_tables(study: Study) -> list[Section]:
    """The tables, in the order of the paper's."""
    sections = [
        _scores(study, "test"),
        _scores(study, "val"),
        _differences(
            study,
            "Gain of SEM on test",
            "SEM minus own maps, percentage points, at the K chosen on val.",
            {own.title: own.gain["test"] for own in study.methods},
        ),
        _differences(
            study,
            "Methods against CAM on test",
            "Own maps minus CAM's own maps, percentage points.",
            {own.title: own.against_cam["test"] for own in study.methods if own.against_cam},
        ),
        _differences(
            study,
            "Against the centre Gaussian on test",
            "Percentage points above a centred Gaussian, the same for every photo.",
            {
                f"{METHODS[name].title} {words}": scores
                for name, own in study.over_trivial.items()
                for words, scores in (("own maps", own["own"]), ("+ SEM", own["sem"]))
            },
        ),
        *_seed_counts(study),
        _best(study),
        *_depths(study),
        _findings(study),
    ]
    return [section for section in sections if section[3]]


def _scores(study: Study, part: str) -> Section:
    """As the paper's Table 1: each method without and with SEM."""
    keys = KEYS[part]
    head = ["", *(_title(key) for key in keys)]
    head += (["Peak-T"] if part == "val" else []) + ["Correct class"]
    rows = []
    for own in study.methods:
        for words, scores, side in (("", own.own, "own"), (" + SEM", own.sem, "sem")):
            cells = [_spread(scores[part][key]) for key in keys]
            if part == "val":
                level = own.threshold[side]
                cells.append(f"{level.mean:.0f}" + (f" ± {level.std:.0f}" if level.std else ""))
            rows.append([f"{own.title}{words}", *cells, _spread(own.accuracy[part])])
    for name, scores in study.trivial.items():
        cells = [
            f"{_percent(scores[part][key].mean)}" if key in scores[part] else "-" for key in keys
        ]
        rows.append([_TRIVIAL[name], *cells, *(["-"] if part == "val" else []), "-"])
    words = (
        "Thresholds were chosen on val, and so was K, for each score by itself (best K: below)."
        if part == "test"
        else "Thresholds, and K of each score, are the best on these photos themselves."
    )
    return f"Methods without and with SEM, {part}", words, head, rows


def _differences(
    study: Study, title: str, words: str, rows: Mapping[str, Mapping[str, Estimate]]
) -> Section:
    keys = [key for key in KEYS["test"] if any(key in scores for scores in rows.values())]
    return (
        title,
        words,
        ["", *(_title(key) for key in keys)],
        [
            [name, *(_signed(scores[key]) if key in scores else "-" for key in keys)]
            for name, scores in rows.items()
        ],
    )


def _seed_counts(study: Study) -> list[Section]:
    """As the paper's Table 6, for every score and method."""
    found = []
    for key in KEYS["val"][:3]:
        head = ["K", *(own.title for own in study.methods)]
        rows = []
        for place, point in enumerate(study.methods[0].curve):
            label = "no SEM" if point.seeds is None else _k(point.seeds)
            rows.append([label, *(_spread(own.curve[place].scores[key]) for own in study.methods)])
        found.append((f"{SCORES[key].title} on val by SEM's K", "", head, rows))
    return found


def _best(study: Study) -> Section:
    keys = KEYS["val"]
    rows = [[own.title, *(_k(own.best[key]) for key in keys)] for own in study.methods]
    return "Best K on val, by score", "", ["", *(_title(key) for key in keys)], rows


def _depths(study: Study) -> list[Section]:
    """As the supplement's Table 1."""
    if not study.depths:
        return []
    name = study.plan["depth_method"]
    own = next(method for method in study.methods if method.name == name)
    keys = KEYS["test"][:3]
    rows = [
        [
            "feat5",
            *(f"{_spread(own.sem['test'][key])} (K {_k(own.best[_chosen(key)])})" for key in keys),
        ]
    ]
    for depth in study.depths:
        cells = [
            f"{_spread(depth.scores['test'][key])} (K {_k(depth.best[_chosen(key)])}); "
            f"{_signed(depth.against_feat5['test'][key])}"
            for key in keys
        ]
        rows.append([" + ".join(depth.features), *cells])
    words = "Each at its own K, chosen on val; then the difference to feat5 in percentage points."
    title = f"SEM on features of other depths, {METHODS[name].title}, test"
    return [(title, words, ["", *(_title(key) for key in keys)], rows)]


def _findings(study: Study) -> Section:
    rows = [
        [own.claim.text, own.claim.source, own.verdict, _difference(own.claim.key, own.difference)]
        for own in study.findings
    ]
    words = (
        "The paper makes these claims of InceptionV3 on ImageNet. The difference is the one "
        "measured here; a claim holds if its interval excludes zero and all seeds agree."
    )
    if len(study.seeds) == 1:
        words += " One seed cannot agree with others, so every claim is undecided: add seeds."
    return (
        "The paper's claims in this study",
        words,
        ["claim", "source", "here", "difference"],
        rows,
    )


def _difference(key: str, own: Estimate) -> str:
    if not SCORES[key].is_threshold:
        return _signed(own)
    low, high = own.interval
    text = f"{own.mean:+.0f} [{low:+.0f}, {high:+.0f}] levels"
    return f"**{text}**" if own.sign else text


def _chosen(key: str) -> str:
    return CHOSEN_BY.get(key, key)


def _title(key: str) -> str:
    return "IoU at val's T" if key == "iou_at_threshold" else SCORES[key].title


def _k(value: float | int) -> str:
    return f"{value}" if isinstance(value, int) else f"{100 * value:g} %"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _spread(own: Estimate) -> str:
    """Mean and deviation in percent."""
    return _percent(own.mean) + (f" ± {100 * own.std:.1f}" if own.std is not None else "")


def _signed(own: Estimate) -> str:
    """A difference and its interval in percentage points; bold if its sign is sure."""
    low, high = own.interval
    text = f"{100 * own.mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"**{text}**" if own.sign else text
