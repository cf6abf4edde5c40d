"""What a study compares, and where its files are.

Layout of a study's folder:

    plan.json                               what all runs have in common
    trivial/<baseline>/<split>.h5 ...       network-free baselines
    seed-<s>/<method>/checkpoint.pt, .csv   the classifier and the log of its training
    seed-<s>/<method>/<split>/<maps>.h5     a submission, its result (.json) and its counts
    study.json, study.md, seed-counts.png   the summary
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..baselines.settings import METHODS, as_values, recipe_for, settings_from
from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_choice
from ..files import require_file, sha256_of, write_text
from ..formats.annotations import AnnotationStore

__all__ = [
    "DEPTHS",
    "FEAT5",
    "FORMAT",
    "OWN",
    "SHARES",
    "SPLITS",
    "TRIVIAL",
    "Maps",
    "Plan",
    "agree_on_plan",
    "kinds_of",
    "read_plan",
]

FORMAT = "wsolbench-study-plan"
FORMAT_VERSION = 1

SPLITS = ("val", "test")
"""The parts of a study: thresholds and K are chosen on the first and used on the second."""

SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""SEM's K as fractions of the map's positions; the paper's 60 of 40x40 is 0.0375."""

FEAT5 = ("feat5",)
"""The features of SEM in the paper: the input of the last classification layer."""

DEPTHS = (
    ("feat3",),
    ("feat4",),
    ("feat3", "feat5"),
    ("feat4", "feat5"),
    ("feat3", "feat4", "feat5"),
)
"""The features of the supplement's Table 1, beside feat5."""

TRIVIAL = ("centre-gaussian", "whole-image")


@dataclass(frozen=True)
class Maps:
    """A kind of map that is made of one classifier.

    Attributes:
        seeds: SEM's K, as a count or as a float a fraction of positions; None for the method's own
            map.
        features: the features of SEM.
    """

    seeds: float | int | None = None
    features: tuple[str, ...] = FEAT5

    @property
    def stem(self) -> str:
        """The name of its files."""
        if self.seeds is None:
            return "own"
        depth = "" if self.features == FEAT5 else f"-{'+'.join(self.features)}"
        return f"sem-{self.seeds!r}{depth}"


OWN = Maps()


