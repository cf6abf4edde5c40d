"""`predict`, `import-maps`, `demo`: maps of a classifier or from files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..errors import WsolbenchError
from ..files import each_out, require_target
from ..progress import bar
from .options import FILE, annotations_option, normalise_option, quiet_option

__all__ = ["TRIVIAL", "demo", "import_maps_command", "predict", "predict_cam", "predict_sem"]

TRIVIAL = {  # as baselines.trivial.TRIVIAL, in the words of --help
    "centre-gaussian": "A Gaussian in the middle.",
    "whole-image": "1 everywhere.",
    "centre-box": "A box in the middle, half of the image.",
    "noise": "Every position at random.",
    "mask": "The mask itself at the size of a map.",
}


def _seeds(text: str) -> int | float:
    """A count, or a share of the positions; what is neither is click's to refuse."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _prediction_options(command: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.option("--backbone", help="A torchvision classifier, e.g. resnet50."),
        click.option("--weights", type=FILE, help="State dict for --backbone (.pth)."),
        click.option(
            "--random-weights", type=int, metavar="SEED", help="Draw the weights: a trial."
        ),
        click.option("--model", metavar="PACKAGE.MODULE:FUNCTION", help="A model of your own."),
        annotations_option,
        click.option("--dataset", help="Which annotations/<dataset>.h5, without --annotations."),
        click.option("--images", type=FILE, required=True, help="Folder of photos."),
        click.option("--split", default="val", show_default=True, help="Whose photos to take."),
        click.option(
            "--size",
            type=click.IntRange(8),
            default=224,
            show_default=True,
            help="Pixels a side to which photos are brought.",
        ),
        click.option(
            "--label",
            type=click.Choice(["gt", "predicted"]),
            default="gt",
            show_default=True,
            help="Whose class's map: the annotated one, or the model's first.",
        ),
        normalise_option,
        click.option("--name", help="The method's name in tables [default: CAM or SEM]."),
        click.option(
            "--batch-size",
            type=click.IntRange(1),
            default=32,
            show_default=True,
            help="Photos run at a time.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(0),
            default=2,
            show_default=True,
            help="Processes that read photos ahead.",
        ),
        click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps, auto."),
        click.option(
            "--dtype",
            type=click.Choice(["uint8", "float16", "float32"]),
            default="uint8",
            show_default=True,
            help="How maps are stored.",
        ),
        click.option("--resume", is_flag=True, help="Continue an interrupted run."),
        click.option("--overwrite", is_flag=True, help="Drop what an interrupted run left."),
        click.option("--out", type=FILE, required=True, help="The submission to write."),
        quiet_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


