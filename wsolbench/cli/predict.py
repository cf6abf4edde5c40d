"""Maps from a classifier, and network-free baselines: `predict`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..baselines.explainer_records import EXPLAINERS, is_explainer
from ..baselines.settings import METHODS
from ..errors import meant
from ..files import path_per_name, require_ending, require_target
from ..progress import bar
from .examples import explainer_example
from .options import (
    FILE,
    annotations_option,
    batch_option,
    check_store_options,
    check_subset_options,
    dataset_option,
    device_option,
    exif_option,
    format_option,
    ids_option,
    images_option,
    limit_option,
    listed,
    normalise_option,
    overwrite_option,
    quiet_option,
    require_torch,
    resume_option,
    shard_option,
    submission_option,
    training_seed_option,
    workers_option,
)
from .printing import print_notes

if TYPE_CHECKING:
    from ..baselines.backbones import ClassMapModel
    from ..data.dataset import Dataset

__all__ = [
    "TRIVIAL",
    "check_source",
    "class_map_option",
    "features_option",
    "label_option",
    "layer_options",
    "load_network",
    "network_options",
    "open_images",
    "predict",
    "predict_cam",
    "predict_sem",
    "seeds_from",
    "size_option",
]

TRIVIAL = {  # names as in baselines.trivial.TRIVIAL, which would load too much for --help
    "centre-gaussian": "Write a Gaussian at the centre of every image.",
    "whole-image": "Write maps of ones: the whole image.",
    "centre-box": "Write a centred box of half the image.",
    "noise": "Write uniform random noise.",
    "mask": "Write the annotated masks, reduced.",
}


def seeds_from(text: str) -> int | float:
    """A number of positions (int) or a fraction of them (float)."""
    try:
        return int(text)
    except ValueError:
        return float(text)


label_option = click.option(
    "--label",
    type=click.Choice(["gt", "predicted"]),
    default="gt",
    show_default=True,
    help="Class of each map: the annotated class, or the model's top prediction.",
)
size_option = click.option(
    "--size",
    type=click.IntRange(8),
    help="Side in pixels to which photos are resized [default: 224; of a checkpoint, that "
    "of its training].",
)
class_map_option = click.option(
    "--class-map",
    metavar="FILE|imagenet|same",
    help="Model classes of each annotated class: a CSV or JSON file; imagenet joins names "
    "and WordNet ids; same: class i is output i [default: both must agree].",
)
features_option = click.option(
    "--features",
    metavar="NAME,NAME",
    default="feat5",
    show_default=True,
    help="Features of SEM: feat3, feat4 (shallower) or feat5 (before the last layer); several are "
    "concatenated.",
)


def network_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `load_network`."""
    options = [
        click.option("--backbone", help="Name of a torchvision classifier, e.g. resnet50."),
        click.option(
            "--weights", type=FILE, help="State dict of --backbone or of timm:NAME (local file)."
        ),
        click.option(
            "--weights-key",
            metavar="NAME",
            help="Entry of --weights to read, if the file has several state dicts.",
        ),
        click.option(
            "--preprocessing",
            type=click.Choice(["imagenet", "half-range"]),
            help="Values on which --weights were trained: ImageNet's mean and deviation, or -1 to "
            "1 [default: that of torchvision's published weights].",
        ),
        click.option(
            "--random-weights",
            type=int,
            metavar="SEED",
            help="Draw random weights instead, as a trial.",
        ),
        click.option(
            "--model",
            metavar="timm:NAME|torchvision:NAME|PACKAGE.MODULE:FUNCTION",
            help="Any classifier of timm or torchvision, or a function that returns your own "
            "model.",
        ),
        click.option("--checkpoint", type=FILE, help="Checkpoint of wsolbench train."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _prediction_options(command: Callable[..., None]) -> Callable[..., None]:
    options = [
        annotations_option,
        dataset_option,
        images_option,
        exif_option,
        click.option("--split", default="val", show_default=True, help="Split to predict."),
        limit_option,
        ids_option,
        size_option,
        label_option,
        class_map_option,
        click.option(
            "--skip-unmapped",
            type=FILE,
            help="Leave out images whose class has no model class, and list the ids of the others "
            "in this file, for evaluate --ids.",
        ),
        normalise_option,
        click.option("--name", help="Name of the method in tables [default: CAM or SEM]."),
        training_seed_option,
        batch_option,
        workers_option(),
        device_option,
        click.option(
            "--dtype",
            type=click.Choice(["uint8", "float16", "float32"]),
            default="uint8",
            show_default=True,
            help="Number type in which maps are stored.",
        ),
        shard_option("Predict only the I-th of N parts of the images, to be joined by merge."),
        resume_option,
        overwrite_option,
        submission_option,
        quiet_option,
    ]
    for option in reversed(options):
        command = option(command)
    return network_options(command)


def layer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of explainers."""
    layer = click.option(
        "--layer",
        metavar="NAME",
        help="Layer that is explained, by its dotted name [default: the last one with features].",
    )
    channels = click.option(
        "--channels",
        type=click.IntRange(1),
        metavar="N",
        help="Channels that Score-CAM scores, those with the largest deviation [default: all].",
    )
    return layer(channels(command))


def _explaining(name: str) -> click.Command:
    """The command `predict NAME` of an explainer."""

    @layer_options
    @_prediction_options
    def command(**options: Any) -> None:
        _predict(None, name, **options)

    title = EXPLAINERS[name].title if name in EXPLAINERS else f"your function {name}"
    command.__doc__ = f"Write the normalised maps of {title}."
    return click.command(name, epilog=explainer_example(name))(command)


class _Predict(click.Group):
    """A group with a command for each explainer, made when it is asked for.

    The error for an unknown `trivial:NAME` lists the names.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None and is_explainer(cmd_name):
            return _explaining(cmd_name)
        if command is None and cmd_name.partition(":")[0] == "trivial":
            told = f"No such baseline {cmd_name!r}; trivial: goes with {', '.join(TRIVIAL)}"
            close = meant([cmd_name.partition(":")[2]], TRIVIAL, "")
            raise click.UsageError(f"{told}; {close}" if close else f"{told}.", ctx)
        return command


@click.group(
    cls=_Predict,
    epilog="Explainers such as gradcam, scorecam or attention-rollout are commands too, and so is "
    "MODULE:FUNCTION, a function of your own: see `wsolbench predict list`.",
)
def predict() -> None:
    """Write the maps of a classifier or of a network-free baseline."""


@predict.command("list")
@format_option
def predict_list(form: str) -> None:
    """List all methods with their grids, costs and needs."""
    from .method_list import methods_table

    click.echo(methods_table(TRIVIAL, form))


@predict.command("cam")
@_prediction_options
def predict_cam(**options: Any) -> None:
    """Write normalised class activation maps (CAM)."""
    _predict("cam", "cam", **options)


def _add_trained(name: str) -> None:
    """Add the command `predict METHOD` of a method that must be trained."""

    @_prediction_options
    def command(**options: Any) -> None:
        _predict(name, "cam", **options)

    title = METHODS[name].title
    command.__doc__ = f"Write the normalised maps of {title}, from its checkpoint."
    predict.command(name)(command)


for _name in METHODS:
    if _name != "cam":
        _add_trained(_name)


@predict.command("sem", short_help="Write self-enhancement maps (SEM).")
@click.option(
    "--seeds",
    type=seeds_from,
    metavar="K|FRACTION",
    default="40",
    show_default=True,
    help="Number of seed positions, or their fraction of all positions.",
)
@features_option
@click.option(
    "--start",
    metavar="METHOD",
    default="cam",
    show_default=True,
    help="Method from whose map SEM starts: cam or an explainer of `predict list`.",
)
@layer_options
@_prediction_options
def predict_sem(features: str, **options: Any) -> None:
    """Write self-enhancement maps (SEM, section 3.2 of the paper).

    With --checkpoint, SEM starts from the maps of the method that was trained.
    """
    _predict(None, "sem", features=tuple(listed(features)), **options)


def _predict(
    trained: str | None,
    method: str,
    *,
    backbone: str | None,
    weights: Path | None,
    weights_key: str | None,
    preprocessing: str | None,
    random_weights: int | None,
    model: str | None,
    checkpoint: Path | None,
    shard: tuple[int, int] | None,
    annotations: Path | None,
    dataset: str | None,
    images: Path,
    exif: str,
    split: str,
    limit: int | None,
    ids: Path | None,
    skip_unmapped: Path | None,
    name: str | None,
    training_seed: int | None,
    quiet: bool,
    normalise: str | None,
    **options: Any,
) -> None:
    from ..maps.normalisations import normalisations_named

    check_store_options(annotations, dataset)
    check_subset_options(limit, ids)
    check_source(
        trained,
        backbone=backbone,
        weights=weights,
        weights_key=weights_key,
        preprocessing=preprocessing,
        random_weights=random_weights,
        model=model,
        checkpoint=checkpoint,
    )
    if training_seed is not None and random_weights is not None:
        raise click.UsageError("--training-seed excludes --random-weights, whose SEED is recorded.")
    if training_seed is not None and checkpoint is not None:
        raise click.UsageError("--training-seed excludes --checkpoint, which states its seed.")
    metadata: dict[str, object] = {"name": name} if name else {}
    metadata |= {} if training_seed is None else {"seed": training_seed}
    out: Path = options.pop("out")
    require_ending(out, "HDF5")
    names = [own.name for own in normalisations_named(normalise or "min-max")]
    outs = dict(zip(names, path_per_name(out, names), strict=True))
    for target in outs.values():
        require_target(target, [annotations, weights, ids, skip_unmapped, checkpoint])
    require_torch("predict")
    from ..baselines.sharded import predict_sharded
    from ..data.id_lists import write_ids

    opened = open_images(annotations, dataset, split, images, limit, ids, exif)
    if skip_unmapped is not None:
        require_target(skip_unmapped, [opened.store.path, weights, ids])
    network = load_network(
        trained,
        backbone=backbone,
        weights=weights,
        weights_key=weights_key,
        preprocessing=preprocessing,
        random_weights=random_weights,
        model=model,
        checkpoint=checkpoint,
        size=options["size"],
    )
    with bar(f"predict {method}", quiet=quiet) as progress:
        predicted = predict_sharded(
            network,
            opened,
            outs,
            shard=shard,
            method=method,
            map_dtype=options.pop("dtype"),
            progress=progress,
            metadata=metadata,
            skip_unmapped=skip_unmapped is not None,
            **options,
        )
    if predicted is None:
        return
    for target in outs.values():
        click.echo(f"{target}: {len(predicted.dataset)} maps of {opened.name} {split}")
    if skip_unmapped is not None:
        write_ids(skip_unmapped, predicted.dataset.image_ids)
        left = len(opened) - len(predicted.dataset)
        click.echo(f"{skip_unmapped}: their ids, without {left} images of unmapped classes")
    print_notes(predicted.notes)


def check_source(
    trained: str | None,
    *,
    backbone: str | None,
    weights: Path | None,
    weights_key: str | None,
    preprocessing: str | None,
    random_weights: int | None,
    model: str | None,
    checkpoint: Path | None,
) -> None:
    """Raise unless there is one source of the network, and options that fit it."""
    given = (weights, weights_key, preprocessing, random_weights)
    weighted = any(own is not None for own in given)
    if trained not in (None, "cam") and checkpoint is None:
        raise click.UsageError(
            f"{trained} needs --checkpoint FILE, which `wsolbench train {trained}` writes."
        )
    if checkpoint is None and (backbone is None) == (model is None):
        raise click.UsageError(
            "Give one of --backbone NAME, --checkpoint FILE and --model PACKAGE.MODULE:FUNCTION."
        )
    if checkpoint is not None and model is not None:
        raise click.UsageError("--checkpoint and --model exclude each other.")
    if model is not None and model.startswith(("timm:", "torchvision:")):
        if (weights is None) == (random_weights is None):
            raise click.UsageError(
                f"--model {model} needs --weights FILE, a local file, or --random-weights SEED."
            )
        if preprocessing is not None:
            raise click.UsageError("--preprocessing needs --backbone; timm states its own.")
    elif weighted and (backbone is None or checkpoint is not None):
        raise click.UsageError(
            "--weights, --weights-key, --preprocessing and --random-weights need --backbone "
            + ("alone." if checkpoint is None else "without --checkpoint.")
        )
    if weights_key is not None and weights is None:
        raise click.UsageError("--weights-key needs --weights.")


def load_network(
    trained: str | None,
    *,
    backbone: str | None,
    weights: Path | None,
    weights_key: str | None,
    preprocessing: str | None,
    random_weights: int | None,
    model: str | None,
    checkpoint: Path | None,
    size: int | None = None,
) -> ClassMapModel:
    """The network that `network_options` name, checked by `check_source`."""
    from ..baselines.any_networks import is_library_name, load_library_network
    from ..baselines.backbones import load_backbone
    from ..baselines.checkpoints import load_checkpoint
    from ..baselines.user_models import load_model_function

    if model is not None and not is_library_name(model):
        return load_model_function(model, size)
    if checkpoint is not None:
        return load_checkpoint(checkpoint, method=trained, backbone=backbone)
    if model is not None:
        network = load_library_network(
            model, weights, random_weights_seed=random_weights, weights_key=weights_key, size=size
        )
    else:
        network = load_backbone(
            backbone or "",
            weights,
            random_weights_seed=random_weights,
            weights_key=weights_key,
            preprocessing=preprocessing,
        )
    notes = network.provenance.get("weights_notes")
    print_notes([f"{weights}: {note}" for note in notes] if isinstance(notes, list) else [])
    return network


def open_images(
    annotations: Path | None,
    dataset: str | None,
    split: str,
    images: Path | None,
    limit: int | None,
    ids: Path | None,
    exif: str = "ignore",
) -> Dataset:
    """The images to predict."""
    from ..data.dataset import Dataset
    from ..data.id_lists import read_ids
    from ..formats.annotations import find_annotations

    opened = Dataset.open(find_annotations(annotations, dataset), split, images, exif=exif)
    if ids is not None:
        return opened.only(read_ids(ids))
    return opened if limit is None else opened.first(limit)


def _add_trivial(name: str) -> None:
    """Add the command `predict trivial:NAME`; only noise is seeded."""

    @annotations_option
    @dataset_option
    @click.option("--split", default="val", show_default=True, help="Split to write maps for.")
    @limit_option
    @ids_option
    @label_option
    @click.option(
        "--size",
        type=click.IntRange(1, 4096),
        default=28,
        show_default=True,
        help="Side of the maps in pixels.",
    )
    @resume_option
    @overwrite_option
    @submission_option
    @quiet_option
    def command(
        annotations: Path | None,
        dataset: str | None,
        split: str,
        limit: int | None,
        ids: Path | None,
        out: Path,
        quiet: bool,
        **options: Any,
    ) -> None:
        check_store_options(annotations, dataset)
        check_subset_options(limit, ids)
        require_target(out, [annotations, ids])
        require_ending(out, "HDF5")
        from ..baselines.trivial import predict_trivial

        opened = open_images(annotations, dataset, split, None, limit, ids)
        require_target(out, [opened.store.path])
        with bar(f"predict trivial:{name}", quiet=quiet) as progress:
            predict_trivial(opened, out, name, progress=progress, **options)
        click.echo(f"{out}: {len(opened)} maps of {opened.name} {split}")

    command.__doc__ = TRIVIAL[name]
    if name == "noise":
        seed = click.option(
            "--seed",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Random seed of the noise.",
        )
        command = seed(command)
    predict.command(f"trivial:{name}")(command)


for _name in TRIVIAL:
    _add_trivial(_name)
