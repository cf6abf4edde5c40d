"""Every command of docs/imagenet.md runs, on a drawn tree of the same layout.

Bash expands the page's loops, shortened to two or three turns, and prints each call of wsolbench;
the calls then run in this process, with smaller photos and networks, and one epoch.
"""

from __future__ import annotations

import glob
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="networks are trained")
torchvision = pytest.importorskip("torchvision", reason="networks are trained")
pytest.importorskip("matplotlib", reason="curves are drawn")

from click.testing import CliRunner  # noqa: E402

from tests.baselines.narrow import narrow_networks  # noqa: E402
from wsolbench.baselines import backbones  # noqa: E402
from wsolbench.baselines.imagenet import class_names, wordnet_ids  # noqa: E402
from wsolbench.cli import cli  # noqa: E402
from wsolbench.formats.result import read_result  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "imagenet.md").read_text()
SIDE = 64
LABELS = {1: 65, 2: 970, 3: 230, 11: 65, 12: 970, 13: 230}
"""The true classes of the first three validation images, and three images of the same classes."""

SMALL = {
    "train": "--epochs 1 --size 64 --resize 64 --batch-size 2 --workers 0 --device cpu --quiet",
    "train edges": "--epochs 1 --size 64 --grid 32 --width 4 --batch-size 2 --crf-iterations 0 "
    "--workers 0 --device cpu --quiet",
    "predict edges": "--workers 0 --device cpu --quiet",
    "predict": "--size 80 --workers 0 --device cpu --quiet",  # K = 100 needs 10x10
    "predict trivial": "--quiet",
    "evaluate": "--jobs 1 --quiet",
    "compare": "--bootstrap 20 --jobs 1 --quiet",
    "import": "--quiet",
}
"""Options that are added to the page's."""


SHORTER = {
    "in cam has acol cutmix spg adl;": "in cam spg;",
    "in cam-vgg16 cam-resnet50 cam-resnet101;": "in cam-vgg16;",
    "(vgg16-397923af resnet50-0676ba61 resnet101-63fe2227 in": "(resnet50-0676ba61 in",
    "in cam-vgg16 cam-resnet50 cam-resnet101 \\\n": "in cam-vgg16 \\\n",
    "    cam-inception_v3 has-inception_v3 cutmix-inception_v3 spg-": "    cam-inception_v3 spg-",
    "in 1 20 40 60 80 100;": "in 1 100;",
    "in feat3 feat4 feat5 feat4,feat5 feat3,feat5;": "in feat3 feat4,feat5;",
    "in cam cutmix has; do": "in cam; do",
    "in cam-hns sem-vanilla sem-hns-cam sem-hns-cutmix sem-hns-has;": "in cam-hns sem-hns-cam;",
}
"""Lists of loops on the page, and what is run of them."""


def commands(shorter: bool = False) -> list[list[str]]:
    """The arguments of each call of wsolbench on the page, in order."""
    page = PAGE
    for whole, part in SHORTER.items() if shorter else ():
        assert whole in page
        page = page.replace(whole, part)
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    recorded = r"""
    set -eu
    mkdir() { :; }
    wsolbench() { printf '%s\t' "$@"; printf '\n'; }
    """
    done = subprocess.run(
        ["bash", "-c", recorded + "\n".join(blocks)], capture_output=True, text=True, check=True
    )
    return [line.rstrip("\t").split("\t") for line in done.stdout.splitlines()]


def name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}"


def photo(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)


