"""CodaBench: a scoring program, and what it does there.

Layout (docs.codabench.org: Competition Bundle Structure; Detailed Results and Visualization):
`metadata.yaml` names the command; the program is unpacked in /app/program, the reference data in
/app/input/ref and the submission in /app/input/res; it writes /app/output/scores.json, whose keys
are those of the leaderboard's columns, and a page, detailed_results.html.
"""

from __future__ import annotations

import html
import json
import os
from pathlib import Path

from ..errors import WsolbenchError, some
from ..files import write_text
from ..formats.report import signature
from ..formats.result import Result
from ..scores import SCORES, Better, in_order
from ..tables import html_table
from .bundle import write_bundle, write_zip
from .rules import Rules, read_rules, score

__all__ = ["columns", "score_folder", "write_codabench", "write_reference"]

METADATA = """\
command: python3 /app/program/score.py /app/input /app/output
"""

SCRIPT = '''\
"""Score the submission in INPUT/res on the annotations in INPUT/ref; writes into OUTPUT."""

import os
import sys
import tempfile

program = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, program)  # the wsolbench of this folder, whatever else is installed
with tempfile.TemporaryDirectory() as cache:
    os.environ.setdefault("NUMBA_CACHE_DIR", cache)  # the program's folder may be read-only
    from wsolbench.__main__ import main

    sys.argv[:1] = ["wsolbench", "bundle", "score", program]
    main()
'''

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; margin-bottom: 2em; }}
caption {{ font-weight: bold; text-align: left; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .2em 1em .2em 0; text-align: left; }}
code {{ overflow-wrap: anywhere; }}
</style>
<h1>{title}</h1>
{tables}
<p><code>{signature}</code></p>
</html>
"""


def write_codabench(path: str | os.PathLike[str], rules: Rules) -> None:
    """Write the archive of the scoring program, whole or not at all."""
    write_bundle(path, rules, {"metadata.yaml": METADATA, "score.py": SCRIPT})


def write_reference(path: str | os.PathLike[str], annotations: Path) -> None:
    """Write the archive of the reference data, which holds the annotation file alone."""
    write_zip(path, {"annotations.h5": annotations.read_bytes()})


def columns(rules: Rules) -> str:
    """The leaderboard's columns, as competition.yaml has them."""
    lines = ["leaderboard:", "  - title: Results", "    key: main", "    columns:"]
    for index, key in enumerate(rules.scores):
        sorting = "asc" if SCORES[key].better is Better.LOWER else "desc"
        lines += [
            f"      - title: {json.dumps(SCORES[key].title)}",
            f"        key: {key}",
            f"        index: {index}",
            f"        sorting: {sorting}",
        ]
    return "\n".join(lines)


def score_folder(program: Path, given: Path, output: Path) -> Result:
    """What the scoring program does.

    Args:
        program: the unpacked bundle.
        given: its input: `res` holds one submission, `ref` one annotation file.
        output: folder of `scores.json` and `detailed_results.html`.

    Raises:
        WsolbenchError: no or several files where one is expected; see `rules.score`.
    """
    rules = read_rules(program)
    annotations = _only_file(given / "ref", "reference data", 2)
    submission = _only_file(given / "res", "submission", 1)
    result = score(rules, annotations, submission)
    write_text(output / "detailed_results.html", page(result))
    kept = {key: result.scores[key] for key in rules.scores}
    write_text(output / "scores.json", json.dumps(kept, indent=1, allow_nan=False) + "\n")
    return result


def page(result: Result) -> str:
    """The scores of a submission as a page that needs no other file; texts stay text."""
    keys = [key for key in in_order(result.scores) if SCORES[key].shown or SCORES[key].rank]
    scores = [[SCORES[key].title, SCORES[key].text(result.scores[key])] for key in keys]
    counts = [[name.replace("_", " "), str(count)] for name, count in result.counts.items()]
    return _PAGE.format(
        title=html.escape(f"{result.name} on {result.dataset} {result.split}"),
        tables=html_table(scores, f"Scores of {result.images} images, fractions in percent")
        + html_table(counts, "Images"),
        signature=html.escape(signature(result)),
    )


def _only_file(folder: Path, what: str, exit_status: int) -> Path:
    """The one HDF5 file in a folder, at any depth; hidden files do not count."""
    found = sorted(
        Path(at, name)
        for at, folders, names in os.walk(folder)
        for name in names
        if name.lower().endswith((".h5", ".hdf5")) and not name.startswith(".")
    )
    if len(found) != 1:
        named = [file.relative_to(folder) for file in found]
        raise WsolbenchError(
            what,
            found=f"{len(found)} HDF5 files: {some(named)}" if found else "no HDF5 file",
            expected="exactly one file that ends in .h5",
            cure="upload an archive with that file alone",
            exit_status=exit_status,
        )
    return found[0]