@dataclass(frozen=True)
class Plan:
    """What all runs of a study have in common.

    Attributes:
        title: of the study, for its tables.
        annotations: the annotation file with val and test.
        images: the folder of the photos.
        train: the split of the annotations on whose photos and classes classifiers are trained; or
            the path of a folder with one subfolder for each class.
        val: the split on which thresholds and K are chosen.
        test: the split on which they are used.
        backbone: see `baselines.backbones.backbone_names`.
        trunk_weights: a state dict from which the trunk starts; None for random weights.
        weights_key: its entry, if it has several.
        preprocessing: as `baselines.train.train` takes it.
        exif: "ignore" or "apply" (see `images.read_photo`).
        recipe: settings of training, without the seed.
        settings: of methods, by name of the method.
        shares: SEM's K, rising.
        depths: the features for which SEM is computed beside feat5, on `depth_method`'s classifier.
        depth_method: a key of `METHODS`.
    """

    title: str
    annotations: Path
    images: Path
    train: str | Path
    val: str
    test: str
    backbone: str
    trunk_weights: Path | None = None
    weights_key: str | None = None
    preprocessing: str | None = None
    exif: str = "ignore"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shares: tuple[float | int, ...] = SHARES
    depths: tuple[tuple[str, ...], ...] = DEPTHS
    depth_method: str = "cam"

    def __post_init__(self) -> None:
        """Check what can be checked without opening a file."""
        if not self.shares or list(self.shares) != sorted(set(self.shares)) or self.shares[0] <= 0:
            raise WsolbenchError(
                "K",
                found=", ".join(f"{share:g}" for share in self.shares) or "none",
                expected="rising numbers above 0",
                cure="name each once: a count such as 60, or a fraction such as 0.05",
            )
        if len({type(share) for share in self.shares}) > 1 or not all(
            isinstance(share, int) or share <= 1 for share in self.shares
        ):
            raise WsolbenchError(
                "K",
                found=", ".join(map(repr, self.shares)),
                expected="either counts or fractions of the positions up to 1",
                cure="give all K as one of the two",
            )
        if FEAT5 in self.depths or len(set(self.depths)) < len(self.depths):
            raise WsolbenchError(
                "features",
                found=", ".join("+".join(depth) for depth in self.depths),
                expected="other features than feat5 alone, each once",
                cure="leave them out: feat5 is always compared",
            )
        if len({self.val, self.test, str(self.train)}) < 3:
            raise WsolbenchError(
                "splits",
                found=f"{self.train} to train on, {self.val} and {self.test} to evaluate on",
                expected="three different splits",
                cure="name photos to train on, to choose thresholds on, and to test on",
            )
        recipe_for(self.backbone, self.recipe)
        for method, values in self.settings.items():
            settings_from(method, values, self.backbone)
        require_choice("depth method", self.depth_method, METHODS)

    def split(self, part: str) -> str:
        """The name in the annotations of "val" or "test"."""
        return self.val if part == "val" else self.test

    def dataset(self, part: str) -> Dataset:
        """The split "val" or "test" with its photos.

        Raises:
            WsolbenchError: it is missing, or a photo is.
        """
        return Dataset.open(self.annotations, self.split(part), self.images, exif=self.exif)

    def kinds(self, method: str) -> list[Maps]:
        """The kinds of map that are made of a method's classifier."""
        return kinds_of(vars(self), method)

    def described(self) -> dict[str, Any]:
        """What `plan.json` holds.

        Raises:
            WsolbenchError: the annotations or the weights cannot be read.
        """
        store = AnnotationStore.open(self.annotations)
        weights: dict[str, Any] = {}
        if self.trunk_weights is not None:
            require_file(self.trunk_weights, "the trunk's weights")
            weights = {"file": self.trunk_weights.name, "sha256": sha256_of(self.trunk_weights)}
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "title": self.title,
            "dataset": store.dataset,
            "annotations_sha256": store.content_sha256,
            "train": self.train if isinstance(self.train, str) else f"{self.train.name}/",
            "val": self.val,
            "test": self.test,
            "backbone": self.backbone,
            "trunk_weights": weights,
            "weights_key": self.weights_key,
            "preprocessing": self.preprocessing,
            "exif": self.exif,
            "recipe": {
                name: value
                for name, value in as_values(recipe_for(self.backbone, self.recipe)).items()
                if name != "seed"
            },
            "settings": {
                method: as_values(
                    settings_from(method, self.settings.get(method, {}), self.backbone)
                )
                for method in METHODS
            },
            "shares": list(self.shares),
            "depths": [list(depth) for depth in self.depths],
            "depth_method": self.depth_method,
        }


def kinds_of(plan: Mapping[str, Any], method: str) -> list[Maps]:
    """The kinds of map that a plan, or `plan.json`, makes of a method's classifier."""
    depths = [FEAT5]
    if method == plan["depth_method"]:
        depths += map(tuple, plan["depths"])
    return [OWN, *(Maps(share, depth) for depth in depths for share in plan["shares"])]


_KEYS = {
    *("title", "dataset", "annotations_sha256", "train", "val", "test", "backbone"),
    *("trunk_weights", "recipe", "settings", "shares", "depths", "depth_method"),
}


def agree_on_plan(
    path: Path,
    described: Mapping[str, Any],
    read: Callable[[Path], Mapping[str, Any]],
) -> None:
    """Write a study's plan, or check that the folder holds no other.

    Args:
        path: the file of the plan.
        described: the plan.
        read: reads the plan of a folder.

    Raises:
        WsolbenchError: the folder holds a study with another plan; it names what differs.
    """
    if not path.exists():
        write_text(path, json.dumps(described, indent=1, sort_keys=True) + "\n")
        return
    found = read(path.parent)
    differing = [name for name in described if found.get(name) != described[name]]
    if differing:
        name = differing[0]
        raise WsolbenchError(
            path,
            found=f"a study with another plan: {name} {found.get(name)}",
            expected=f"{described[name]}",
            cure="give the same options as before, or name another folder with --out",
        )


def read_plan(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The plan of a study's folder.

    Raises:
        WsolbenchError: there is none, or it is damaged.
    """
    path = require_file(
        Path(folder) / "plan.json",
        "the plan of a study",
        "name the folder that `wsolbench study` wrote (--out)",
    )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WsolbenchError(path, found="no JSON", cure="run the study again") from error
    known = isinstance(content, dict) and content.get("format") == FORMAT
    if not known or content.get("format_version") != FORMAT_VERSION or _KEYS - content.keys():
        raise WsolbenchError(
            path,
            found="no plan of a study, or one of another version",
            expected=f"{FORMAT} version {FORMAT_VERSION}",
            cure="name the folder that `wsolbench study` wrote (--out)",
        )
    return dict(content)
