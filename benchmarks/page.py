"""How fast the leaderboard's page opens and follows the slider, with 200 measured entries.

    python -m benchmarks.page

It needs playwright and a Chromium. Times are the browser's own: to the end of loading, and of one
move of the slider (six curves in three charts, 200 rows).
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from wsolbench.leaderboard.entries import Entry
from wsolbench.leaderboard.page.render import page
from wsolbench.leaderboard.tables import tables

ENTRIES = 200
ROUNDS = 7


def made_up(number: int) -> Entry:
    """A measured entry with smooth curves."""
    rng = np.random.default_rng(number)
    levels = np.linspace(0, 1, 256)
    iou = 0.3 + 0.3 * np.exp(-((levels - rng.random()) ** 2) / 0.1)
    curves = {"iou": iou, "precision": levels, "recall": levels[::-1], "gt_known_loc": iou / 2}
    return Entry(
        state="measured",
        method=f"Method {number:03}",
        authors="A. Author",
        backbone=f"Net{number % 4}",
        supervision="image label",
        dataset="made-up",
        split="val",
        threshold={"rule": "max"},
        scores={"peak_iou": float(iou.max()), "peak_threshold": int(iou.argmax())},
        date="2026",
        provenance={
            "protocol": {"name": "sem", "version": 1, "sha256": "0" * 64},
            "annotations_sha256": "0" * 64,
        },
        curves={key: curve.tolist() for key, curve in curves.items()},
    )


def main() -> None:
    """Print the medians."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no chromium here")
    text = page(tables([made_up(number) for number in range(ENTRIES)]), {})
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "index.html")
        path.write_text(text)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened, moved = [], []
        for _ in range(ROUNDS):
            tab = browser.new_page()
            tab.goto(f"{path.as_uri()}#tab=made-up")
            opened.append(tab.evaluate("performance.getEntriesByType('navigation')[0].duration"))
            for _ in range(6 - tab.locator("input.draw:checked:visible").count()):
                tab.locator("input.draw:not(:checked)").first.click()
            moved += tab.evaluate(
                """async () => {
                    const slider = document.getElementById("threshold");
                    const times = [];
                    for (let level = 0; level < 250; level += 25) {
                        const start = performance.now();
                        slider.value = level;
                        slider.dispatchEvent(new Event("input"));
                        await new Promise((r) => requestAnimationFrame(() => setTimeout(r)));
                        times.push(performance.now() - start);
                    }
                    return times;
                }"""
            )
            tab.close()
        print(f"{browser.version}, {ENTRIES} entries, {len(text) / 1e6:.1f} MB")
        print(f"opened in {statistics.median(opened):.0f} ms (slowest {max(opened):.0f})")
        print(f"slider moved in {statistics.median(moved):.0f} ms (slowest {max(moved):.0f})")
        browser.close()


if __name__ == "__main__":
    main()
