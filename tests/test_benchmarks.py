"""Every benchmark runs, at a tiny size; how fast it is, no test asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wsolbench import masks

ROOT = Path(__file__).resolve().parents[1]

TINY = {
    "bootstrap": "--images 50 --resamples 20 --plain 3 --rounds 1",
    "boundary": "--images 1 --rounds 1",
    "competition": "--images 4 --built",
    "dataloader": "--count 20 --rounds 1",
    "explain": "--images 2 --rounds 1 --split 50",
    "faults": "--moments 1 --interrupts 1 --only evaluate",
    "fuzz": "--cases 4 --workers 1 --only submission,coco",
    "guided": "--seconds 1 --only arrays",
    "jobs": "--images 140 --rounds 1",
    "kernels": "--images 1 --rounds 1",
    "limits": "--images 20 --rounds 1 --worst 1",
    "many": "--submissions 2 --images 4 --rounds 1",
    "peers": "--images 1 --rounds 1 --kinds smooth --counts",
    "protocols": "--images 2 --rounds 1",
    "scaling": "--images 20 40",
    "schedulers": "--images 30 --rounds 1 --shards 2 --after 0.01",
    "shards": "--images 640 --rounds 1",
    "sem": "--batch 2 --side 8 --channels 16 --seeds 4 --rounds 1",
    "soak": "--minutes 0.02",
    "startup": "--images 10 --rounds 1 --compiled 0 --built",
    "store": "--images 50",
    "submission": "--maps 100 --rounds 1",
    "training": "--quick",
    "writer_memory": "--counts 100",
}
NEEDS = {
    "boundary": "cv2",
    "dataloader": "torch",
    "explain": "cv2",
    "guided": "atheris",
    "schedulers": "distributed",
    "sem": "torch",
    "training": "torch",
    "kernels": "cv2",
    "many": "cv2",
    "peers": "cv2",
    "protocols": "cv2",
    "scaling": "cv2",
    "soak": "jinja2",
}


def run(name: str, *options: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_it_runs(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    assert run(name, *TINY[name].split()).strip()


def test_every_benchmark_is_run_but_the_browser_and_the_checkouts() -> None:
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert scripts - set(TINY) == {"checkouts", "common", "page", "peer_ways"}


@pytest.mark.slow
def test_scaling_draws_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    sizes, picture = tmp_path / "sizes.txt", tmp_path / "scaling.png"
    sizes.write_text("a.JPEG,30,20\nb.JPEG,20,30\n")
    printed = run("scaling", "--images", "3", "--sizes", str(sizes), "--plot", str(picture))
    assert "sizes.txt" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_peers_writes_its_part_of_the_page_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    from benchmarks import peers

    def timed(name: str, ours: str, ms: float | None) -> peers.Timed:
        cells = None if ms is None else {"smooth": (ms, 2 * ms)}
        return peers.Timed(name, "IoU", ours, "IoU", ("equal", "1e-06"), cells)

    ways = [timed(peers.PIXELS, "", 0.25), timed(peers.BOXES, "", 0.5)]
    ways += [timed("a peer", peers.PIXELS, 3), timed("another", peers.PIXELS, None)]
    floor = timed("copy", "", 0.125)._replace(answers="", compared="")
    runs = [peers.Grown(10, 1, 100, 50), peers.Grown(20, 2, 200, 50)]
    growth = dict.fromkeys(("a peer", *map(str, range(8))), runs)
    text = peers.tables(ways, [floor], growth)
    assert "| a peer | IoU | 3.00 | 12.0 |" in text
    assert "| another | IoU | not installed |  |" in text
    assert "| another | IoU | not installed | not installed |" in text
    assert "| copy | 0.125 | 2.00 | 4.00 |" in text
    assert "| a peer | 50 MB | 1.00 s, 100 MB | 2.00 s, 200 MB |" in text

    page = tmp_path / "performance.md"
    page.write_text(f"before\n{peers.ENDS[0]}\nold\n{peers.ENDS[1]}\nafter\n")
    (tmp_path / "pictures").mkdir()
    for _ in range(2):
        peers.write(tmp_path, text, ways, [floor], growth)
        inside = f"{peers.ENDS[0]}\n\n{text}\n\n{peers.ENDS[1]}"
        assert page.read_text() == f"before\n{inside}\nafter\n"
    assert (tmp_path / "pictures" / "peers.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="in the page"):
        peers.put("a page without comments", text)


def test_peers_measures_ours_over_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    from benchmarks import common, peers

    monkeypatch.setattr(peers, "trust_files", lambda: None)
    files = common.draw(tmp_path, [(30, 40)] * 3)
    monkeypatch.setattr(peers, "elsewhere", lambda act, *given: act(*given))
    monkeypatch.setattr(peers, "draw", lambda *_: files)
    monkeypatch.setattr(peers, "FEEDS", {})
    monkeypatch.setattr(peers, "MOST_MEGABYTES", 1 << 30)  # other tests have filled this process
    growth = peers.grow_all([3, 3])
    assert [run.images for runs in growth.values() for run in runs] == [3] * 4
    monkeypatch.setattr(peers, "MOST_MEGABYTES", 0)
    assert [len(runs) for runs in peers.grow_all([3, 3]).values()] == [1, 1]


def test_peers_tells_where_ways_disagree() -> None:
    pytest.importorskip("cv2")
    from benchmarks import peer_ways

    box = np.array([[0, 0, 2, 2], [0, 0, 0, 0]])
    ours = peer_ways.Scored(np.zeros((1, 2)), np.zeros(1), 0.0, box[None].astype(np.int32))
    none = np.empty((0, 4))
    share = peer_ways.box_share
    assert share([[np.array([[1, 1, 3, 3], [0, 0, 2, 2]]), none]], ours) == 0
    assert share([[np.array([1, 1, 3, 3]), none]], ours) == 0.5
    assert share([[none, np.array([0, 0, 1, 1])]], ours) == 1

    picture = peer_ways.Picture("", masks.encode(np.ones((375, 500), bool)), np.zeros((2, 2)))
    way = peer_ways.Way("a way", "", lambda: len, compared="AP", within=1e-3)
    near, far = (lambda _: np.full(1, 1e-4)), (lambda _: np.full(1, 0.1))
    assert peer_ways.agreement(way, near, lambda _: ours, [picture]) == ("0.0001", "0.0001")
    with pytest.raises(SystemExit, match=r"a way: AP differs by 0\.1"):
        peer_ways.agreement(way, far, lambda _: ours, [picture])
