"""Every score has one section on the page of its family, and its facts are those of its record."""

from __future__ import annotations

import re

import pytest

from docs.make_score_pages import with_facts
from tests.docs.pages import DOCS
from wsolbench.scores import SCORES

FAMILIES = list(dict.fromkeys(score.family for score in SCORES.values()))
PAGES = {
    family: (DOCS / "scores" / f"{family}.md").read_text(encoding="utf-8") for family in FAMILIES
}


def test_there_is_a_page_a_family() -> None:
    assert sorted(path.stem for path in (DOCS / "scores").glob("*.md")) == sorted(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_score_of_a_family_has_a_section(family: str) -> None:
    page = PAGES[family]
    keys = [key for key, score in SCORES.items() if score.family == family]
    assert sorted(re.findall(r"^## `(\w+)`$", page, re.MULTILINE)) == sorted(keys)
    assert f"](../pictures/score-{family}.png)" in page
    common, *sections = re.split(r"^## (?=`)", page, flags=re.MULTILINE)
    assert "- **Ties" in common
    assert "**Chance" in common or family == "explain"
    for section in sections:
        key = section.partition("\n")[0].strip("`")
        if key in keys:
            needed = ["Formula", "Traps"] + ["Source"] * (not SCORES[key].is_chance)
            needed += ["Ties"] * (family == "explain" and not SCORES[key].is_chance)
            assert [word for word in needed if f"- **{word}.** " not in section] == [], key


@pytest.mark.parametrize("family", FAMILIES)
def test_the_facts_are_those_of_the_records(family: str) -> None:
    """`python docs/make_score_pages.py` writes them."""
    assert with_facts(PAGES[family]) == PAGES[family]


def test_every_key_of_a_result_leads_to_its_section() -> None:
    text = (DOCS / "scores.md").read_text(encoding="utf-8")
    for key, score in SCORES.items():
        assert f"[`{key}`](scores/{score.family}.md#{key})" in text, key
