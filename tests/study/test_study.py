"""A small study on the embedded benchmark: run, continued, summarised and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from wsolbench.cli import cli
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.counts import Counts, counts_path, read_counts
from wsolbench.formats.result import Bootstrap, Result, read_result
from wsolbench.plots.style import FIGURE_WIDTHS
from wsolbench.study.claims import Claim, claims, judged
from wsolbench.study.estimate import Estimate
from wsolbench.study.mini import mini_plan
from wsolbench.study.plan import Maps, Plan
from wsolbench.study.report import study_json, study_tables, study_text, write_report
from wsolbench.study.run import run_study
from wsolbench.study.summary import Study, summarise

DRAWN = Bootstrap(60)
SHARES = (0.02, 0.2)


def plan_in(folder: Path, **changed: object) -> Plan:
    options: dict[str, object] = {"shares": SHARES, "depths": (("feat3",),), **changed}
    return mini_plan(folder, train=32, scenes=16, recipe={"epochs": 1}, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CAM with two seeds."""
    own = tmp_path_factory.mktemp("study")
    run_study(plan_in(own), own, seeds=(0, 1), methods=("cam",), device="cpu", workers=0)
    return own


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    return summarise(folder, DRAWN)


def result_of(folder: Path, seed: int, part: str, stem: str) -> Result:
    return read_result(folder / f"seed-{seed}" / "cam" / part / f"{stem}.json")


def counts_of(folder: Path, seed: int, part: str, stem: str) -> Counts:
    path = folder / f"seed-{seed}" / "cam" / part / f"{stem}.json"
    return read_counts(counts_path(path), read_result(path))


# -- numbers --------------------------------------------------------------------------------------


def test_a_mean_and_its_spread_are_over_the_seeds(folder: Path, study: Study) -> None:
    cam = study.methods[0]
    assert study.seeds == (0, 1)
    values = [result_of(folder, seed, "val", "own").scores["ap"] for seed in (0, 1)]
    assert cam.own["val"]["ap"].values == tuple(values)
    assert cam.own["val"]["ap"].mean == fmean(values)
    assert cam.own["val"]["ap"].std == stdev(values)
    assert values[0] != values[1]


def test_k_is_the_best_on_val_of_the_mean_over_seeds(folder: Path, study: Study) -> None:
    cam = study.methods[0]
    for key in ("peak_iou", "ap", "gt_known_loc"):
        means = [
            fmean(result_of(folder, seed, "val", f"sem-{share:g}").scores[key] for seed in (0, 1))
            for share in SHARES
        ]
        assert cam.best[key] == SHARES[means.index(max(means))]
    best = cam.best["peak_iou"]
    on_test = [
        result_of(folder, seed, "test", f"sem-{best:g}").scores["iou_at_threshold"]
        for seed in (0, 1)
    ]
    assert cam.sem["test"]["iou_at_threshold"].values == tuple(on_test)


def test_thresholds_of_test_are_those_of_val(folder: Path) -> None:
    for stem in ("own", "sem-0.02"):
        val, test = result_of(folder, 0, "val", stem), result_of(folder, 0, "test", stem)
        assert test.threshold.rule == "carried"
        assert test.threshold.pixel == val.scores["peak_threshold"]
        assert test.threshold.box == val.scores["box_threshold"]


