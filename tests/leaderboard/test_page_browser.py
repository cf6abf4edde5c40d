"""The page in a real browser: it sorts, filters, follows the slider and can be used by anyone."""

from __future__ import annotations

import base64
import csv
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.leaderboard.test_leaderboard import ROOT, entry
from tests.leaderboard.test_page import HOSTILE, measured
from wsolbench.leaderboard.entries import read_entry
from wsolbench.leaderboard.gallery import read_gallery
from wsolbench.leaderboard.page.render import page as page_text
from wsolbench.leaderboard.tables import tables
from wsolbench.metrics.levels import level_map
from wsolbench.scores import SCORES, Better, Score, Unit

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe checks the page")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)"
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        # CI runs as root, where Chromium's sandbox cannot start; the pages are our own.
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    """Opens a file; at the end nothing may have been said on the console or asked of a network."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def go(path: Path, hash_: str = "", width: int = 1200, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri() + hash_)
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A page of 200 measured entries of two backbones."""
    entries = [
        measured(f"Method {n:03}", n, backbone=f"Net{n % 2}", variant=f"run {n}")
        for n in range(200)
    ]
    path = tmp_path / "many.html"
    path.write_text(page_text(tables([*entries, entry("Printed")]), {}))
    return path


def column(page: Page, table: str, name: str) -> list[str]:
    """The texts of a column, as they stand on the page."""
    script = """([table, name]) => {
        const heads = [...document.querySelectorAll(`${table} thead th`)];
        const at = heads.findIndex((head) => head.textContent.trim().startsWith(name));
        const rows = [...document.querySelectorAll(`${table} tbody tr`)];
        const text = (cell) => (cell.querySelector("bdi") ?? cell).textContent.trim();
        return rows.filter((row) => !row.hidden).map((row) => text(row.cells[at]));
    }"""
    return list(page.evaluate(script, [table, name]))


def table_of(page: Page, dataset: str, split: str) -> str:
    board = page.locator(f".board[data-dataset='{dataset}'][data-split='{split}'] table").first
    return f"#{board.get_attribute('id')}"


