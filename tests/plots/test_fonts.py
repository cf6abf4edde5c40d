"""Names in any script are drawn by another font, or as codes, and never as empty boxes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from wsolbench.plots import fonts, style, texts

ARABIC = "\u062e\u0631\u064a\u0637\u0629"
CHINESE = "\u70ed\u56fe"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if matplotlib's own fonts were the only ones installed."""
    from matplotlib.font_manager import fontManager

    own = [entry for entry in fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(fontManager, "ttflist", own)
    fonts.clear()
    yield
    monkeypatch.undo()
    fonts.clear()


def letters(family: str) -> set[int]:
    return set(FT2Font(findfont(FontProperties(family=family))).get_charmap())


def drawn(path: Path, text: str, place: str, look: str = "paper") -> Text:
    """One text of a figure that was written."""
    with style.picture(path, 1, 1, (3, 2), look) as axes:
        ax = axes[0, 0]
        if place == "title":
            ax.set_title(text)
        else:
            ax.set_xticks([0.5], [text])
    return ax.title if place == "title" else ax.get_xticklabels()[0]


@pytest.mark.parametrize("place", ["title", "tick"])
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_letters_that_the_style_lacks_come_from_another_font(
    bare: None, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str, suffix: str
) -> None:
    """The serif font has no Arabic; the other one that comes with matplotlib has."""
    assert not set(map(ord, ARABIC)) & letters("DejaVu Serif")
    with caplog.at_level(logging.WARNING):
        text = drawn(tmp_path / f"f.{suffix}", f"CAM {ARABIC}", place)
    assert text.get_text() == f"CAM {ARABIC}"
    assert text.get_fontfamily() == ["serif", "DejaVu Sans"]
    assert caplog.records == []


@pytest.mark.parametrize("place", ["title", "tick"])
@pytest.mark.parametrize("look", style.STYLES)
def test_letters_that_no_font_has_are_codes_and_one_line(
    bare: None, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str, look: str
) -> None:
    text = drawn(tmp_path / "f.png", f"{CHINESE} CAM \uff21", place, look)
    assert text.get_text() == "\\u70ed\\u56fe CAM A"  # a wide A is an A
    (record,) = caplog.records
    assert record.getMessage().startswith("plots: no installed font has U+70ED, U+56FE")
    assert "\n" not in record.getMessage()


def test_an_installed_font_is_found(bare: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several, the one that comes first by name; none that draws boxes."""
    found = {"Boxes Last Resort": {0x70ED}, "B": {0x70ED}, "A": {0x70ED, 0x56FE}}
    from matplotlib.font_manager import FontEntry, fontManager

    entries = [FontEntry(fname=name, name=name, weight=400, stretch="normal") for name in found]
    monkeypatch.setattr(fontManager, "ttflist", entries)
    monkeypatch.setattr("matplotlib.font_manager.findfont", lambda prop: prop.get_family()[0])
    monkeypatch.setattr(fonts, "_letters", lambda path: found.get(path, set(range(128))))
    assert fonts.fallbacks(f"x {CHINESE}") == ["A"]
    assert fonts.drawable(CHINESE) == CHINESE


def test_a_font_without_a_regular_weight_is_no_matter_for_a_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("matplotlib.font_manager")
    message = "findfont: Failed to find font weight normal for X, now using 100."
    with fonts.quiet_fonts():
        with fonts.quiet_fonts():
            log.warning(message)
        log.warning(message)
        log.warning("another message")
    assert [record.getMessage() for record in caplog.records] == ["another message"]
    log.warning(message)
    assert len(caplog.records) == 2


def test_texts_are_broken_and_cut_to_their_width(bare: None) -> None:
    assert texts.wrapped("a b", 5, 8) == ["a b"]
    lines = texts.wrapped("Self-Enhancement Maps of a long name", 0.8, 8)
    assert lines[:2] == ["Self-", "Enhancement"]
    assert " ".join(lines[2:]) == "Maps of a long name"
    assert all(texts.text_width(line, 8) <= 0.8 for line in lines)
    pieces = texts.wrapped(CHINESE * 10, 0.8, 8)
    assert "".join(pieces) == CHINESE * 10
    assert len(pieces) > 2
    (line,) = texts.wrapped("Self-Enhancement Maps", 0.6, 8, 1)
    assert line.startswith("Self")
    assert line.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert texts.cut("mini_val_00023", 0.4, 8, keep_end=True).endswith("0023")
