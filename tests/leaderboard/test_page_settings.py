"""The page's front: the best by backbone, what a leaderboard says of itself, and its anchors."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from tests.leaderboard.test_leaderboard import ROOT, entry
from tests.leaderboard.test_page import _Page, measured
from wsolbench import __version__, leaderboard
from wsolbench.errors import WsolbenchError
from wsolbench.leaderboard import read_entries
from wsolbench.leaderboard.page.panels import human_title, newest, panels, summaries
from wsolbench.leaderboard.page.render import page
from wsolbench.leaderboard.page.settings import Settings, read_settings
from wsolbench.leaderboard.readme import readme, table_csv
from wsolbench.leaderboard.tables import EMBEDDED, tables


def test_the_best_of_each_backbone_stands_with_its_interval() -> None:
    def scored(name: str, backbone: str, peak: float, **more: object) -> object:
        scores = {"peak_iou": peak, "peak_threshold": 9}
        return measured(name, 1, backbone=backbone, scores=scores, **more)

    best = scored("B", "ResNet50", 0.6, intervals={"peak_iou": (0.58, 0.61)})
    rows = [
        scored("A", "ResNet50", 0.5),
        best,
        scored("C", "VGG16", 0.7),
        scored("D", "VGG16", 0.7),
        scored("E", "none", 0.4),
    ]
    (block,) = summaries(panels(tables(rows), {}), {})
    found = [
        (row.backbone, [e.method for e in row.entries], row.cell.shown, row.cell.interval)
        for row in block.rows
    ]
    assert found == [
        ("ResNet50", ["B"], "60.00", "[58.00, 61.00]"),
        ("VGG16", ["C", "D"], "70.00", ""),
        ("no network", ["E"], "40.00", ""),
    ]


def test_the_summary_does_not_name_one_winner_among_overlapping_intervals() -> None:
    rows = [
        measured(name, 1, scores={"peak_iou": score}, intervals={"peak_iou": interval}, **more)
        for name, score, interval, more in (
            ("A", 0.60, (0.58, 0.62), {}),
            ("B", 0.59, (0.57, 0.61), {}),
            ("C", 0.57, (0.56, 0.575), {}),
            ("D", 0.59, (0.57, 0.61), {"backbone": "none"}),
        )
    ]
    (block,) = summaries(panels(tables(rows), {}), {})
    near = [[e.method for e in row.near] for row in block.rows]
    assert near == [["B"], []]
    text = _Page(page(tables(rows), {})).text
    assert "A~intervals overlap: B" in text
    assert text.count("intervals overlap:") == 1


def test_reported_and_measured_and_protocols_have_blocks_of_their_own() -> None:
    other = {"name": "adl", "version": 3, "sha256": "1" * 64}
    rows = [
        measured("A", 1),
        measured("B", 2, provenance={"protocol": other, "annotations_sha256": "0" * 64}),
        entry("C"),
        entry("D", provenance={**entry().provenance, "paper": {"title": "Another paper"}}),
    ]
    blocks = summaries(panels(tables(rows), {}), {})
    assert [[e.method for row in block.rows for e in row.entries] for block in blocks] == [
        ["B"],
        ["A"],
        ["C"],
        ["D"],
    ]


def test_tables_without_a_network_come_last() -> None:
    blind = [measured(name, 1, dataset="a", backbone="none") for name in ("Box", "Noise")]
    rows = [
        *blind,
        measured("CAM", 1, dataset="b"),
        measured("Box", 2, dataset="b", backbone="none"),
    ]
    blocks = summaries(panels(tables(rows), {}), {})
    assert [block.table.dataset for block in blocks] == ["b", "a"]


def test_the_summary_names_what_leads_the_tables_and_nothing_embedded() -> None:
    shown = tables(read_entries(ROOT))
    blocks = summaries(panels(shown, {}), {})
    assert not {block.table.dataset for block in blocks} & set(EMBEDDED)
    for block in blocks:
        table, key = block.table, block.table.ranked_by
        for row in block.rows:
            (first, *_) = row.entries
            rivals = [e for e in table.entries if e.backbone == first.backbone and key in e.scores]
            assert first.scores[key] == max(e.scores[key] for e in rivals)
        held = {e.backbone for e in table.entries if key in e.scores}
        assert len(block.rows) == len(held)
    text = (ROOT / "index.html").read_text()
    front = text[text.index('id="panel-summary"') : text.index('id="filters"')]
    assert "Best by backbone, reported" in front
    assert "Best by backbone, measured" in front
    assert re.search(r'<th scope="row"><bdi>ResNet50</bdi></th><td><bdi>CAM \+ SEM</bdi>', front)


def test_a_leaderboard_of_the_embedded_benchmark_alone_has_no_best() -> None:
    text = page(tables([measured("CAM", 1, dataset="mini")]), {})
    assert 'class="card"' not in text
    assert "No such entry yet outside of the embedded benchmark." in text
    assert '<a id="tab-try" href="#panel-try" data-tab="try"><bdi>Try it</bdi></a>' in text


def test_the_front_states_date_version_and_counts() -> None:
    rows = [entry(), measured("A", 1, date="2026-11"), measured("B", 2, date="2026-11-05")]
    assert newest(tables(rows)) == "2026-11-05"
    assert newest([]) == ""
    text = page(tables([*rows, measured("C", 3, dataset="mini")]), {})
    assert '<time datetime="2026-11-05">2026-11-05</time>' in text
    assert f"wsolbench {__version__}</dd>" in text
    said = "4 entries: 1 reported, 3 measured (1 of these on the embedded benchmark)"
    assert f"<dd>{said}</dd>" in text


def test_tables_have_human_titles_and_anchors() -> None:
    shown = tables(read_entries(ROOT))
    titles = {human_title(table, {}) for table in shown}
    assert "ImageNet, validation: reported" in titles
    assert "ImageNet, validation: number of seeds, reported" in titles
    assert "ImageNet boxes, all validation images: measured" in titles
    assert "Embedded benchmark, test: measured" in titles
    assert "Boundaries, split not stated: reported" in titles
    assert "Ours, test: reported" in {human_title(t, {"CUB-200-2011": "Ours"}) for t in shown}
    parsed = _Page((ROOT / "index.html").read_text())
    ids = [attributes.get("id") for tag, attributes in parsed.elements if tag == "table"]
    assert None not in ids
    assert len(set(ids)) == len(ids) > len(shown)
    links = {attributes.get("href") for tag, attributes in parsed.elements if tag == "a"}
    boards = [name for name in ids if name and name.startswith("table-")]
    assert len(boards) == len(shown)
    assert {f"#{name}" for name in boards} <= links


def test_anchors_of_tables_do_not_depend_on_tabs_and_titles() -> None:
    """Pages elsewhere link to these; a change here breaks their links."""
    text = (ROOT / "index.html").read_text()
    for name in (
        *("table-ilsvrc-val-66c2e8", "table-ilsvrc-test-66c2e8", "table-cub-200-2011-test-66c2e8"),
        *("table-ilsvrc-val-66c2e8-note-4", "about", "add", "curves", "gallery", "tables"),
    ):
        assert f'id="{name}"' in text


def test_a_leaderboard_has_its_own_title_and_links(tmp_path: Path) -> None:
    (tmp_path / "entries").mkdir()
    entry("CAM").write(tmp_path)
    own = {
        "title": "Maps & more",
        "description": "What <we> measured.",
        "address": "https://example.org/maps/",
        "image": "front.png",
        "repository": "https://example.org/maps.git",
        "install": "pip install '.[page]'",
        "paper": {"title": "Our paper", "link": "https://example.org/paper"},
        "links": [{"name": "Blog", "link": "https://example.org/blog"}],
        "datasets": [{"name": "drawn", "title": "Drawings"}],
    }
    (tmp_path / "front.png").write_bytes(b"picture")
    (tmp_path / "page.json").write_text(json.dumps(own))
    leaderboard.build(tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert leaderboard.check(tmp_path) == []
    parsed = _Page(text)
    assert "<title>Maps &amp; more</title>" in text
    assert "What <we> measured." in parsed.text
    metas = {a.get("property"): a.get("content") for tag, a in parsed.elements if tag == "meta"}
    assert metas["og:title"] == "Maps & more"
    assert metas["og:url"] == "https://example.org/maps/"
    assert metas["og:image"] == "https://example.org/maps/front.png"
    links = {a.get("href") for tag, a in parsed.elements if tag == "a"}
    assert {own["repository"], "https://example.org/paper", "https://example.org/blog"} <= links
    assert "Drawings, validation: reported" in parsed.text
    assert "pip install '.[page]'" in parsed.text


def test_without_an_address_nothing_claims_to_have_one() -> None:
    text = page(tables([entry()]), {})
    assert "og:title" in text
    assert "og:image" not in text
    assert "og:url" not in text
    assert "<title>wsolbench leaderboard</title>" in text
    assert "<dt>Repository</dt>" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "not JSON"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"title": ""}, "page.title: empty"),
        ({"title": "two  blanks"}, "single blanks"),
        ({"repository": "javascript:alert(1)"}, "page.repository"),
        ({"address": "https://example.org/index.html"}, "page.address: it must end in /"),
        ({"image": "a.png"}, "page.image: no file a.png next to the page"),
        ({"image": "../a.png"}, "page.image"),
        ({"image": "page.json"}, "page.image"),
        ({"links": [{"name": "x"}]}, "no link"),
        ({"datasets": [{"name": "a", "title": "A"}, {"name": "a", "title": "B"}]}, "two titles"),
    ],
)
def test_settings_that_are_not_strict_are_refused(
    content: object, message: str, tmp_path: Path
) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "page.json").write_text(text)
    with pytest.raises(WsolbenchError, match=message) as raised:
        read_settings(tmp_path)
    assert raised.value.exit_status == 1


def test_an_image_needs_an_address(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    (tmp_path / "page.json").write_text('{"image": "a.png"}')
    with pytest.raises(WsolbenchError, match=r"it needs page\.address"):
        read_settings(tmp_path)
    assert read_settings(tmp_path / "nowhere") == Settings()


def test_what_settings_say_stays_text() -> None:
    hostile = "</title><script>document.title='stolen'</script>"
    own = replace(
        Settings(),
        title=hostile,
        description=hostile,
        install=hostile,
        paper={"title": hostile},
        links=[{"name": hostile, "link": "https://example.org/"}],
        datasets={"drawn": hostile},
    )
    text = page(tables([entry()]), {}, settings=own)
    assert text.count("</script>") == 4
    assert hostile not in text
    assert hostile in _Page(text).text


def test_a_column_has_one_number_of_decimals() -> None:
    for table in tables(read_entries(ROOT)):
        for key in table.keys:
            shown = [cell.shown for cell in table.column(key) if cell.shown != "-"]
            assert len({len(text.partition(".")[2]) for text in shown}) == 1
            gains = [cell.gain for cell in table.column(key) if cell.gain]
            assert {len(gain.partition(".")[2]) for gain in gains} <= {
                len(text.partition(".")[2]) for text in shown
            }


def test_the_best_are_marked_in_the_direction_of_their_score() -> None:
    def best(key: str, *values: float) -> list[bool]:
        rows = [measured(f"M{at}", at, scores={key: value}) for at, value in enumerate(values)]
        (table,) = tables(rows)
        marks = dict(zip((e.method for e in table.entries), table.column(key), strict=True))
        return [marks[f"M{at}"].best for at in range(len(values))]

    assert best("ap", 0.5, 0.7, 0.6) == [False, True, False]
    assert best("ap", 0.70001, 0.7, 0.6) == [True, True, False]  # they print alike
    assert best("kl_divergence", 0.5, 0.2, 0.6) == [False, True, False]
    assert best("peak_threshold", 5, 7, 6) == [False, False, False]
    assert best("ap", 0.5) == [False]


def test_the_page_has_an_icon_of_its_own() -> None:
    links = [a for tag, a in _Page(page(tables([entry()]), {})).elements if tag == "link"]
    assert [link["rel"] for link in links] == ["icon"]
    kind, _, drawn = str(links[0]["href"]).partition(",")
    assert kind == "data:image/svg+xml"
    assert ElementTree.fromstring(unquote(drawn)).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_embedded_benchmark_has_no_ranks_in_any_form() -> None:
    """Two entries of one table, the better one first, with and without ranks."""
    for dataset, ranks in (("mini", ("", "")), ("mini-study", ("", "")), ("mine", ("1", "2"))):
        rows = [
            measured(name, 1, dataset=dataset, scores={"peak_iou": score})
            for name, score in (("A", 0.4), ("B", 0.6))
        ]
        (table,) = tables(rows)
        assert [item.method for item in table.entries] == ["B", "A"]
        assert table.ranks == ranks
        assert table_csv(table)[0].startswith("rank,") == (dataset == "mine")
        assert ("| Rank |" in readme([table], {})) == (dataset == "mine")


def test_saved_tables_hold_every_shown_score_and_no_formula() -> None:
    for table in tables(read_entries(ROOT)):
        head, *rows = csv.reader(table_csv(table))
        assert ("rank" in head) == any(table.ranks)
        for row, item, rank in zip(rows, table.entries, table.ranks, strict=True):
            cells = dict(zip(head, row, strict=True))
            assert (cells.get("rank") or "-") == (rank or "-")
            for key in table.shown_keys:
                assert cells[key] == str(item.scores.get(key, ""))
                low, high = item.intervals.get(key, ("", ""))
                assert (cells.get(f"{key}_low", ""), cells.get(f"{key}_high", "")) == (
                    str(low),
                    str(high),
                )
    (table,) = tables([entry("=HYPERLINK(1)"), entry("SEM, wide")])
    _, *lines = table_csv(table)
    assert not any(cell.startswith("=") for row in csv.reader(lines) for cell in row[1:])
    assert len(lines) == 2