def test_a_gain_of_one_seed_is_that_of_compare(folder: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    shutil.copytree(folder, one, ignore=shutil.ignore_patterns("seed-1"))
    cam = summarise(one, DRAWN).methods[0]
    best = Maps(cam.best["ap"]).stem
    other = compare(
        [counts_of(folder, 0, "test", "own"), counts_of(folder, 0, "test", best)], DRAWN
    )
    pair = next(own for own in other.pairs if own.score == "ap")
    gain = cam.gain["test"]["ap"]
    assert gain.mean == pytest.approx(pair.difference, abs=1e-15)
    assert gain.interval == pytest.approx(pair.interval, abs=1e-15)
    assert gain.std is None


def test_a_gain_is_the_mean_of_the_seeds_gains(study: Study) -> None:
    cam = study.methods[0]
    own, sem, gain = (side["test"]["ap"] for side in (cam.own, cam.sem, cam.gain))
    assert gain.values == pytest.approx(
        [b - a for a, b in zip(own.values, sem.values, strict=True)], abs=1e-15
    )
    assert gain.interval[0] <= gain.mean <= gain.interval[1]


def test_the_trivial_baselines_have_no_classes(study: Study) -> None:
    scores = study.trivial["whole-image"]["val"]
    assert set(scores) == {"peak_iou", "ap", "gt_known_loc"}
    assert scores["peak_iou"].mean == scores["ap"].mean  # both are the share of object pixels


@pytest.mark.parametrize(
    ("values", "interval", "sign"),
    [
        ((0.1, 0.2), (0.05, 0.3), 1),
        ((0.1,), (0.05, 0.3), 0),  # one seed decides nothing
        ((0.1, -0.01), (0.01, 0.3), 0),  # one seed disagrees
        ((0.1, 0.2), (-0.01, 0.3), 0),  # the photos do not decide
        ((-0.1, -0.2), (-0.3, -0.05), -1),
        ((0.0, 0.0), (0.0, 0.0), 0),
    ],
)
def test_a_sign_needs_photos_and_seeds(
    values: tuple[float, ...], interval: tuple[float, float], sign: int
) -> None:
    own = Estimate(values, fmean(values), None, interval)
    assert own.sign == sign
    claim = Claim("", "", "ap", ("cam", None), ("has", None), -1)
    verdict = {1: "is contradicted", 0: "undecided", -1: "holds"}[sign]
    assert judged(claim, own).verdict == verdict


def test_claims_need_both_sides() -> None:
    plan = {"shares": [0.1, 0.2], "depths": [["feat3"], ["feat3", "feat5"]], "depth_method": "cam"}
    texts = [own.text for own in claims(["has", "acol"], plan)]
    assert len(texts) == 4 + 3
    assert "SEM lowers the AP of ACoL's maps" in texts
    both = [own.text for own in claims(["cam", "acol"], plan)]
    assert "ACoL's own maps have no higher AP than CAM's" in both
    assert "SEM on feat3 has a lower GT-known than on feat5" in both
    assert not any("feat3 + feat5" in text for text in both)


# -- continuing -----------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    before = {path: path.stat().st_mtime_ns for path in own.rglob("*") if path.is_file()}
    said: list[str] = []
    options = {"seeds": (0, 1), "methods": ("cam",), "device": "cpu", "workers": 0}
    run_study(plan_in(own), own, say=said.append, **options)  # type: ignore[arg-type]
    assert said == ["CAM, seed 0: done before", "CAM, seed 1: done before"]
    lost = own / "seed-1" / "cam" / "test" / "sem-0.2-feat3"
    files = [lost.with_name(lost.name + end) for end in (".h5", ".json", ".counts.npz")]
    first = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    run_study(plan_in(own), own, say=said.append, **options)  # type: ignore[arg-type]
    assert said[-1].startswith("CAM, seed 1: 10 submissions scored")
    assert [file.read_bytes() for file in files] == first
    after = {path: path.stat().st_mtime_ns for path in own.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} == set(files)


def test_another_plan_is_refused(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    with pytest.raises(WsolbenchError, match=r"plan.json: found a study with another plan: shares"):
        run_study(plan_in(own, shares=(0.02, 0.3)), own, methods=("cam",), device="cpu")


def test_a_seed_without_a_method_is_left_out(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    (own / "seed-1" / "cam" / "val" / "sem-0.2.counts.npz").unlink()
    found = summarise(own, DRAWN)
    assert found.seeds == (0,)
    assert found.notes == ("left out: seed 1 lacks CAM",)
    assert "Note: left out: seed 1 lacks CAM." in study_text(found)
    shutil.copytree(own / "seed-0" / "cam", own / "seed-1" / "has")
    shutil.rmtree(own / "seed-0" / "cam" / "val")
    shutil.copytree(folder / "seed-0" / "cam", own / "seed-2" / "cam")
    with pytest.raises(WsolbenchError, match="seed 1 lacks CAM; seed 2 lacks HaS, expected at lea"):
        summarise(own, DRAWN)
    shutil.copytree(folder / "seed-0" / "cam", own / "seed-00" / "cam")
    shutil.copytree(folder / "seed-0" / "cam", own / "seed-0" / "cam", dirs_exist_ok=True)
    shutil.rmtree(own / "seed-1")
    shutil.rmtree(own / "seed-2")
    (own / "seed-0" / "adl").mkdir()
    found = summarise(own, DRAWN)
    assert found.seeds == (0,)
    assert found.notes == ("left out: ADL, which no seed has finished",)
    shutil.rmtree(own / "seed-0")
    with pytest.raises(WsolbenchError, match="found no finished run, expected at least one seed"):
        summarise(own, DRAWN)


def test_results_of_other_annotations_are_refused(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    plan = json.loads((own / "plan.json").read_text())
    (own / "plan.json").write_text(json.dumps({**plan, "annotations_sha256": "0" * 64}))
    with pytest.raises(WsolbenchError, match="found other images, annotations"):
        summarise(own, DRAWN)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("seed-0", "seed-1", "found seed 0, expected 1, as its folder and name say"),
        ("seed-0/cam", "seed-0/has", r"found name CAM( \+ SEM)?, expected HaS"),
        ("seed-0/cam/val", "seed-0/cam/test", "found split val, expected test"),
    ],
)
def test_a_copied_folder_is_refused(
    folder: Path, tmp_path: Path, first: str, second: str, message: str
) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own, ignore=shutil.ignore_patterns("seed-1"))
    shutil.copytree(own / first, own / second, dirs_exist_ok=True)
    with pytest.raises(WsolbenchError, match=message):
        summarise(own, DRAWN)


def test_results_exchanged_within_a_run_are_refused(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    place = own / "seed-0" / "cam" / "val"
    for end in (".json", ".counts.npz"):
        shutil.copy(place / f"sem-0.2{end}", place / f"sem-0.02{end}")
    with pytest.raises(WsolbenchError, match=r"sem-0\.02\.json: found K 0\.2, expected 0\.02"):
        summarise(own, DRAWN)
    shutil.copytree(folder / "seed-0" / "cam" / "val", place, dirs_exist_ok=True)
    other = folder / "seed-1" / "cam" / "val"
    for end in (".json", ".counts.npz"):
        shutil.copy(other / f"own{end}", place / f"own{end}")
    content = json.loads((place / "own.json").read_text())
    content["method"]["seed"] = 0
    del content["content_sha256"]
    (place / "own.json").write_text(json.dumps(content))
    with pytest.raises(
        WsolbenchError, match=r"found (weights|thresholds of) [0-9a-f]{64}, expected"
    ):
        summarise(own, DRAWN)


def test_a_plan_that_the_results_do_not_state_is_refused(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    plan = json.loads((own / "plan.json").read_text())
    for changed, message in (
        ({"backbone": "resnet50-sem"}, "found backbone mini, expected resnet50-sem"),
        ({"recipe": {**plan["recipe"], "epochs": 9}}, "found training .*'epochs': 1.* expected"),
        ({"val": "test", "test": "val"}, "found split val, expected test"),
    ):
        (own / "plan.json").write_text(json.dumps({**plan, **changed}))
        with pytest.raises(WsolbenchError, match=message):
            summarise(own, DRAWN)
    del plan["shares"]
    (own / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(WsolbenchError, match=r"plan\.json: found no plan of a study"):
        summarise(own, DRAWN)


def test_what_predictions_would_refuse_is_refused_before_training(tmp_path: Path) -> None:
    for changed, message in (
        ({"shares": (2000,)}, "seeds: found 2000 on maps of 32x32, expected"),
        ({"depths": (("feat9",),)}, "features: found 'feat9'"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            run_study(plan_in(tmp_path, **changed), tmp_path, methods=("cam",), device="cpu")
    assert {path.name for path in tmp_path.iterdir()} == {"images", "scenes.h5"}


def test_plans_are_checked(tmp_path: Path) -> None:
    options = {"title": "t", "annotations": tmp_path, "images": tmp_path, "backbone": "mini"}
    with pytest.raises(WsolbenchError, match=r"K: found 0\.2, 0\.1, expected rising numbers"):
        Plan(train="a", val="b", test="c", shares=(0.2, 0.1), **options)  # type: ignore[arg-type]
    for shares in ((0.2, 60), (0.5, 1.5)):
        with pytest.raises(WsolbenchError, match="expected either counts or fractions"):
            Plan(train="a", val="b", test="c", shares=shares, **options)  # type: ignore[arg-type]
    with pytest.raises(WsolbenchError, match="expected other features than feat5 alone"):
        Plan(train="a", val="b", test="c", depths=(("feat5",),), **options)  # type: ignore[arg-type]
    with pytest.raises(WsolbenchError, match="expected three different splits"):
        Plan(train="a", val="a", test="c", **options)  # type: ignore[arg-type]
    with pytest.raises(WsolbenchError, match="settings of ACoL: found 'gamma'"):
        Plan(train="a", val="b", test="c", settings={"acol": {"gamma": 1}}, **options)  # type: ignore[arg-type]


# -- reports --------------------------------------------------------------------------------------


def test_the_report_has_every_table(study: Study, tmp_path: Path) -> None:
    titles = [title for title, *_ in study_tables(study)]
    assert titles[:3] == [
        "Methods without and with SEM, test",
        "Methods without and with SEM, val",
        "Gain of SEM on test",
    ]
    text = study_text(study)
    own = study.methods[0].own["val"]["ap"]
    assert f"{100 * own.mean:.1f} ± {100 * own.std:.1f}" in text  # type: ignore[operator]
    assert "trained on train, K and thresholds chosen on val (16 photos)" in text
    assert "**" not in study_text(study, "text")
    assert "One seed cannot agree" not in text
    alone = study_text(replace(study, seeds=(0,)))
    assert "one seed, which decides no difference" in alone
    assert "every claim is undecided: add seeds" in alone
    files = write_report(study, tmp_path)
    assert [file.name for file in files] == ["study.json", "study.md", "seed-counts.png"]
    content = json.loads(study_json(study))
    assert content["format"] == "wsolbench-study"
    assert content["methods"][0]["own"]["val"]["ap"]["values"] == list(own.values)
    assert json.loads((tmp_path / "study.json").read_text()) == content


# -- the command line -----------------------------------------------------------------------------


def test_the_command_adds_a_method_and_prints_the_tables(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own, ignore=shutil.ignore_patterns("seed-1"))
    options = "--train-scenes 32 --scenes 16 --epochs 1 --sem-seeds 0.02,0.2 --depths feat3"
    arguments = ["study", "mini", "--out", str(own), "--methods", "cam,acol", *options.split()]
    done = CliRunner().invoke(cli, [*arguments, "--workers", "0", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert "CAM, seed 0: done before" in done.stderr
    assert "ACoL, seed 0: trained" in done.stderr
    assert "ACoL + SEM" in done.stdout
    assert "no higher AP than CAM's" in done.stdout
    shown = CliRunner().invoke(cli, ["study", "report", str(own), "--json"])
    assert [one["name"] for one in json.loads(shown.stdout)["methods"]] == ["cam", "acol"]

    out = tmp_path / "k.png"
    asked = ["study", "report", str(own), "--quiet", "--plot", str(out), "--width", "column"]
    drawn = CliRunner().invoke(cli, [*asked, "--style", "paper"])
    assert drawn.exit_code == 0, drawn.output
    with Image.open(out) as opened:
        assert opened.width == 300 * FIGURE_WIDTHS["column"]
    refused = CliRunner().invoke(cli, ["study", "report", str(own), "--style", "paper"])
    assert "--style needs --plot." in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("mini --methods cam,grad", "'grad' is not one of cam, has, acol, cutmix, spg, adl"),
        ("mini --sem-seeds x", "'x' is not a list of counts"),
        ("mini --set has.patch=1", "'patch' is not a setting of has, which has: patch_sizes, hide"),
        ("mini --set acol.delta=x", "'x' is not a value of acol.delta, e.g. 0.6"),
        ("mini --set delta=1", "'delta=1' is not a setting such as acol.delta=0.7"),
        ("photos --annotations a --images b --backbone mini", "name either --train SPLIT or"),
        (
            "photos --annotations a --images b --backbone mini --train t --weights-key k",
            "need --trunk-weights",
        ),
    ],
)
def test_usage_errors(tmp_path: Path, arguments: str, message: str) -> None:
    done = CliRunner().invoke(cli, ["study", *arguments.split(), "--out", str(tmp_path / "o")])
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "o").exists()


def test_a_setting_out_of_range_is_refused_before_scenes_are_drawn(tmp_path: Path) -> None:
    arguments = ["study", "mini", "--set", "acol.delta=2", "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(cli, arguments)
    assert str(done.exception).startswith("delta: found 2.0, expected a number from 0 to 1")
    assert not (tmp_path / "o").exists()


def test_other_numbers_of_scenes_are_refused(folder: Path) -> None:
    with pytest.raises(
        WsolbenchError, match=r"found 32 scenes in train, 16 .*expected 64 to train"
    ):
        mini_plan(folder, train=64, scenes=16)


def test_photos_are_turned_in_val_and_test_too(folder: Path) -> None:
    plan = plan_in(folder)
    assert {plan.dataset(part).exif for part in ("val", "test")} == {"ignore"}
    turned = replace(plan, exif="apply")
    assert {turned.dataset(part).exif for part in ("val", "test")} == {"apply"}
    assert turned.described()["exif"] == "apply"


def test_photos_of_val_in_the_training_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    classes = tmp_path / "classes"
    for name in ("a", "b"):
        (classes / name).mkdir(parents=True)
        shutil.copy(next((folder / "images").glob("*train*.png")), classes / name)
    shutil.copy(next((folder / "images").glob("*_val_*.png")), classes / "a")
    plan = Plan(
        title="t",
        annotations=folder / "scenes.h5",
        images=folder / "images",
        train=classes,
        val="val",
        test="test",
        backbone="mini",
    )
    with pytest.raises(WsolbenchError, match=r"found 1 photos of val and test by their names"):
        run_study(plan, tmp_path / "out", methods=("cam",), device="cpu")
    assert not (tmp_path / "out").exists()