def mask(path: Path) -> None:
    """A square from 16 to 48."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    drawn[16:48, 16:48] = 255
    Image.fromarray(drawn).save(path)


def lines(path: Path, content: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in content))


def imagenet(root: Path, rng: np.random.Generator) -> None:
    ids = wordnet_ids()
    for label in sorted(set(LABELS.values())):
        for number in range(2):
            photo(root / f"ILSVRC2012/train/{ids[label]}/{ids[label]}_{number}.JPEG", rng)
    for number, label in LABELS.items():
        folder = ids[label] if number == 1 else ""  # flat or in folders
        photo(root / "ILSVRC2012/val" / folder / f"{name(number)}.JPEG", rng)
        mask(root / "masks" / f"{name(number)}.png")
    photos = [f"val/{name(number)}.JPEG" for number in LABELS]
    lists = root / "metadata/ILSVRC/test"
    lines(lists / "image_ids.txt", photos)
    labelled = zip(photos, LABELS.values(), strict=True)
    lines(lists / "class_labels.txt", [f"{own},{label}" for own, label in labelled])
    lines(lists / "image_sizes.txt", [f"{own},{SIDE},{SIDE}" for own in photos])
    lines(lists / "localization.txt", [f"{own},16,16,47,47" for own in photos])
    lines(root / "lists/ILSVRC_Val_Mask_23151.txt", [name(number) for number in (1, 2, 3)])
    known = [f"{wnid} {own}" for wnid, own in zip(ids, class_names(), strict=True)]
    lines(root / "lists/LOC_synset_mapping.txt", known)


def cub(root: Path, rng: np.random.Generator) -> None:
    folder = root / "CUB_200_2011"
    birds = [f"{place:03}.Bird_{place}" for place in (1, 2, 3)]
    photos = [f"{bird}/Photo_{bird[2]}_{number}" for bird in birds for number in range(2)]
    for own in photos:
        photo(folder / "images" / f"{own}.jpg", rng)
        mask(folder / "segmentations" / f"{own}.png")
    numbered = list(enumerate(photos, start=1))
    lines(folder / "images.txt", [f"{place} {own}.jpg" for place, own in numbered])
    lines(folder / "image_class_labels.txt", [f"{place} {int(own[:3])}" for place, own in numbered])
    lines(folder / "bounding_boxes.txt", [f"{place} 16.0 16.0 31.0 31.0" for place, _ in numbered])
    lines(folder / "train_test_split.txt", [f"{place} {place % 2}" for place, _ in numbered])
    lines(folder / "classes.txt", [f"{place} {bird}" for place, bird in enumerate(birds, 1)])


def weights(root: Path) -> None:
    """State dicts of torchvision's architectures, under the names of the page."""
    (root / "weights").mkdir()
    for file in sorted(set(re.findall(r"(?:weights/)?([\w]+-[0-9a-f]{8})\b", PAGE))):
        own = file.split("-")[0].removesuffix("_google")
        options = {"init_weights": False} if own == "inception_v3" else {}
        network = getattr(torchvision.models, own)(weights=None, **options)
        state = network.state_dict()
        # VGG's linear layers, 120 million parameters, are not read.
        kept = {key: value for key, value in state.items() if not key.startswith("classifier.")}
        torch.save(kept, root / "weights" / f"{file}.pth")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the page."""
    narrow_networks(monkeypatch)
    monkeypatch.setattr(backbones, "PUBLISHED", {"inception_v3": ("",)})  # drawn weights pass
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    imagenet(tmp_path, rng)
    cub(tmp_path, rng)
    weights(tmp_path)
    for folder in ("models", "maps", "scores"):
        Path(folder).mkdir()
    return tmp_path


@pytest.mark.slow
def test_every_command_runs(tree: Path) -> None:
    made: list[str] = []
    for own in commands(shorter=True):
        kind = own[0]
        if own[1].startswith("trivial:"):
            kind = "predict trivial"
        if own[1] == "edges":
            kind = f"{kind} edges"
        arguments = [
            path for text in own for path in (sorted(glob.glob(text)) if "*" in text else [text])
        ]
        if own[:2] == ["train", "spg"]:
            arguments += ["--width", "4"]
        done = CliRunner().invoke(cli, [*arguments, *SMALL.get(kind, "").split()])
        assert done.exit_code == 0, f"{' '.join(own)}: {done.output}"
        if "--out" in own:
            made.append(own[own.index("--out") + 1])
    assert [path for path in made if not Path(path).is_file()] == []
    repeated = {path for path in made if made.count(path) > 1}
    assert repeated == set()
    assert sum(path.endswith(".pt") for path in made) == 2 + 3 + 2 + 2 + 3
    carried = read_result("scores/cam-inception_v3-sem-test.json").scores
    assert carried["iou_at_threshold"] <= carried["peak_iou"]
    assert read_result("scores/mask-val.json").scores["peak_iou"] > 0.9


def test_the_tables_need_these_rows() -> None:
    outs = {own[own.index("--out") + 1] for own in commands() if "--out" in own}
    methods = ("cam", "has", "acol", "cutmix", "spg", "adl")
    rows = [f"{method}-inception_v3" for method in methods]
    rows += [f"cam-{backbone}" for backbone in ("vgg16", "resnet50", "resnet101")]
    for split in ("val", "test"):
        assert {f"scores/{row}{sem}-{split}.json" for row in rows for sem in ("", "-sem")} <= outs
    assert {f"scores/seeds-{seeds}-boxes.json" for seeds in (1, 20, 40, 60, 80, 100)} <= outs
    assert {f"scores/{own}-val.json" for own in ("feat3", "feat4", "feat5", "feat4,feat5")} <= outs


def test_a_wrong_option_fails() -> None:
    for own in commands():
        if own[0] == "train":
            done = CliRunner().invoke(cli, [*own, "--no-such-option"])
            assert done.exit_code == 2
            return
    raise AssertionError("the page trains nothing")
