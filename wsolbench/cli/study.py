"""Studies of several training methods: `study`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..baselines.settings import METHODS, Recipe
from ..boundaries.pseudo_settings import PseudoSettings
from ..boundaries.settings import EdgeRecipe, EdgeSettings
from ..errors import meant
from ..files import require_target
from ..interrupts import advise
from ..progress import bar
from .figure_options import check_look, look_options
from .options import (
    FILE,
    device_option,
    exif_option,
    images_option,
    json_option,
    listed,
    quiet_option,
    require_torch,
    trunk_options,
    workers_option,
)
from .printing import print_notes
from .settings_options import given_settings, integers, settings_options

if TYPE_CHECKING:
    from ..study.plan import Plan
    from ..study.summary import Study

__all__ = ["study"]


def _shares(text: str) -> tuple[float | int, ...]:
    """SEM's K: counts or fractions, separated by commas."""
    try:
        return tuple(
            int(part) if part.strip().isdecimal() else float(part) for part in listed(text)
        )
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a list of counts such as 20,60 or fractions such as 0.05,0.1."
        ) from None


EDGE_VARIANTS = (  # as study.edges.VARIANTS, which would load too much for --help
    *("cam-hns", "sem-vanilla", "sem-hns", "sem-hns-cutmix", "sem-hns-has"),
    *("sem-pseudo", "cam-pseudo", "sem-gradient"),
)


def _names_among(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """The type of an option that takes some of these names, separated by commas."""

    def names(text: str) -> tuple[str, ...]:
        asked = tuple(listed(text))
        unknown = [name for name in asked if name not in known]
        if unknown:
            cure = meant(unknown[:1], known, "name some of these.")
            raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(known)}; {cure}")
        return asked

    return names


def _depths(text: str) -> tuple[tuple[str, ...], ...]:
    """Sets of features: "feat3,feat4+feat5"; nothing for none."""
    return tuple(tuple(part.split("+")) for part in listed(text) if part)


def _setting(text: str) -> tuple[str, str, Any]:
    """Method, setting and value of "has.patch-sizes=0,8"."""
    place, equals, value = text.partition("=")
    method, _, given = place.partition(".")
    name = given.replace("-", "_")
    if not equals or method not in METHODS:
        raise click.BadParameter(f"{text!r} is not a setting such as acol.delta=0.7.")
    known = {own.name: own.default for own in fields(METHODS[method].settings)}
    if name not in known:
        names = ", ".join(known) or "none"
        raise click.BadParameter(f"{given!r} is not a setting of {method}, which has: {names}.")
    if isinstance(known[name], tuple):
        return method, name, integers(value)
    try:
        return method, name, int(value) if isinstance(known[name], int) else float(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a value of {place}, e.g. {known[name]}."
        ) from None


