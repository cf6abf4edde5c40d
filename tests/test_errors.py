"""Errors are one line of four parts, and pass between processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import wsolbench
from wsolbench.baselines.explainer_records import explainer_named
from wsolbench.errors import WsolbenchError, meant, require_choice, some
from wsolbench.evaluation.checks import check_bootstrap, check_options
from wsolbench.protocols import protocols_named
from wsolbench.scores import SCORES


def test_one_line_of_four_parts() -> None:
    error = WsolbenchError("a.h5", found="two\nlines", expected="one", cure="mend it")
    assert str(error) == "a.h5: found two lines, expected one; mend it"
    assert error.exit_status == 2


def test_the_problem_stands_alone_if_nothing_is_expected() -> None:
    error = WsolbenchError("val", found="no folder of photos", cure="open it with images=DIR")
    assert str(error) == "val: no folder of photos; open it with images=DIR"


def test_an_error_survives_pickling() -> None:
    error = WsolbenchError("a.h5", found="x", cure="y", exit_status=1)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.exit_status, again.cure) == (str(error), 1, "y")


def test_a_long_list_is_cut() -> None:
    assert some([1, 2, 3]) == "1, 2, 3"
    assert some(range(10)) == "0, 1, 2 and 7 more"


def test_a_wrong_name_is_answered_with_the_closest_right_one() -> None:
    known = ["sem", "tscam", "Wide-2"]
    assert meant(["tscan"], known, "look") == "did you mean tscam?"
    assert meant(["SEM", "tscam", "wide2"], known, "look") == "did you mean sem and Wide-2?"
    assert meant(["tscan", "xyz"], known, "look") == "look"
    assert meant([], known, "look") == meant(["tscam"], known, "look") == "look"
    assert meant(["tscam" * 10_000], known, "look") == meant(["tscan"], [], "look") == "look"
    with pytest.raises(
        WsolbenchError, match=r"^protocol: found 'tscan', .*; did you mean tscam\?$"
    ):
        require_choice("protocol", "tscan", known)
    with pytest.raises(WsolbenchError, match=r"^protocol: found 3, .*; name one of these$"):
        require_choice("protocol", 3, ["aa", "bb"])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: protocols_named("wsoleval-v11"), "wsoleval-v1"),
        (lambda: explainer_named("grad-cam"), "gradcam"),
        (lambda: check_options([], by=["boxs"]), "boxes"),
        (lambda: require_choice("score", "peak-iou", SCORES), "peak_iou"),
    ],
)
def test_names_of_the_field_are_suggested(call: Callable[[], object], name: str) -> None:
    with pytest.raises(WsolbenchError, match=rf"; did you mean {name}\?$"):
        call()


def test_backbones_are_suggested() -> None:
    pytest.importorskip("torch", reason="builds networks")
    from wsolbench.baselines.backbones import known_backbone

    with pytest.raises(WsolbenchError, match=r"; did you mean resnet50\?$"):
        known_backbone("Resnet-50")


def test_a_strangers_text_stays_on_its_line_and_in_its_direction() -> None:
    error = WsolbenchError("a\u202eb", found="\x1b[31mred\r" + "x" * 9999, cure="mend")
    assert str(error).startswith(r"a\u202eb: \x1b[31mred x")
    assert len(str(error)) < 700
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wsolbench.Dataset.open(None), "path: found an object of type NoneType, expected"),
        (lambda: wsolbench.Submission.open(3), "path: found an object of type int, expected"),
        (
            lambda: wsolbench.normalisation_named(None),
            "normalisation: found .* NoneType",
        ),
        (lambda: wsolbench.table([Path("r.json")]), "results: found an object of type .*Path"),
        (lambda: wsolbench.table("r.json"), "results: found an object of type str"),
        (lambda: wsolbench.signature("r.json"), "result: found an object of type str"),
        (lambda: wsolbench.seed_groups("r.json"), "results: found an object of type str"),
        (lambda: wsolbench.compare(None, wsolbench.Bootstrap(9)), "compared: found .* NoneType"),
        (lambda: wsolbench.compare_files("a.h5", None), "files: found an object of type str"),
        (lambda: wsolbench.run("a.h5"), "request: found .* str, expected a wsolbench.Request"),
        (lambda: wsolbench.validate("a.h5", split=3), "split: found an object of type int"),
        (lambda: wsolbench.validate("a.h5", []), r"annotations: found .*list.* \(dataset.store\)"),
        (lambda: wsolbench.find_annotations(3, None), "annotations: found an object of type int"),
        (lambda: wsolbench.SubmissionWriter("a.h5", {}), "header: found an object of type dict"),
        (lambda: wsolbench.merge_submissions([3], "a.h5"), "shards: found an object of type int"),
        (lambda: wsolbench.write_store("a.h5", []), "content: .*, expected an AnnotationSet"),
        (lambda: wsolbench.export_png("a.h5", "b"), "store: found an object of type str"),
        (lambda: wsolbench.Protocol.from_dict("sem"), "protocol: found an object of type str"),
        (lambda: wsolbench.protocols.at_size("sem", 3), "protocol: found an object of type str"),
        (lambda: wsolbench.leaderboard.read_entries(None), "root: found an object of type None"),
        (lambda: wsolbench.plots.save_curves("r.json", "a.png"), "plots: found .* type str"),
        (lambda: wsolbench.plots.save_curves([], 3), "path: found an object of type int"),
        (lambda: wsolbench.plots.iou_threshold([], None), "plot: no results or entries"),
        (lambda: wsolbench.plots.seed_count_scores([], None), "plot: no results or entries"),
        (lambda: wsolbench.table([], "html"), "form: found 'html', expected text, md, latex or"),
        (lambda: wsolbench.table([], "md", None), "layout: found an object of type NoneType"),
        (
            lambda: wsolbench.table([], "csv", wsolbench.Layout(bold=True)),
            "layout: bold: found it for a table of form csv",
        ),
        (lambda: wsolbench.readings_table([], "html"), "form: found 'html', expected text, md"),
        (lambda: wsolbench.seeds_table([], "csv"), "form: found 'csv', expected text, md or latex"),
        (
            lambda: wsolbench.comparison_table(None, "md", wsolbench.Layout(sort="ap")),
            "layout: sort: found it for a table of form md",
        ),
        (lambda: check_bootstrap(wsolbench.Bootstrap(10**7)), "an integer from 1 to 100000"),
        (lambda: wsolbench.plots.mask_alone("m.png", None), "mask: .* type str, .* NumPy array"),
    ],
)
def test_an_argument_of_another_kind_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(WsolbenchError, match=message):
        call()


@pytest.mark.parametrize(
    "code",
    [
        "wsolbench.explain",
        "wsolbench.collate",
        "wsolbench.LocalizationMetric",
        "wsolbench.baselines.load_backbone",
        "wsolbench.Dataset.torch(None)",
    ],
)
def test_what_needs_torch_says_how_to_install_it(code: str) -> None:
    lines = ("import sys", "sys.modules['torch'] = None", "import wsolbench", code)
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    name = code.partition("(")[0]
    name = name if "Dataset" not in name else "Dataset.torch"
    assert done.stderr.splitlines()[-1] == (
        f"wsolbench.errors.WsolbenchError: {name}: it needs torch, which is not installed; "
        "pip install 'wsolbench[torch]'"
    )
