"""The leaderboard's page: one file, nothing in it that an entry could make run."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.leaderboard.test_leaderboard import ROOT, entry
from wsolbench.errors import WsolbenchError
from wsolbench.leaderboard import Entry, read_entries, read_entry
from wsolbench.leaderboard.entries import entry_path
from wsolbench.leaderboard.gallery import read_gallery
from wsolbench.leaderboard.page.render import bibtex, page
from wsolbench.leaderboard.tables import tables
from wsolbench.metrics import pixel
from wsolbench.metrics.boxes import largest_boxes
from wsolbench.metrics.levels import level_map

HOSTILE = (
    "<script>document.title='stolen'</script>",
    '" onload="document.title=1',
    "'\"><img src=x onerror=document.title=1>",
    "=HYPERLINK(1)",
    "\u202egnp.exe",
    "{{ 7 * 7 }} </textarea></title>",
    "x" * 80,
)


class _Page(HTMLParser):
    """Every element with its attributes, and the text but for scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.code: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.text += data
        else:
            self.code.append(data)


def measured(name: str, seed: int, **more: object) -> Entry:
    """An entry with smooth curves, as `read_entry` would give it."""
    rng = np.random.default_rng(seed)
    levels = np.linspace(0, 1, 256)
    iou = 0.3 + 0.3 * np.exp(-((levels - rng.random()) ** 2) / 0.1)
    curves = {
        "iou": iou.tolist(),
        "precision": levels.tolist(),
        "recall": levels[::-1].tolist(),
        "gt_known_loc": (iou / 2).tolist(),
    }
    protocol = {"name": "sem", "version": 1, "sha256": "0" * 64}
    given = {
        "state": "measured",
        "images": 10,
        "label": "gt",
        "licence": "CC0",
        "scores": {"peak_iou": float(iou.max()), "peak_threshold": int(iou.argmax())},
        "curves": curves,
        "provenance": {"protocol": protocol, "annotations_sha256": "0" * 64},
        **more,
    }
    return replace(entry("CAM"), method=name, **given)


def test_what_entries_say_stays_text() -> None:
    entries = [measured(name, place) for place, name in enumerate(HOSTILE)]
    entries += [
        measured("plain", 9, backbone=HOSTILE[0], code="https://example.org/?a=%22%3E"),
        entry(dataset="set", footnotes={"peak_iou": [1]}),
    ]
    text = page(tables(entries), {1: HOSTILE[2] + "y" * 10_000})
    parsed = _Page(text)
    scripts = [attributes for tag, attributes in parsed.elements if tag == "script"]
    assert len(scripts) == 4
    assert not [tag for tag, _ in parsed.elements if tag in ("img", "iframe", "object", "embed")]
    assert not [a for _, a in parsed.elements if any(key.startswith("on") for key in a)]
    assert not [a for _, a in parsed.elements if "style" in a]
    for name in HOSTILE:
        assert name in parsed.text
    assert text.count("</script>") == 4
    assert "\u202e" not in re.sub(
        r"<bdi>.*?</bdi>", "", re.sub(r'="[^"]*"', "", text.split("<script")[0])
    )


def test_the_slider_starts_at_the_stated_threshold_not_at_that_of_rounded_curves() -> None:
    """88 is the best by less than the page's digits: rounded, 87 would be the first of equals."""
    iou = np.linspace(0.2, 0.3, 256)
    iou[87], iou[88] = 0.61230, 0.61233
    curves = {**measured("A", 1).curves, "iou": iou.tolist()}
    scores = {"peak_iou": 0.61233, "peak_threshold": 88}
    boxes = {"gt_known_loc": curves["gt_known_loc"]}
    rows = [
        measured("A", 1, curves=curves, scores=scores),
        measured("B", 2, curves=boxes, scores={"gt_known_loc": 0.3, "box_threshold": 9}),
        replace(entry("Reported"), scores={"peak_iou": 0.5, "peak_threshold": 12}),
    ]
    text = page(tables(rows), {})
    data = json.loads(next(part for part in _Page(text).code if part.startswith("{")))
    rounded = data["curves"]["drawn/a-vgg16-val"]["iou"]
    assert rounded.index(max(rounded)) == 87
    assert data["peaks"] == {"drawn/a-vgg16-val": 88}


def test_every_row_with_a_curve_starts_at_its_stated_threshold() -> None:
    data = json.loads(
        next(part for part in _Page((ROOT / "index.html").read_text()).code if part[:1] == "{")
    )
    entries = {
        f"{path.parent.name}/{path.stem}": read_entry(path)
        for path in ROOT.glob("entries/*/*.json")
    }
    pixels = {name for name, curves in data["curves"].items() if "iou" in curves}
    assert data["peaks"] == {name: entries[name].scores["peak_threshold"] for name in pixels}


def test_the_policy_allows_what_the_page_holds_and_no_more() -> None:
    text = page(tables([measured("CAM", 1)]), {})
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1])
    code = [part for part in _Page(text).code if not part.startswith("{")]
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in code]
    allowed = re.findall("'sha256-([^']+)'", policy)
    assert sorted(allowed) == sorted(hashes)
    assert len(hashes) == 4
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


def test_the_page_loads_nothing_and_its_links_lead_somewhere() -> None:
    parsed = _Page((ROOT / "index.html").read_text())
    for tag, attributes in parsed.elements:
        icon = tag == "link" and attributes["rel"] == "icon"
        assert tag != "link" or icon
        assert "src" not in attributes
        href = attributes.get("href")
        assert not icon or str(href).startswith("data:image/svg+xml,")
        if href and not icon and not href.startswith(("#", "https://")):
            assert (ROOT / href).is_file()