def _study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that all studies have."""
    options: list[Callable[..., Any]] = [
        click.option(
            "--out", type=FILE, required=True, help="Folder of the study, created if necessary."
        ),
        click.option(
            "--seeds",
            type=integers,
            default="0",
            show_default=True,
            metavar="N,N",
            help="Training seeds; more may be added later.",
        ),
        click.option(
            "--methods",
            type=_names_among(METHODS),
            default=",".join(METHODS),
            show_default=True,
            metavar="NAME,NAME",
            help="Methods to train.",
        ),
        click.option(
            "--sem-seeds",
            "shares",
            type=_shares,
            metavar="K,K",
            help="SEM's K, rising: counts, or fractions of the map's positions "
            "[default: 0.005,0.01,0.02,0.05,0.1,0.2,0.4].",
        ),
        click.option(
            "--depths",
            type=_depths,
            metavar="FEATURES,...",
            help="Features of SEM beside feat5, on CAM's classifier; an empty text for none "
            "[default: feat3,feat4,feat3+feat5,feat4+feat5,feat3+feat4+feat5].",
        ),
        settings_options(Recipe, leave_out=("seed",)),
        click.option(
            "--set",
            "settings",
            multiple=True,
            type=_setting,
            metavar="METHOD.NAME=VALUE",
            help="A setting of a method, e.g. has.patch-sizes=0,8,16; see `wsolbench train METHOD "
            "--help`.",
        ),
        workers_option(" in training"),
        device_option,
        json_option,
        quiet_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def study() -> None:
    """Train several methods with several seeds, and compare them with and without SEM.

    \b
    wsolbench study mini --out study --seeds 0,1,2
    wsolbench study report study

    A study that was interrupted continues with the same command, which skips what is done; seeds
    and methods may be added.
    """
    advise("run the same command again to continue")


@study.command()
@click.option(
    "--train-scenes",
    type=click.IntRange(32),
    default=1500,
    show_default=True,
    help="Number of scenes to train on.",
)
@click.option(
    "--scenes",
    type=click.IntRange(16),
    default=240,
    show_default=True,
    help="Number of scenes in val, and in test.",
)
@_study_options
def mini(train_scenes: int, scenes: int, out: Path, **options: Any) -> None:
    """Run the study on the embedded benchmark.

    Its results say nothing about photographs: they show that the methods run, and how a study
    reads.
    """
    require_torch("study")
    from ..study.mini import mini_plan

    given = _given(options)
    with bar("draw scenes", "scene", quiet=options["quiet"]) as progress:
        plan = mini_plan(out, train=train_scenes, scenes=scenes, progress=progress, **given)
    _run(plan, out, **options)


@study.command()
@click.option("--annotations", type=FILE, required=True, help="Annotation file of val and test.")
@images_option
@click.option(
    "--train",
    "train_split",
    metavar="SPLIT",
    help="Split of --annotations whose photos and classes to train on.",
)
@click.option(
    "--train-images",
    type=FILE,
    help="Instead of --train: folder with one subfolder of photos per class.",
)
@click.option("--val", default="val", show_default=True, help="Split to choose K and thresholds.")
@click.option("--test", default="test", show_default=True, help="Split to use them on.")
@click.option("--backbone", required=True, help="Name of a backbone, e.g. squeezenet1_1-gap.")
@trunk_options
@exif_option
@click.option("--title", help="Title of the study [default: the data set and backbone].")
@_study_options
def photos(
    annotations: Path,
    images: Path,
    train_split: str | None,
    train_images: Path | None,
    val: str,
    test: str,
    backbone: str,
    trunk_weights: Path | None,
    weights_key: str | None,
    preprocessing: str | None,
    exif: str,
    title: str | None,
    out: Path,
    **options: Any,
) -> None:
    """Run the study on photos, of which those of val and test have masks."""
    if (train_split is None) == (train_images is None):
        raise click.UsageError("name either --train SPLIT or --train-images DIR.")
    if trunk_weights is None and (weights_key or preprocessing):
        raise click.UsageError("--weights-key and --preprocessing need --trunk-weights.")
    require_torch("study")
    from ..study.plan import Plan

    plan = Plan(
        title=title or f"The methods on {annotations.stem}, {backbone}",
        annotations=annotations,
        images=images,
        train=train_images if train_split is None else train_split,  # type: ignore[arg-type]
        val=val,
        test=test,
        backbone=backbone,
        trunk_weights=trunk_weights,
        weights_key=weights_key,
        preprocessing=preprocessing,
        exif=exif,
        **_given(options),
    )
    _run(plan, out, **options)


@study.command()
@click.argument("folder", type=FILE)
@click.option(
    "--plot",
    type=FILE,
    help="Draw the curves of seed-counts.png into this .png, .svg or .pdf file too.",
)
@look_options
@json_option
@quiet_option
def report(
    folder: Path, plot: Path | None, style: str, width: str | None, as_json: bool, quiet: bool
) -> None:
    """Write the summary of a study's folder again: study.json, study.md and seed-counts.png.

    Run it after copying runs of other machines (folders seed-<N>) together.

    \b
    wsolbench study report study --plot seeds.pdf --style paper --width column
    """
    check_look(plot=plot)
    if plot is not None:
        from ..plots import require_form

        require_form(plot)
        require_target(plot, [folder / "seed-counts.png"])
    study = _report(folder, as_json, quiet)
    if plot is not None:
        from ..study.report import save_study

        save_study(study, plot, style, width)
        click.echo(f"written: {plot}", err=True)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """What of a plan was given, taken out of the options."""
    found = {name: options.pop(name) for name in ("shares", "depths")}
    given = {name: value for name, value in found.items() if value is not None}
    settings: dict[str, dict[str, Any]] = {}
    for method, name, value in options.pop("settings"):
        settings.setdefault(method, {})[name] = value
    return {"recipe": given_settings(Recipe, options), "settings": settings, **given}


def _run(
    plan: Plan,
    out: Path,
    *,
    seeds: tuple[int, ...],
    methods: tuple[str, ...],
    device: str,
    workers: int,
    as_json: bool,
    quiet: bool,
) -> None:
    from ..study.run import run_study

    run_study(
        plan,
        out,
        seeds=seeds,
        methods=methods,
        device=device,
        workers=workers,
        bars=partial(bar, quiet=quiet),
        say=lambda line: click.echo(line, err=True),
    )
    _report(out, as_json, quiet)


def _report(folder: Path, as_json: bool, quiet: bool) -> Study:
    from ..study.report import study_json, study_text, write_report
    from ..study.summary import summarise

    with bar("summary", "result", quiet=quiet) as progress:
        summary = summarise(folder, progress=progress)
    print_notes(summary.notes)
    written = write_report(summary, folder)
    click.echo(study_json(summary).rstrip("\n") if as_json else study_text(summary, "text"))
    click.echo(f"written: {', '.join(map(str, written))}", err=True)
    return summary


def _also(text: str) -> tuple[str, Path]:
    """Title and submission of "HED=hed.h5"."""
    title, equals, path = text.partition("=")
    plain = title.replace(" ", "").replace("-", "").replace("(", "").replace(")", "")
    if not equals or not plain.isalnum() or not path:
        raise click.BadParameter(f"{text!r} is not of the form NAME=SUBMISSION.")
    return title, Path(path)


@study.command()
@click.option(
    "--classifiers",
    type=FILE,
    required=True,
    help="Folder of a study, whose classifiers of cam, has and cutmix to use.",
)
@click.option("--annotations", type=FILE, required=True, help="Annotation file of the test split.")
@images_option
@click.option(
    "--train",
    "train_split",
    metavar="SPLIT",
    help="Split of --annotations whose photos and classes to train on [default: train].",
)
@click.option(
    "--train-images",
    type=FILE,
    help="Instead of --train: folder with one subfolder of photos per class.",
)
@click.option("--test", default="test", show_default=True, help="Split to score.")
@exif_option
@click.option("--title", help="Title of the study [default: the data set].")
@click.option(
    "--seeds",
    type=integers,
    default="0",
    show_default=True,
    metavar="N,N",
    help="Seeds of the classifiers; more may be added later.",
)
@click.option(
    "--variants",
    type=_names_among(EDGE_VARIANTS),
    metavar="NAME,NAME",
    help=f"Rows of the table [default: {','.join(EDGE_VARIANTS)}].",
)
@click.option(
    "--also",
    type=_also,
    multiple=True,
    metavar="NAME=SUBMISSION",
    help="Score this submission of edges of the test split beside them; may be repeated.",
)
@click.option(
    "--sem-seeds",
    type=float,
    metavar="FRACTION",
    help="Seeds of SEM as a fraction of the map's positions [default: 0.05].",
)
@settings_options(EdgeSettings, leave_out=("maps", "loss", "seeds"))
@settings_options(EdgeRecipe, leave_out=("seed",))
@settings_options(PseudoSettings)
@workers_option()
@device_option
@click.option("--out", type=FILE, required=True, help="Folder of the study.")
@json_option
@quiet_option
def edges(
    classifiers: Path,
    annotations: Path,
    images: Path,
    train_split: str | None,
    train_images: Path | None,
    test: str,
    exif: str,
    title: str | None,
    seeds: tuple[int, ...],
    variants: tuple[str, ...] | None,
    also: tuple[tuple[str, Path], ...],
    sem_seeds: float | None,
    out: Path,
    workers: int,
    device: str,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compare boundary detectors in the shape of the paper's Table 7.

    CAM-HNS, SEM-vanilla and SEM-HNS on the classifiers of CAM, SEM-HNS on those of HaS and CutMix,
    beside pseudo-boundaries, the gradient of SEM's maps and Canny.

    \b
    wsolbench study mini --out mini-study --seeds 0,1,2 --methods cam,has,cutmix
    wsolbench study edges --classifiers mini-study --annotations mini-study/scenes.h5 \\
        --images mini-study/images --seeds 0,1,2 --out edges-study
    """
    if train_split is not None and train_images is not None:
        raise click.UsageError("--train and --train-images exclude each other.")
    settings = given_settings(EdgeSettings, options)
    settings |= {} if sem_seeds is None else {"seeds": sem_seeds}
    recipe = given_settings(EdgeRecipe, options)
    pseudo = given_settings(PseudoSettings, options)
    require_torch("study")
    from ..files import together, write_text
    from ..study.edge_summary import edge_study_json, edge_study_text, summarise_edges
    from ..study.edges import EdgePlan, run_edge_study

    plan = EdgePlan(
        title=title or f"Boundaries on {annotations.stem}",
        classifiers=classifiers,
        annotations=annotations,
        images=images,
        train=train_images or train_split or "train",
        test=test,
        exif=exif,
        settings=settings,
        recipe=recipe,
        pseudo=pseudo,
        also=dict(also),
    )
    run_edge_study(
        plan,
        out,
        seeds=seeds,
        variants=variants or EDGE_VARIANTS,
        device=device,
        workers=workers,
        bars=partial(bar, quiet=quiet),
        say=lambda line: click.echo(line, err=True),
    )
    with bar("summary", "result", quiet=quiet) as progress:
        summary = summarise_edges(out, progress=progress)
    with together():
        write_text(out / "boundaries.json", edge_study_json(summary))
        write_text(out / "boundaries.md", edge_study_text(summary))
    text = edge_study_json(summary).rstrip("\n") if as_json else edge_study_text(summary, "text")
    click.echo(text)
    click.echo(f"written: {out / 'boundaries.json'}, {out / 'boundaries.md'}", err=True)