class _Predict(click.Group):
    """Commands among which an unknown `trivial:NAME` is told the names."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None and cmd_name.partition(":")[0] == "trivial":
            raise click.UsageError(
                f"No map {cmd_name!r}; trivial: goes with {', '.join(TRIVIAL)}.", ctx
            )
        return command


@click.group(cls=_Predict)
def predict() -> None:
    """Write maps of a classifier, or trivial ones."""


@predict.command("cam")
@_prediction_options
def predict_cam(**options: Any) -> None:
    """Class activation maps (CAM), normalised."""
    _predict("cam", **options)


@predict.command("sem")
@click.option(
    "--seeds",
    type=_seeds,
    metavar="K|FRACTION",
    default="40",
    show_default=True,
    help="How many positions, or which share of them.",
)
@_prediction_options
def predict_sem(**options: Any) -> None:
    """Self-enhancement maps (paper section 3.2)."""
    _predict("sem", **options)


def _predict(
    method: str,
    *,
    backbone: str | None,
    weights: Path | None,
    random_weights: int | None,
    model: str | None,
    annotations: Path | None,
    dataset: str | None,
    images: Path,
    split: str,
    name: str | None,
    quiet: bool,
    normalise: str | None,
    **options: Any,
) -> None:
    from ..maps.normalisations import normalisations_named

    if annotations is not None and dataset is not None:
        raise click.UsageError("--annotations and --dataset exclude each other.")
    if (backbone is None) == (model is None):
        raise click.UsageError(
            "Name one model: --backbone NAME or --model PACKAGE.MODULE:FUNCTION."
        )
    if model is not None and (weights is not None or random_weights is not None):
        raise click.UsageError("--weights and --random-weights go with --backbone.")
    out: Path = options.pop("out")
    names = [own.name for own in normalisations_named(normalise or "min-max")]
    outs = dict(zip(names, each_out(out, names), strict=True))
    for target in outs.values():
        require_target(target, [annotations, weights])
    _require_torch()
    from ..baselines.backbones import load_backbone, load_model_function
    from ..baselines.predict import predict as write_maps
    from ..data.dataset import Dataset
    from ..formats.annotations import find_annotations

    opened = Dataset.open(find_annotations(annotations, dataset), split, images)
    if model is not None:
        network = load_model_function(model)
    else:
        network = load_backbone(backbone or "", weights, random_weights_seed=random_weights)
    with bar(f"predict {method}", quiet=quiet) as progress:
        write_maps(
            network,
            opened,
            outs,
            method=method,
            map_dtype=options.pop("dtype"),
            progress=progress,
            metadata={"name": name} if name else None,
            **options,
        )
    for target in outs.values():
        click.echo(f"{target}: {len(opened)} maps of {opened.name} {split}")


def _add_trivial(name: str) -> None:
    """Add the command `predict trivial:NAME`; only noise is seeded."""

    @annotations_option
    @click.option("--dataset", help="Which annotations/<dataset>.h5, without --annotations.")
    @click.option("--split", default="val", show_default=True, help="Whose images to take.")
    @click.option(
        "--size",
        type=click.IntRange(1, 4096),
        default=28,
        show_default=True,
        help="Positions a side of the maps.",
    )
    @click.option("--overwrite", is_flag=True, help="Drop what an interrupted run left.")
    @click.option("--out", type=FILE, required=True, help="The submission to write.")
    @quiet_option
    def command(
        annotations: Path | None,
        dataset: str | None,
        split: str,
        out: Path,
        quiet: bool,
        **options: Any,
    ) -> None:
        if annotations is not None and dataset is not None:
            raise click.UsageError("--annotations and --dataset exclude each other.")
        require_target(out, [annotations])
        from ..baselines.trivial import predict_trivial
        from ..data.dataset import Dataset
        from ..formats.annotations import find_annotations

        found = find_annotations(annotations, dataset)
        require_target(out, [found])
        opened = Dataset.open(found, split)
        with bar(f"predict trivial:{name}", quiet=quiet) as progress:
            predict_trivial(opened, out, name, progress=progress, **options)
        click.echo(f"{out}: {len(opened)} maps of {opened.name} {split}")

    command.__doc__ = TRIVIAL[name]
    if name == "noise":
        seed = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
        command = seed(command)
    predict.command(f"trivial:{name}")(command)


for _name in TRIVIAL:
    _add_trivial(_name)


@click.command("import-maps")
@click.argument("folder", type=FILE)
@annotations_option
@click.option("--dataset", help="Which annotations/<dataset>.h5, without --annotations.")
@click.option("--split", default="val", show_default=True, help="Whose images they are of.")
@click.option("--name", help="The method's name in tables [default: the folder's].")
@click.option("--backbone", help="The network, for tables.")
@normalise_option
@click.option(
    "--label",
    type=click.Choice(["gt", "predicted"]),
    default="gt",
    show_default=True,
    help="Whose class's maps they are: the annotated one, or the method's own.",
)
@click.option("--top5", type=FILE, help="CSV: image_id, top1 to top5, predicted classes.")
@click.option(
    "--dtype",
    type=click.Choice(["uint8", "float16", "float32"]),
    help="How maps are stored [default: float32, 8-bit files as they are].",
)
@click.option("--allow-missing", is_flag=True, help="Write a submission that lacks images.")
@click.option("--overwrite", is_flag=True, help="Drop what an interrupted run left.")
@click.option("--out", type=FILE, required=True, help="The submission to write.")
@quiet_option
def import_maps_command(
    folder: Path,
    annotations: Path | None,
    dataset: str | None,
    split: str,
    name: str | None,
    backbone: str | None,
    normalise: str | None,
    out: Path,
    quiet: bool,
    **options: Any,
) -> None:
    """Make a submission of a folder of maps.

    The files are <image id>.npy or <image id>.png, one for each image of the split.

    Values must lie in [0, 1] (floats) or 0 to 255 (8-bit), or be brought there by --normalise.
    """
    from ..data.dataset import Dataset
    from ..formats.annotations import find_annotations
    from ..maps.folders import import_maps
    from ..maps.normalisations import normalisations_named

    if annotations is not None and dataset is not None:
        raise click.UsageError("--annotations and --dataset exclude each other.")
    wanted = normalisations_named(normalise or "none")
    outs = dict(zip(wanted, each_out(out, [own.name for own in wanted]), strict=True))
    found = find_annotations(annotations, dataset)
    for target in outs.values():
        require_target(target, [found])
    method = {"name": name or folder.resolve().name}
    if backbone:
        method["backbone"] = backbone
    with bar("import-maps", "map", quiet=quiet) as progress:
        opened = Dataset.open(found, split)
        count = import_maps(folder, opened, outs, method=method, progress=progress, **options)
    for target in outs.values():
        click.echo(f"{target}: {count} maps of {opened.name} {split}")


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("torchvision") is None:
        raise WsolbenchError(
            "torch",
            found="torch or torchvision not installed",
            expected="both for predictions",
            cure="install them: pip install 'wsolbench[torch]'",
        )


@click.command()
@click.option("--out", type=FILE, default="demo", show_default=True, help="Folder to make.")
@quiet_option
def demo(out: Path, quiet: bool) -> None:
    """The embedded benchmark, from scenes to curves."""
    _require_torch()
    from ..mini.demo import run_demo

    run_demo(out, say=click.echo, progress_bar=partial(bar, quiet=quiet))
