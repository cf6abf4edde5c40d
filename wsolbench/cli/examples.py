"""Examples at the end of every `--help`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

from ..baselines.settings import METHODS

__all__ = ["EXAMPLES", "add_examples", "examples_text", "explainer_example"]

_WIDTH = 68  # so that a line fits a terminal of 80 columns

_PHOTOS = "--annotations ilsvrc.h5 --images ILSVRC/val"
_TRAINING = "--images ILSVRC/train"
_EDGES = "--annotations animals.h5 --images animals/images"

_OF_METHODS = {
    f"{act} {name}": (example.format(name=name),)
    for name in METHODS
    for act, example in (
        ("predict", f"--checkpoint {{name}}.pt {_PHOTOS} --out {{name}}.h5"),
        ("train", f"--backbone resnet50-sem {_TRAINING} --out {{name}}.pt"),
    )
}

EXAMPLES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        **_OF_METHODS,
        "": (
            "demo --out demo",
            "evaluate demo/sem-val.h5 --annotations demo/mini.h5 --out sem.json",
            "compare demo/cam-val.h5 demo/sem-val.h5 --annotations demo/mini.h5",
        ),
        "evaluate": (
            "demo/sem-val.h5 --annotations demo/mini.h5 --out sem.json --counts",
            "demo/sem-val.h5 --annotations demo/mini.h5 --protocol sem,wsoleval-v2",
            "demo/sem-test.h5 --annotations demo/mini.h5 --threshold-from sem.json",
        ),
        "thresholds": ("sem-test.json --threshold-from sem.json --bootstrap 200",),
        "protocols": ("", "--json"),
        "validate": ("demo/sem-val.h5 --annotations demo/mini.h5",),
        "compare": (
            "cam.json sem.json --format md --columns peak_iou,ap --bold",
            "demo/cam-val.h5 demo/sem-val.h5 --annotations demo/mini.h5 --plot forest.png",
        ),
        "rescore": ("cam.json --metrics explain --bootstrap 200 --out cam-explained.json",),
        "info": (
            "demo/mini.h5",
            "cam.json sem.json --format latex --columns peak_iou,ap --sort peak_iou --bold",
        ),
        "import": (
            "masks masks --table table.csv --dataset mine --out mine.h5",
            "coco instances.json --out mine.h5",
        ),
        "import masks": ("masks --table table.csv --dataset mine --out mine.h5",),
        "import ilsvrc": (
            "--masks masks --val-list ILSVRC_Val_Mask_23151.txt --labels val.txt --out ilsvrc.h5",
        ),
        "import coco": ("instances.json --category bird --skip-empty --out birds.h5",),
        "import cub": ("CUB_200_2011 --out cub.h5",),
        "import boxes": ("boxes/ILSVRC/val --split val --dataset ilsvrc-boxes --out boxes.h5",),
        "import openimages": ("OpenImages30k --out openimages.h5",),
        "import imagenet-s": ("ImageNetS919 --out imagenet-s.h5",),
        "import pet": ("oxford-iiit-pet --out pet.h5",),
        "import voc": ("VOCdevkit/VOC2012 --category dog --out dogs.h5",),
        "export": (
            "coco ilsvrc.h5 --out instances.json",
            "png ilsvrc.h5 --out masks",
        ),
        "export coco": ("ilsvrc.h5 --out instances.json",),
        "export png": ("ilsvrc.h5 --out masks",),
        "export hub": (
            "cam.json sem.json --annotations demo/mini.h5 --dataset-id me/mini --out hub",
        ),
        "predict": (
            f"cam --backbone resnet50 --weights resnet50.pth {_PHOTOS} --out cam.h5",
            "list",
        ),
        "predict list": ("", "--format md"),
        "predict cam": (
            f"--backbone resnet50 --weights resnet50.pth {_PHOTOS} --out cam.h5",
            f"--model timm:resnet18 --weights resnet18.pth {_PHOTOS} --out cam.h5",
        ),
        "predict sem": (
            f"--checkpoint cam.pt --seeds 40 {_PHOTOS} --out sem.h5",
            f"--model timm:resnet18 --weights r18.pth --start gradcam {_PHOTOS} --out sem.h5",
        ),
        **{
            f"predict trivial:{name}": (f"--annotations ilsvrc.h5 --size 40 --out {name}.h5",)
            for name in ("centre-gaussian", "whole-image", "centre-box", "mask")
        },
        "predict trivial:noise": ("--annotations ilsvrc.h5 --seed 1 --out noise.h5",),
        "predict edges": (f"--checkpoint edges.pt {_PHOTOS} --out edges.h5",),
        "predict edges:canny": (f"{_PHOTOS} --out canny.h5",),
        "predict edges:map-gradient": (f"--classifier cam.pt {_PHOTOS} --out gradient.h5",),
        "predict edges:pseudo": (f"--classifier cam.pt {_PHOTOS} --out pseudo.h5",),
        "import-maps": ('maps --annotations ilsvrc.h5 --name "My method" --out mine.h5',),
        "import-edges": ("hed --annotations animals.h5 --name HED --out hed.h5",),
        "merge": ("part0.h5 part1.h5 --annotations ilsvrc.h5 --out maps.h5",),
        "merge-results": ("parts --annotations ilsvrc.h5 --out maps.json",),
        "plot": (
            "curves cam.json sem.json --out curves.png",
            f"maps cam.h5 sem.h5 {_PHOTOS} --out maps.png",
        ),
        "plot curves": ("cam.json sem.json --out curves.pdf --style paper",),
        "plot areas": ("demo/mini.h5 --out areas.png",),
        "plot seed-counts": ("sem-1.json sem-20.json sem-40.json --out seed-counts.png",),
        "plot seeds": (f"--checkpoint cam.pt {_PHOTOS} --limit 4 --out seeds.png",),
        "plot groups": ("cam.json sem.json --by area --out groups.png",),
        "plot maps": (f"cam.h5 sem.h5 {_PHOTOS} --count 4 --out maps.png",),
        "plot edges": (f"vanilla.h5 hns.h5 {_EDGES} --out edges.png",),
        "plot cases": (f"sem.h5 {_PHOTOS} --out cases.png",),
        "demo": ("--out demo",),
        "explain": (
            "--images photos --masks masks --model timm:resnet50 --weights resnet50.pth "
            "--out explained",
        ),
        "train": (
            f"cam --backbone resnet50-sem {_TRAINING} --out cam.pt",
            f"edges --classifier cam.pt {_TRAINING} --out edges.pt",
        ),
        "train edges": (f"--classifier cam.pt {_TRAINING} --out edges.pt",),
        "study": (
            "mini --out mini-study --seeds 0,1,2",
            "report mini-study",
        ),
        "study mini": ("--out mini-study --seeds 0,1,2 --methods cam,has",),
        "study photos": (f"{_EDGES} --train train --backbone resnet50-sem --out animals-study",),
        "study report": ("mini-study",),
        "study edges": (f"--classifiers animals-study {_EDGES} --train train --out edges-study",),
        "study metrics": ("--masks 20 --format md",),
        "leaderboard": ("build", "check"),
        "leaderboard build": ("--root leaderboard",),
        "leaderboard check": ("", "--root proposed/leaderboard --against leaderboard"),
        "leaderboard add": (
            'sem.json --authors "A. Author" --supervision "image label" --licence CC-BY-4.0 '
            '--date 2026-01-31 --command "wsolbench predict sem ..."',
        ),
        "leaderboard verify": (
            "entry.json --submission sem.h5 --annotations ilsvrc.h5",
            "--from-counts",
        ),
        "bundle": (
            "codabench --annotations truth.h5 --split test --out scoring_program.zip",
            "evalai --annotations truth.h5 --split test --out evaluation_script.zip",
        ),
        "bundle codabench": (
            "--annotations truth.h5 --split test --out program.zip --reference reference.zip",
        ),
        "bundle evalai": ("--annotations truth.h5 --split test --out evaluation_script.zip",),
        "bundle score": ("program input output",),
    }
)
"""Arguments after the name of a command or group, by that name; "" is `wsolbench` itself."""


def add_examples(command: click.Command, path: str = "") -> None:
    """Let the help of a command, and of all commands of a group, end with its examples."""
    own = examples_text(path, EXAMPLES[path])
    command.epilog = f"{command.epilog}\n\n{own}" if command.epilog else own
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            add_examples(each, f"{path} {name}".strip())


def examples_text(path: str, examples: Sequence[str]) -> str:
    """The end of a help text; long lines go on below, as a shell reads them."""
    lines = []
    for example in examples:
        line, *options = " ".join(filter(None, ["wsolbench", path, example])).split(" --")
        for option in options:
            if len(line) + len(option) > _WIDTH:
                lines.append(f"{line} \\")
                line = f"    --{option}"
            else:
                line += f" --{option}"
        lines.append(line)
    title = "Examples:" if len(examples) > 1 else "Example:"
    return "\n".join(["\b", title, *(f"  {line}" for line in lines)])


def explainer_example(name: str) -> str:
    """The end of the help of `predict EXPLAINER`, which exists once it is asked for."""
    example = f"--model timm:resnet50 --weights resnet50.pth {_PHOTOS} --out maps.h5"
    return examples_text(f"predict {name}", [example])