def test_every_anchor_of_a_note_is_there() -> None:
    parsed = _Page((ROOT / "index.html").read_text())
    ids = {attributes["id"] for _, attributes in parsed.elements if "id" in attributes}
    anchors = {
        attributes["href"][1:]
        for tag, attributes in parsed.elements
        if tag == "a" and attributes["href"].startswith("#")
    }
    assert any("note" in anchor for anchor in anchors)
    assert anchors <= ids


def test_the_page_says_what_the_tables_say() -> None:
    entries = read_entries(ROOT)
    text = (ROOT / "index.html").read_text()
    rows = dict(re.findall(r'<tr data-id="([^"]+)"[^>]*>(.*?)</tr>', text, flags=re.DOTALL))
    assert len(rows) == len(entries)
    for table in tables(entries):
        keys = table.shown_keys
        for key in keys:
            for item, cell in zip(table.entries, table.column(key), strict=True):
                path = entry_path(item)
                row = rows[f"{path.parent.name}/{path.stem}"]
                cells = re.findall(r'data-value="([^"]*)">([^< ]+)', row)[-len(keys) :]
                assert cells[keys.index(key)] == (str(item.scores.get(key, "")), cell.shown)
    assert f"{len(entries)} entries" in text


def test_intervals_stand_under_the_score_or_are_said_to_lack() -> None:
    score = measured("CAM", 1).scores["peak_iou"]
    both = [measured("CAM", 1, intervals={"peak_iou": (score - 0.01, score)}), measured("SEM", 2)]
    text = page(tables(both), {})
    low = f"{100 * (score - 0.01):.2f}"
    assert f'<span class="interval">[{low}, {100 * score:.2f}]</span>' in text
    assert text.count('<span class="interval">no interval</span>') == 1
    assert "no entry here has an interval" in page(tables([measured("CAM", 1)]), {})


def test_bibtex_names_the_method_and_where_it_was_printed() -> None:
    link = "https://arxiv.org/abs/1512.04150"
    given = entry("CAM", authors="Zhou et al.", paper={"title": "Deep & {Features}", "link": link})
    assert bibtex(given) == (
        "@misc{arxiv1512.04150,\n"
        "  title = {{Deep \\& \\textbraceleft{}Features\\textbraceright{}}},\n"
        "  author = {Zhou and others},\n"
        "  year = {2015},\n"
        "  eprint = {1512.04150},\n"
        "  archiveprefix = {arXiv},\n"
        "  url = {https://arxiv.org/abs/1512.04150},\n"
        "}\n\n"
        "@misc{a-paper,\n  title = {{A paper}},\n}"
    )


def test_a_paper_is_cited_alike_by_every_entry_and_with_all_its_authors() -> None:
    cited: dict[str, set[str]] = {}
    for path in (ROOT / "entries").glob("*/*.json"):
        for block in bibtex(read_entry(path)).split("\n\n"):
            if block.startswith("@"):
                cited.setdefault(block.partition(",")[0], set()).add(block)
    assert len(cited) >= 7
    for blocks in cited.values():
        (block,) = blocks
        assert "author = " in block
        assert "and others" not in block


def test_copies_are_rows_of_the_table() -> None:
    text = page(tables([entry("[A_B", "50.5")]), {})
    data = json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )
    (copies,), (cited,) = data["copies"].values(), data["cited"].values()
    assert data["citations"][cited] == bibtex(entry("[A_B", "50.5"))
    head, row = copies["LaTeX"].splitlines()[-2:]
    assert head == "% Method & Backbone & Peak-IoU"
    assert row == "{[}A\\_B & VGG16 & 50.5 \\\\"
    assert r"| \[A\_B | VGG16 | 50.5 | drawn val; Reported in A paper; " in copies["Markdown"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"more": 1}, "unknown key 'more'"),
        ({"methods": ["CAM"]}, "2 maps"),
        ({"format_version": 2}, "none of 1"),
        ({"scenes": []}, "0 items"),
        ({"photo": "AAAA"}, "not a JPEG of the stated size"),
        ({"boxes": [[1, 0, 0, 1, 1]]}, "boxes at 1"),
        ({"values": "AAAA"}, "a map of 3 values"),
    ],
)
def test_a_gallery_that_is_not_strict_is_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    content = json.loads((ROOT / "gallery.json").read_text())
    scene = content["scenes"][0]
    for key, value in change.items():
        owner = {"photo": scene, "boxes": scene["maps"][0], "values": scene["maps"][0]}
        owner.get(key, content)[key] = value
    (tmp_path / "gallery.json").write_text(json.dumps(content))
    with pytest.raises(WsolbenchError, match=message):
        read_gallery(tmp_path / "gallery.json")


def test_a_gallery_holds_what_its_maps_score() -> None:
    gallery = read_gallery(ROOT / "gallery.json")
    for scene in gallery["scenes"][:3]:
        size = scene["height"], scene["width"]
        on_object = np.arange(len(scene["mask"])) % 2 == 1
        mask = np.repeat(on_object, scene["mask"]).reshape(size)
        for map_ in scene["maps"]:
            values = np.frombuffer(base64.b64decode(map_["values"]), np.uint8)
            levels = level_map(values.reshape(map_["height"], map_["width"]), *size)
            iou = pixel.iou(pixel.count_pixels(levels, mask))
            assert map_["iou"] == np.rint(10_000 * iou).tolist()
            starts = {row[0]: row[1:] for row in map_["boxes"]}
            held: list[int] = []
            for threshold, box in enumerate(largest_boxes(levels).tolist()):
                held = starts.get(threshold, held)
                assert box == held


def test_a_page_without_jinja2_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(
        WsolbenchError, match=r"jinja2 not installed.*pip install 'wsolbench\[page\]"
    ):
        page(tables([entry()]), {})
