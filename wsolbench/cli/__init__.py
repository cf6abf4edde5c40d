"""The command line: parse, one library call, print.

Results go to stdout, progress to stderr. Exit status 0: done; 1: the input is invalid or
incomplete, e.g. a submission that lacks a map; 2: the command could not use it. One module a
command group, in which heavy modules are imported where they are used, so that `wsolbench --help`
answers at once.
"""

from __future__ import annotations

import sys
import traceback

import click

from .. import __version__
from ..errors import WsolbenchError
from ..interrupts import advise, ending
from . import (
    bundle,
    compare,
    demo,
    edges,
    evaluate,
    explain,
    hub,
    import_maps,
    imports,
    info,
    leaderboard,
    merge,
    merge_results,
    plot,
    predict,
    rescore,
    study,
    study_metrics,
    train,
)
from .common import add_common_options, debugging
from .examples import add_examples

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command line and exit with its status; an error is one line on stderr."""
    advise("")
    try:
        status = cli.main(prog_name="wsolbench", standalone_mode=False)
    except WsolbenchError as error:
        _leave(str(error), error.exit_status)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        asked = f"{error.ctx.command_path} --help" if error.ctx else "wsolbench --help"
        _leave(f"{error.format_message()} See `{asked}`.", 2)
    except click.ClickException as error:
        _leave(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        _leave(ending(), 130)
    except OSError as error:
        _leave(f"{error.filename or 'system'}: {error.strerror or error}", 2)
    except MemoryError:
        _leave("out of memory; lower --jobs or --batch-size", 2)
    except Exception as error:  # noqa: BLE001 - a fault of ours is one line too
        kind = type(error).__name__
        _leave(f"unexpected {kind} ({error}); show where with --debug, and report it", 2)
    sys.exit(status if isinstance(status, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="wsolbench")
def cli() -> None:
    """Score localization maps against pixel masks and boxes.

    \b
    import    masks, boxes and labels  ->  annotation file
    predict   photos and a classifier  ->  submission file
    evaluate  submission, annotations  ->  result file
    """


for _command in (
    *(evaluate.evaluate, evaluate.thresholds, evaluate.protocols, evaluate.validate),
    *(compare.compare, rescore.rescore, info.info, imports.import_, imports.export),
    *(
        predict.predict,
        import_maps.import_maps,
        import_maps.import_edges,
        merge.merge,
        merge_results.merge_results,
        plot.plot,
        demo.demo,
    ),
    *(explain.explain, train.train, study.study, leaderboard.leaderboard, bundle.bundle),
):
    cli.add_command(_command)
train.train.add_command(edges.train_edges)
imports.export.add_command(hub.export_hub)
study.study.add_command(study_metrics.study_metrics)
for _command in edges.PREDICT:
    predict.predict.add_command(_command)
add_common_options(cli)
add_examples(cli)


def _leave(message: str, status: int) -> None:
    if debugging():
        traceback.print_exc()
    click.echo("wsolbench: " + " ".join(message.split()), err=True)
    sys.exit(status)