def test_columns_sort_both_ways_and_what_is_missing_is_last(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=ilsvrc&show=gt_known_loc")
    table = table_of(page, "ILSVRC", "val")
    head = page.locator(f"{table} thead th", has_text="GT-known")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    down = column(page, table, "GT-known")
    shown = [float(text.split()[0]) for text in down if text != "-"]
    assert shown == sorted(shown, reverse=True)
    assert down[len(shown) :] == ["-"] * (len(down) - len(shown))
    head.get_by_role("button").click()
    up = column(page, table, "GT-known")
    assert [float(text.split()[0]) for text in up if text != "-"] == sorted(shown)
    assert up[-1] == "-"


def test_the_first_click_puts_the_best_first(
    visit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower = Score("distance", "Distance", "outline", Unit.NUMBER, better=Better.LOWER, shown=True)
    monkeypatch.setitem(SCORES, lower.key, lower)
    rows = [
        measured(name, 1, scores={"peak_iou": peak, "distance": distance})
        for name, peak, distance in (("A", 0.5, 0.2), ("B", 0.4, 0.1), ("C", 0.3, 0.3))
    ]
    path = tmp_path / "page.html"
    path.write_text(page_text(tables(rows), {}))
    page = visit(path, "#tab=drawn")
    table = table_of(page, "drawn", "val")
    for title, direction, best in (("Distance", "ascending", "B"), ("Peak-IoU", "descending", "A")):
        head = page.locator(f"{table} thead th", has_text=title)
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == direction
        assert column(page, table, "Method")[0] == best


def test_filters_leave_what_fits_and_say_how_much(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=cub-200-2011")
    assert page.inner_text("#status") == "11 entries in 1 table"
    page.select_option("#backbone", "ResNet50")
    assert page.inner_text("#status") == "2 entries in 1 table. 5 more in other tabs."
    assert column(page, table_of(page, "CUB-200-2011", "test"), "Backbone") == ["ResNet50"] * 2
    page.fill("#find", "nothing like it")
    assert page.inner_text("#status") == "No entry matches. Reset the filters to see all entries."
    page.click("#reset")
    assert page.locator(".board:visible").count() == 1
    assert page.locator(".board[hidden]").count() == 0


def test_tabs_have_human_titles_and_each_shows_its_own_tables(visit: Any) -> None:
    page = visit(ROOT / "index.html")
    tabs = page.get_by_role("tab")
    titles = tabs.all_inner_texts()
    assert titles[:3] == ["Summary", "ImageNet", "ImageNet boxes"]
    assert titles[-2:] == ["Try it", "About"]
    seen = 0
    for place, title in enumerate(titles):
        tabs.nth(place).click()
        assert page.get_by_role("tabpanel").count() == 1
        assert page.get_by_role("tab", selected=True).all_inner_texts() == [title]
        seen += page.locator(".board:visible").count()
        assert page.locator("#filters").is_visible() == (title not in ("Summary", "About"))
    assert seen == page.locator(".board").count()
    page.go_back()
    assert page.get_by_role("tab", selected=True).all_inner_texts() == ["Try it"]
    page.get_by_role("tab", selected=True).focus()
    page.keyboard.press("Home")
    assert page.get_by_role("tab", selected=True).all_inner_texts() == ["Summary"]
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", selected=True).all_inner_texts() == ["ImageNet"]


def test_the_embedded_benchmark_has_a_tab_of_its_own(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    shown = page.locator(".board:visible").evaluate_all("all => all.map(b => b.dataset.dataset)")
    assert set(shown) == {"mini", "mini-study"}
    assert page.locator(".board[data-dataset^='mini']").count() == len(shown)
    assert "rank nothing" in page.inner_text("#panel-try")
    assert page.locator("#gallery").is_visible()


def test_five_columns_are_shown_at_first_and_nothing_is_cut_off(visit: Any) -> None:
    page = visit(ROOT / "index.html", width=1440)
    for tab in page.get_by_role("tab").all():
        tab.click()
        for board in page.locator(".board:visible").all():
            keys = board.locator("th[data-key]:visible").evaluate_all(
                "h => h.map(t => t.dataset.key)"
            )
            every = board.locator("th[data-key]").evaluate_all("h => h.map(t => t.dataset.key)")
            assert len(keys) == 5 or (keys == every[: len(keys)] and "threshold" not in keys)
            assert len(keys) <= 5
            assert {"method", "backbone"} < set(keys)
            scroll = board.locator(".scroll")
            assert scroll.evaluate("s => s.scrollWidth <= s.clientWidth")
            assert not board.locator(".sideways").is_visible()
            right = scroll.evaluate("s => s.getBoundingClientRect().right")
            assert right <= 1440


def shown(page: Page, table: str) -> list[str]:
    heads = page.locator(f"{table} th[data-key]:visible")
    return list(heads.evaluate_all("all => all.map(head => head.dataset.key)"))


def test_a_picker_offers_the_other_columns_and_a_link_keeps_them(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=ilsvrc", width=1440)
    table = table_of(page, "ILSVRC", "val")
    usual = ["rank", "method", "backbone", "peak_iou", "gt_known_loc"]
    assert shown(page, table) == usual
    page.click("#picker summary")
    page.get_by_role("checkbox", name="Peak-T").check()
    page.get_by_role("checkbox", name="Backbone").uncheck()
    assert shown(page, table) == ["rank", "method", "peak_iou", "peak_threshold", "gt_known_loc"]
    assert page.url.endswith("show=peak_threshold&hide=backbone")
    again = visit(ROOT / "index.html", page.url.partition("index.html")[2])
    assert shown(again, table) == shown(page, table)
    page.keyboard.press("Escape")
    assert not page.locator("#picker .choices").is_visible()
    page.click("#picker summary")
    page.get_by_role("button", name="Show all").click()
    assert page.locator(f"{table} th[data-key]:visible").count() == len(
        page.locator(f"{table} th[data-key]").all()
    )
    page.get_by_role("button", name="Show the usual ones").click()
    assert shown(page, table) == usual
    page.get_by_role("checkbox", name="AP").check()
    page.click("#reset")
    assert shown(page, table) == usual


def test_a_link_that_sorts_by_a_column_shows_it(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=ilsvrc")
    table = table_of(page, "ILSVRC", "val")
    linked = visit(ROOT / "index.html", f"#sort={table[1:]}.top1_loc.descending")
    assert "top1_loc" in shown(linked, table)
    assert linked.locator(f"{table} [aria-sort='descending']").is_visible()


def test_on_a_phone_the_front_shows_a_score_and_its_badge_at_once(visit: Any) -> None:
    page = visit(ROOT / "index.html", width=360)
    card = page.locator(".card").first
    for part in (card.locator(".state"), card.locator("tbody td.number").first):
        box = part.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert box["y"] + 24 <= 800


@pytest.mark.parametrize("tab", ["ilsvrc", "ilsvrc-boxes", "cub-200-2011", "boundaries", "try"])
def test_on_a_phone_score_and_badge_are_in_view_and_scrolling_is_plain(
    visit: Any, tab: str
) -> None:
    page = visit(ROOT / "index.html", f"#tab={tab}", width=360)
    sideways = 0
    for board in page.locator(".board:visible").all():
        row = board.locator("tbody tr").first
        score = row.locator("td.number[data-value*='.']:visible").first
        for part in (row.locator(".state").first, score, row.locator("bdi").first):
            box = part.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360
        scroll, frame = board.locator(".scroll"), board.locator(".frame")
        if scroll.evaluate("s => s.scrollWidth > s.clientWidth + 1"):
            sideways += 1
            assert board.locator(".sideways").is_visible()
            assert "right" in (frame.get_attribute("class") or "")
            shade = "f => getComputedStyle(f, '::after').backgroundImage"
            assert "gradient" in frame.evaluate(shade)
            scroll.evaluate("s => s.scrollTo({ left: 9999 })")
            sync_api.expect(frame).to_have_class("frame left")
            # The name stays while the scores pass by.
            assert row.locator("th.name").bounding_box()["x"] >= 0
            scroll.evaluate("s => s.scrollTo({ left: 0 })")
    assert sideways or tab != "ilsvrc"


def test_the_best_of_a_column_is_bold(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=ilsvrc")
    table = table_of(page, "ILSVRC", "val")
    weights = page.locator(table).evaluate(
        """table => { const at = table.querySelector("th[data-key='peak_iou']").cellIndex;
        const cells = [...table.tBodies[0].rows].map((row) => row.cells[at]);
        return cells.filter((cell) => cell.dataset.value).map(
          (cell) => [Number(cell.dataset.value), getComputedStyle(cell).fontWeight]); }"""
    )
    best = max(value for value, _ in weights)
    assert [weight for value, weight in weights if value == best] == ["700"]
    assert {weight for value, weight in weights if value != best} == {"400"}


def test_decimals_stand_below_each_other(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=ilsvrc&show=ap~top1_cls")
    ends = page.evaluate(
        """() => [...document.querySelectorAll(".board:not([hidden]) table")].flatMap((table) =>
          [...table.tHead.rows[0].cells].flatMap((head, at) => {
            if (head.hidden || !head.classList.contains("number") || !table.offsetParent) return [];
            const ends = [...table.tBodies[0].rows].map((row) => {
              const range = document.createRange();
              range.selectNodeContents(row.cells[at].firstChild);
              return [row.cells[at].firstChild.data, range.getBoundingClientRect().right];
            });
            return [ends.filter(([text]) => text.includes(".")).map(([, right]) => right)];
          }))"""
    )
    aligned = [column for column in ends if len(column) > 1]
    assert len(aligned) > 5
    for column in aligned:
        assert max(column) - min(column) < 1


def test_every_table_is_reached_by_its_anchor(visit: Any) -> None:
    page = visit(ROOT / "index.html")
    ids = page.locator(".board table").evaluate_all("all => all.map(table => table.id)")
    assert all(ids)
    for name in (ids[0], ids[-1]):
        linked = visit(ROOT / "index.html", f"#{name}")
        assert linked.locator(f"#{name}").is_visible()
        assert linked.locator(f"#{name}").evaluate("t => t.getBoundingClientRect().top") < 800
    page.click("#tab-ilsvrc")
    page.locator(".anchor:visible").last.click()
    assert f"#{page.locator('.board table:visible').last.get_attribute('id')}" in page.url


def test_links_from_before_there_were_tabs_open_the_tab_that_shows_them(visit: Any) -> None:
    def tab(view: str) -> str:
        opened = visit(ROOT / "index.html", view).get_by_role("tab", selected=True)
        return str(opened.inner_text())

    assert tab("#dataset=CUB-200-2011&split=test") == "CUB-200-2011"
    assert tab("#dataset=mini-study") == "Try it"
    assert tab("#find=sobd") == "Boundaries"
    assert tab("#draw=mini/cam-mini-test") == "Try it"
    assert tab("#about") == "About"
    assert tab("#gallery") == "Try it"
    page = visit(ROOT / "index.html", "#tab=ilsvrc")
    table = table_of(page, "ILSVRC", "test").removeprefix("#")
    assert tab(f"#sort={table}.ap.ascending") == "ImageNet"


def test_the_slider_moves_through_curves_tables_and_maps_alike(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    data = json.loads(page.evaluate("document.getElementById('data').textContent"))
    table = table_of(page, "mini", "val")
    sync_api.expect(page.locator(".scene")).to_have_count(8)
    for level in (0, 77, 255):
        page.locator("#threshold").fill(str(level))
        sync_api.expect(page.locator("#level")).to_have_text(str(level))
        ids = page.locator(f"{table} tbody tr").evaluate_all("rows => rows.map(r => r.dataset.id)")
        expected = [f"{data['curves'][name]['iou'][level] / 100:.2f}" for name in ids]
        assert column(page, table, "IoU at slider") == expected
        label = page.locator("#chart-iou svg").get_attribute("aria-label")
        assert f"At threshold {level}:" in label
        captions = page.locator(".scene figcaption").all_inner_texts()
        wanted = [
            f"{method}: IoU {map_['iou'][level] / 100:.2f} %"
            for scene in data["gallery"]["scenes"]
            for method, map_ in zip(data["gallery"]["methods"], scene["maps"], strict=True)
        ]
        assert captions == wanted
    page.locator("#threshold").dispatch_event("change")
    assert "t=255" in page.url


def test_the_slider_starts_where_the_table_says(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    first = page.locator("input.draw:checked").first.locator("xpath=ancestor::tr")
    stated = read_entry(ROOT / "entries" / f"{first.get_attribute('data-id')}.json")
    sync_api.expect(page.locator("#level")).to_have_text(str(stated.scores["peak_threshold"]))
    assert page.locator("#threshold").input_value() == str(stated.scores["peak_threshold"])


def test_the_maps_drawn_are_the_levels_that_were_scored(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    sync_api.expect(page.locator(".scene")).to_have_count(8)
    page.locator("#threshold").fill("150")
    sync_api.expect(page.locator("#level")).to_have_text("150")
    scene = read_gallery(ROOT / "gallery.json")["scenes"][0]
    map_ = scene["maps"][1]
    values = np.frombuffer(base64.b64decode(map_["values"]), np.uint8)
    size = (scene["height"], scene["width"])
    levels = level_map(values.reshape(map_["height"], map_["width"]), *size)
    # Pixels off the foreground are grey; a coloured one is foreground, a box or the mask's line.
    pixels = page.evaluate(
        """() => { const canvas = document.querySelectorAll('.scene canvas')[1];
        const { width, height } = canvas;
        return [...canvas.getContext('2d').getImageData(0, 0, width, height).data]; }"""
    )
    drawn = np.array(pixels, np.uint8).reshape(*size, 4)[..., :3].astype(int)
    coloured = np.ptp(drawn, axis=2) > 0
    boxed = np.zeros(size, bool)
    box = [row for row in map_["boxes"] if row[0] <= 150][-1][1:]
    for x0, y0, x1, y1 in [box, *scene["boxes"]]:
        inner = np.zeros(size, bool)
        inner[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = True
        around = np.zeros(size, bool)
        around[y0:y1, x0:x1] = True
        boxed |= around & ~inner
    dark = (levels < 150) & ~boxed
    assert dark.any()
    assert not coloured[dark].any()
    assert coloured[(levels >= 150) & ~boxed].mean() > 0.8


def test_a_link_brings_the_view_back(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    page.select_option("#split", "val")
    counted = page.inner_text("#status")
    page.locator("#threshold").fill("40")
    page.locator("#threshold").dispatch_event("change")
    page.wait_for_url("**t=40**")
    table = table_of(page, "mini", "val")
    page.locator(f"{table} input.draw").nth(1).check()
    page.locator(f"{table} thead th", has_text="AP").first.get_by_role("button").click()
    again = visit(ROOT / "index.html", page.url.partition("index.html")[2])
    assert again.inner_text("#status") == counted
    for what in ("#legend", "#level"):
        assert again.inner_text(what) == page.inner_text(what)
    assert column(again, table, "Method") == column(page, table, "Method")


@pytest.mark.parametrize(
    "view",
    [
        "#t=nan&draw=nobody&sort=table-99.1.up&dataset=none",
        "#t=&draw=constructor",
        "#draw=__proto__~toString&sort=data.rank.ascending",
        "#sort=threshold.0.ascending",
    ],
)
def test_a_link_that_names_nothing_opens_the_page(visit: Any, view: str) -> None:
    page = visit(ROOT / "index.html", view)
    assert page.inner_text("#tab-summary[aria-selected='true']") == "Summary"
    page.click("#tab-try")
    usual = visit(ROOT / "index.html", "#tab=try")
    for what in ("#level", "#legend", "#status"):
        assert page.inner_text(what) == usual.inner_text(what)
    assert page.inner_text("#status").endswith("tables")
    sync_api.expect(page.locator(".scene")).to_have_count(8)


def test_a_note_is_shown_and_the_view_stays(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#dataset=ILSVRC&t=40")
    page.locator(".notes a:visible").first.click()
    assert page.evaluate("document.activeElement.tagName") == "LI"
    assert page.url.endswith("#tab=ilsvrc&t=40")


def test_a_table_leads_to_network_free_baselines(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#dataset=ILSVRC&t=40")
    page.locator(".floor a:visible", has_text="ilsvrc-boxes, all").first.click()
    table = table_of(page, "ilsvrc-boxes", "all")
    assert f"#{page.evaluate('document.activeElement.id')}" == table
    assert page.locator(table).is_visible()
    assert page.url.endswith("#tab=ilsvrc-boxes&t=40")
    assert "Whole image" in column(page, table, "Method")


def test_the_first_picture_is_of_pixels_and_boxes_alone_have_their_curve(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    mini = page.locator(".board[data-dataset='mini'] input.draw:checked")
    assert page.locator("input.draw:checked").count() == mini.count() > 0
    page.click("#tab-ilsvrc-boxes")
    page.locator(f"{table_of(page, 'ilsvrc-boxes', 'val')} input.draw").first.check()
    assert page.locator("input.draw:checked:visible").count() == 1
    assert not mini.first.is_visible()
    label = page.locator("#chart-box svg").get_attribute("aria-label")
    assert label.count(", none: ") == 1
    assert [page.locator(f"#chart-{name}").is_visible() for name in ("iou", "pr", "box")] == [
        False,
        False,
        True,
    ]
    page.click("#tab-try")
    mini.or_(page.locator(".board[data-dataset='mini'] input.draw")).first.check()
    assert page.locator("#chart-iou svg").is_visible()


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_choice_curves_messages_and_slider_stay_in_sight(visit: Any, width: int) -> None:
    page = visit(ROOT / "index.html", "#tab=try", width=width)
    if width < 1200:
        assert not page.locator("#curves").is_visible()
        page.get_by_role("button", name="Curves (2)").click()
    for where in ("0", "document.body.scrollHeight"):
        page.evaluate(f"scrollTo(0, {where})")
        for what in ("#status", "#threshold", "#legend"):
            box = page.locator(what).bounding_box()
            assert box is not None
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 800
        assert page.locator("#chart-iou svg").is_visible()
    assert page.locator("#legend li").count() == 2
    page.locator("#legend button").first.click()
    assert page.locator("#legend li").count() == 1
    assert page.locator("input.draw:checked:visible").count() == 1
    page.click("#tab-ilsvrc")
    assert page.inner_text("#status") == "54 entries in 4 tables"
    assert not page.locator("#threshold").is_visible()


def test_reset_resets_all(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    table = table_of(page, "mini", "val")

    def state() -> list[object]:
        checked = page.locator("input.draw:checked:visible").count()
        texts = [page.inner_text(what) for what in ("#status", "#level", "#legend")]
        return [*texts, checked, shown(page, table), column(page, table, "Method"), page.url]

    before = state()
    page.locator(f"{table} input.draw").nth(3).check()
    page.locator(f"{table} thead th", has_text="AP").first.get_by_role("button").click()
    page.locator("#threshold").fill("40")
    page.locator("#threshold").dispatch_event("change")
    page.click("#picker summary")
    page.get_by_role("checkbox", name="Backbone").uncheck()
    page.select_option("#split", "val")
    page.fill("#find", "sem")
    changed = state()
    assert all(one != other for one, other in zip(before, changed, strict=True))
    page.click("#reset")
    assert state() == before


def test_find_ignores_case_and_accents(visit: Any, tmp_path: Path) -> None:
    entries = [measured("Éclair STRASSE", 1), measured("eclat", 2), measured("İnce", 3)]
    path = tmp_path / "names.html"
    path.write_text(page_text(tables(entries), {}))
    page = visit(path, "#tab=drawn")
    table = table_of(page, "drawn", "val")
    for words, found in (
        ("ÉCLAIR", ["Éclair STRASSE"]),
        ("ecla", ["eclat", "Éclair STRASSE"]),
        ("straße vgg16", ["Éclair STRASSE"]),
        ("INCE", ["İnce"]),
    ):
        page.fill("#find", words)
        assert sorted(column(page, table, "Method")) == found


def test_curves_differ_in_dash_and_symbol_not_in_colour_alone(visit: Any, many: Path) -> None:
    page = visit(many, "#tab=drawn")
    for _ in range(5):
        page.locator("input.draw:not(:checked)").first.click()
    samples = page.locator("#legend svg").evaluate_all(
        """all => all.map(svg => [svg.children[0].getAttribute("stroke-dasharray"),
          svg.children[1].getAttribute("d"), getComputedStyle(svg.children[1]).fill])"""
    )
    assert len(samples) == 6
    assert [len({sample[part] for sample in samples}) for part in range(3)] == [6, 6, 6]
    lines = page.locator("#chart-iou g[stroke-width='2'] path").evaluate_all(
        """all => all.map((line) => {
          const dashed = line.closest("[stroke-dasharray]");
          return dashed ? dashed.getAttribute("stroke-dasharray") : ""; })"""
    )
    assert lines == [sample[0] for sample in samples]


def test_precision_and_recall_are_the_steps_whose_area_is_ap(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try&draw=mini/cam-mini-test")
    path = page.locator("#chart-pr g[stroke-width='2'] path").get_attribute("d")
    corners = [tuple(map(float, own.split(","))) for own in re.findall(r"[-\d.]+,[-\d.]+", path)]
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in itertools.pairwise(corners))
    own = read_entry(ROOT / "entries" / "mini" / "cam-mini-test.json")
    base = float(page.locator("#chart-pr svg").get_attribute("height")) - 38
    one = (base - corners[0][1]) / own.curves["precision"][0]
    steps = itertools.pairwise(corners)
    area = sum((a[0] - b[0]) * (base - a[1]) for a, b in steps) / (corners[0][0] - corners[-1][0])
    assert area / one == pytest.approx(own.scores["ap"], abs=0.002)


def test_a_map_that_no_threshold_changes_is_one_point(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try&draw=mini/whole-image-none-val")
    path = page.locator("#chart-pr g[stroke-width='2'] path").get_attribute("d")
    assert len(set(re.findall(r"[-\d.]+,[-\d.]+", path))) == 1
    dots = page.locator("#chart-pr circle").evaluate_all(
        "all => all.map((dot) => `${dot.getAttribute('cx')},${dot.getAttribute('cy')}`)"
    )
    assert len(dots) > 1
    assert len(set(dots)) == 1


# What people without one kind of cone see, as linear RGB (Machado, Oliveira and Fernandes, 2009).
SIGHT = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_curves_differ_for_any_sight_and_from_the_ground(
    visit: Any, scheme: str
) -> None:
    page = visit(ROOT / "index.html", "#tab=try", scheme=scheme)
    texts = page.evaluate(
        """() => ["--curve-0", "--curve-1", "--curve-2", "--curve-3", "--curve-4", "--curve-5",
          "--raised"].map((name) => { const span = document.createElement("span");
          span.style.setProperty("color", `var(${name})`); document.body.append(span);
          return getComputedStyle(span).color; })"""
    )
    srgb = np.array([[int(part) for part in re.findall(r"\d+", text)] for text in texts]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    light = linear @ [0.2126, 0.7152, 0.0722]
    ground = light[-1]
    for own in light[:-1]:
        assert (max(own, ground) + 0.05) / (min(own, ground) + 0.05) >= 3  # WCAG 1.4.11
    for matrix in SIGHT.values():
        seen = np.clip(linear[:-1] @ np.array(matrix).T, 0, 1) ** (1 / 2.2)
        gaps = np.linalg.norm(seen[:, None] - seen[None], axis=2)
        assert gaps[~np.eye(6, dtype=bool)].min() > 0.2


def test_the_slider_follows_the_first_method_until_its_reader_moves_it(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    table = table_of(page, "mini", "val")
    row = page.locator(f"{table} tbody tr").nth(4)
    stated = read_entry(ROOT / "entries" / f"{row.get_attribute('data-id')}.json").scores
    row.locator("input.draw").check()
    sync_api.expect(page.locator("#level")).to_have_text(str(stated["peak_threshold"]))
    assert "t=" not in page.url
    page.locator("#threshold").fill("7")
    page.locator("#threshold").dispatch_event("change")
    page.locator(f"{table} tbody tr").nth(5).locator("input.draw").check()
    row.locator("input.draw").uncheck()
    assert page.inner_text("#level") == "7"
    page.click("#tab-ilsvrc-boxes")
    page.click("#reset")
    first = page.locator("input.draw:checked:visible").first.locator("xpath=ancestor::tr")
    boxes = read_entry(ROOT / "entries" / f"{first.get_attribute('data-id')}.json").scores
    assert page.inner_text("#level") == str(boxes["box_threshold"])


def test_sorting_another_table_and_reset_bring_the_order_back(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=ilsvrc&show=peak_threshold")
    first, second = (table_of(page, "ILSVRC", split) for split in ("val", "test"))
    before = column(page, first, "Peak-T")
    page.locator(f"{first} thead th", has_text="Peak-T").get_by_role("button").click()
    assert column(page, first, "Peak-T") != before
    page.locator(f"{second} thead th", has_text="Peak-T").get_by_role("button").click()
    assert column(page, first, "Peak-T") == before
    page.click("#reset")
    assert page.locator("th[aria-sort='descending']").count() == 0


def test_curves_of_two_tables_never_share_a_picture(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    val, test = (table_of(page, "mini", split) for split in ("val", "test"))
    page.locator(f"{test} input.draw").first.check()
    assert page.locator(f"{test} input.draw:checked").count() == 2
    page.locator(f"{val} input.draw").first.check()
    assert page.locator(f"{test} input.draw:checked").count() == 0
    assert "never compared" in page.inner_text("#status")
    assert page.locator("#legend svg").count() == 1


def test_a_row_is_copied_by_keyboard_alone(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("button.cite:visible").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#copies").is_visible()
    assert "\\\\" in page.input_value("#copy-LaTeX")
    assert page.input_value("#copy-BibTeX").startswith("@misc{")
    page.keyboard.press("Escape")
    assert not page.locator("#copies").is_visible()
    assert page.evaluate("document.activeElement.className") == "cite"
    page.locator("#threshold").focus()
    before = int(page.inner_text("#level"))
    page.keyboard.press("ArrowRight")
    sync_api.expect(page.locator("#level")).to_have_text(str(before + 1))


def test_dark_and_light_follow_the_system_or_the_choice(visit: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = visit(ROOT / "index.html")
    dark = visit(ROOT / "index.html", scheme="dark")
    assert light.evaluate(ground) == "rgb(255, 255, 255)"
    assert dark.evaluate(ground) == "rgb(20, 23, 28)"
    light.select_option("#theme", "dark")
    assert light.evaluate(ground) == dark.evaluate(ground)


def faults(page: Page) -> list[tuple[str, str]]:
    """What axe finds, the size of targets included, which it does not check by itself."""
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    found = axe.Axe().run(page, options=options).response["violations"]
    return [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found]


@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_and_nothing_overflows(visit: Any, width: int, scheme: str) -> None:
    page = visit(ROOT / "index.html", width=width, scheme=scheme)
    sync_api.expect(page.locator(".scene")).to_have_count(8)
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert faults(page) == [], tab.inner_text()


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_no_fault_in_what_opens(visit: Any, width: int) -> None:
    page = visit(ROOT / "index.html", "#tab=try", width=width)
    if width == 360:
        page.click("#curves-button")
        page.click("#filters-button")
    page.click("#picker summary")
    page.get_by_role("button", name="Show all").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert faults(page) == []
    page.keyboard.press("Escape")
    if width == 360:
        page.click("#curves-button")
    page.locator("button.cite:visible").first.click()
    assert faults(page) == []


def test_a_table_is_saved_as_it_is_shown(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=ilsvrc&find=sem&show=ap")
    table = table_of(page, "ILSVRC", "val")
    page.locator(f"{table} thead th", has_text="AP").first.get_by_role("button").click()
    board = page.locator(".board", has=page.locator(table))
    with page.expect_download() as saved:
        board.get_by_role("button", name="as CSV").click()
    assert saved.value.suggested_filename == f"{table.removeprefix('#table-')}.csv"
    rows = list(csv.DictReader(saved.value.path().read_text(encoding="utf-8").splitlines()))
    names = column(page, table, "Method")
    assert len(rows) == len(names) < len(page.locator(f"{table} tbody tr").all())
    for row, name in zip(rows, names, strict=True):
        parts = [row["method"], f"+ {row['post_processing']}" if row["post_processing"] else ""]
        assert name.startswith(" ".join(part for part in parts if part))
        assert row["state"] == "reported"
    scores = [float(row["ap"]) for row in rows if row["ap"]]
    assert scores == sorted(scores, reverse=True)
    assert "gt_known_loc" in rows[0]
    assert "saved as" in page.inner_text("#status")


def test_paper_has_tables_and_curves_and_no_controls(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=try", width=700, scheme="dark")
    page.select_option("#theme", "dark")
    page.evaluate("window.print = () => dispatchEvent(new Event('beforeprint'))")
    page.get_by_role("button", name="Print").click()
    page.emulate_media(media="print")
    ground = "getComputedStyle(document.documentElement).colorScheme"
    assert page.evaluate(ground) == "light"
    controls = (".filters", ".tabs", "#threshold", ".csv", ".cite", "#curves-button", "#status")
    for control in controls:
        assert not page.locator(control).first.is_visible(), control
    assert not page.locator("#filtered").is_visible()
    assert page.locator("#chart-iou svg").is_visible()
    assert page.locator("#legend li").count() == 2
    assert page.locator(".board:visible").count() == 5
    assert page.locator(".scroll:visible").first.evaluate("s => getComputedStyle(s).overflowX") == (
        "visible"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert len(page.pdf(format="A4")) > 10_000
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator("#curves").is_visible()


def test_paper_says_what_was_filtered_and_keeps_notes_apart_from_digits(visit: Any) -> None:
    page = visit(ROOT / "index.html", "#tab=ilsvrc&find=sem&split=val", width=900)
    counted = page.inner_text("#status").partition(".")[0]
    page.emulate_media(media="print")
    said = page.inner_text("#filtered")
    assert said.startswith(f"Filtered by split val, find sem: {counted}")
    gaps = page.locator(".board td.number > .notes a:visible").evaluate_all(
        """all => all.map((note) => {
          const range = document.createRange();
          range.selectNodeContents(note.closest("td").firstChild);
          const [digits, mark] = [range.getBoundingClientRect(), note.getBoundingClientRect()];
          return [mark.left - digits.right, mark.top - digits.top,
            parseFloat(getComputedStyle(note).fontSize) / digits.height]; })"""
    )
    assert gaps
    assert all(0 < aside < 12 and up < 3 and size < 0.7 for aside, up, size in gaps), gaps


def test_two_hundred_entries_work_alike(visit: Any, many: Path) -> None:
    page = visit(many, "#tab=drawn")
    assert page.inner_text("#status") == "201 entries in 2 tables"
    page.fill("#find", "Net1 17")
    expected = [f"Method {n:03}" for n in range(200) if "17" in f"{n:03}" and n % 2]
    shown = column(page, ".board table", "Method")
    assert sorted(name.split(" (")[0] for name in shown) == expected
    page.click("#reset")
    for _ in range(6 - page.locator("input.draw:checked").count()):
        page.locator("input.draw:not(:checked)").first.click()
    assert page.locator("input.draw:checked").count() == 6
    page.locator("input.draw:not(:checked)").first.click()
    assert page.locator("input.draw:checked").count() == 6
    told = "At most 6 methods can be drawn together: deselect one first."
    assert page.inner_text("#status") == told


def test_hostile_names_run_nothing(visit: Any, tmp_path: Path) -> None:
    entries = [measured(name, place) for place, name in enumerate(HOSTILE)]
    entries += [measured("plain", 9, backbone=name) for name in HOSTILE[:3]]
    path = tmp_path / "hostile.html"
    entries.append(entry("noted", footnotes={"peak_iou": [1]}))
    path.write_text(page_text(tables(entries), {1: "y" * 10_000}))
    page = visit(path, "#tab=drawn", width=360)
    page.locator("input.draw").first.check()
    page.locator("button.cite").first.click()
    assert page.title() == "wsolbench leaderboard"
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_tables_can_be_read_without_scripts(browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((ROOT / "index.html").as_uri())
    assert page.locator(".board:visible").count() == page.locator(".board").count()
    assert page.locator("tbody tr").count() > 80
    assert page.locator(".board :text('56.92')").first.is_visible()
    context.close()


def test_a_page_without_curves_has_no_slider(visit: Any, tmp_path: Path) -> None:
    path = tmp_path / "reported.html"
    path.write_text(page_text(tables([entry(), replace(entry("SEM"), code="https://a.org")]), {}))
    page = visit(path, "#tab=drawn")
    assert page.locator("#threshold").count() == 0
    assert page.inner_text("#status") == "2 entries in 1 table"
