"""Do two checkouts give the same numbers? Every score, curve, interval, group and comparison.

    python -m benchmarks.checkouts OLD NEW --work DIR [--animals FOLDER --weights NPZ]

Each checkout runs the same commands with this Python: the embedded benchmark, and, if they are at
hand, the real photos of docs/real-run.md. Both predict maps, whose bytes are compared, and score
them under every protocol that both have, with intervals, groups, carried and fixed thresholds. What
a protocol says of itself, hashes and versions may differ. OLD's outputs are kept in DIR and not
made twice.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

OTHER = {"protocol", "wsolbench", "sha256", "submission_sha256", "submissions", "path"}
"""Keys that may differ between two versions that score alike."""

Commands = list[list[str]]


def mini() -> Commands:
    """The embedded benchmark, from scenes to maps."""
    return [["demo", "--out", "demo"]]


def animals(folder: Path) -> Commands:
    """The real photos, from the table to maps."""
    table = ["--table", "table.csv", "--dataset", "animals", "--out", "animals.h5"]
    made = [["import", "masks", f"{folder}/masks", *table]]
    for method, more in (("cam", []), ("sem", ["--seeds", "0.1"])):
        options = ["--annotations", "animals.h5", "--images", f"{folder}/images", "--size", "320"]
        model = ["--model", "examples.squeezenet:model", "--out", f"{method}-val.h5"]
        made.append(["predict", method, *options, *model, *more])
    gauss = ["--annotations", "animals.h5", "--out", "gauss-val.h5"]
    return [*made, ["predict", "trivial:centre-gaussian", *gauss]]


def scored(
    annotations: str, maps: Sequence[str], test: Sequence[str], protocols: Sequence[str]
) -> Commands:
    """All protocols, intervals, groups, tables, carried and fixed thresholds, comparisons."""
    commands = []
    for name in maps:
        stem = Path(name).stem
        base = ["evaluate", name, "--annotations", annotations, "--quiet"]
        others = ["--protocol", ",".join(protocols)]
        groups = ["--bootstrap", "200", "--by", "area,boxes,class", "--counts"]
        commands += [
            [*base, *groups, "--per-image", f"{stem}.csv", "--out", f"{stem}.json"],
            [*base, "--threshold", "90", "--bootstrap", "50", "--out", f"{stem}.fixed.json"],
            [*base, "--metrics", "pixel", "--out", f"{stem}.pixel.json"],
            [*base, *others, "--bootstrap", "100", "--counts", "--out", f"{stem}.json"],
            ["thresholds", f"{stem}.json", "--json"],
        ]
    for own, name in zip(maps, test, strict=False):
        base = ["evaluate", name, "--annotations", annotations, "--quiet", "--bootstrap", "50"]
        carried = ["--threshold-from", f"{Path(own).stem}.json", "--by", "area"]
        commands.append([*base, *carried, "--out", f"{Path(name).stem}.json"])
    results = [f"{Path(name).stem}.json" for name in maps]
    drawn = ["--bootstrap", "200", "--quiet", "--out"]
    commands.append(["compare", *results, *drawn, "compared.json"])
    commands.append(["compare", *maps, "--annotations", annotations, *drawn, "submissions.json"])
    for protocol in protocols:
        named = [f"{Path(name).stem}.{protocol}.json" for name in maps]
        commands.append(["compare", *named, *drawn, f"compared.{protocol}.json"])
    return commands


def run(checkout: Path, folder: Path, commands: Commands, printed: str = "printed.json") -> None:
    """Run commands of a checkout in a folder; what `--json` prints is kept in a list."""
    folder.mkdir(parents=True, exist_ok=True)
    told = [wsolbench(checkout, folder, command) for command in commands]
    said = [json.loads(text) for text, own in zip(told, commands, strict=True) if "--json" in own]
    (folder / printed).write_text(json.dumps(said, indent=1, sort_keys=True) + "\n")


def wsolbench(checkout: Path, folder: Path, command: Sequence[str]) -> str:
    """What a command of a checkout prints in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", "from wsolbench.cli import main; main()", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{checkout}: wsolbench {' '.join(command)}\n{done.stderr}")
    return done.stdout


def shared_protocols(old: Path, new: Path) -> list[str]:
    """The protocols other than `sem` that two checkouts have; those of one alone are printed."""
    command = ["protocols", "--json"]
    named = [
        [own["name"] for own in json.loads(wsolbench(side, side, command))] for side in (old, new)
    ]
    if apart := sorted(set(named[0]) ^ set(named[1])):
        print(f"not compared, in one checkout only: {', '.join(apart)}")
    return [name for name in named[0] if name in named[1] and name != "sem"]


def differences(old: Any, new: Any, where: str) -> Iterator[str]:
    """Places at which two JSON values differ, but for `OTHER`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if key not in OTHER:
                yield from differences(old.get(key), new.get(key), f"{where}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (mine, theirs) in enumerate(zip(old, new, strict=True)):
            yield from differences(mine, theirs, f"{where}[{place}]")
    elif old != new or type(old) is not type(new):
        yield f"{where}: {str(old)[:60]} is now {str(new)[:60]}"


def numbers(content: Any) -> int:
    """How many numbers a JSON value holds."""
    if isinstance(content, dict):
        return sum(numbers(value) for key, value in content.items() if key not in OTHER)
    if isinstance(content, list):
        return sum(map(numbers, content))
    return int(isinstance(content, (int, float)) and not isinstance(content, bool))


def read(path: Path) -> Any:
    """JSON, or the cells of a CSV file."""
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            return [
                [float(c) if c.replace(".", "").isdigit() else c for c in r]
                for r in csv.reader(file)
            ]
    return json.loads(path.read_text())


def _cell(text: str) -> float | str:
    return float(text) if text.replace(".", "").isdigit() else text


def compare(old: Path, new: Path) -> bool:
    """Print what differs between two folders; whether nothing does."""
    same = True
    for path in sorted(old.rglob("*")):
        other = new / path.relative_to(old)
        if path.suffix not in (".json", ".csv") or path.name.endswith(".counts.npz"):
            continue
        content = read(path)
        lines = list(differences(content, read(other), path.name)) if other.is_file() else ["gone"]
        same &= not lines
        verdict = "equal to the bit" if not lines else f"{len(lines)} differ"
        print(f"{path.relative_to(old)}: {numbers(content)} numbers, {verdict}")
        for line in lines[:5]:
            print(f"    {line}")
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--animals", type=Path)
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    work, same = given.work.resolve(), True
    sides = {"old": given.old.resolve(), "new": given.new.resolve()}
    demo = [f"demo/{method}-{{}}.h5" for method in ("cam", "sem")]
    val, test = ([name.format(split) for name in demo] for split in ("val", "test"))
    protocols = shared_protocols(*sides.values())
    parts = {"mini": (mini(), scored("demo/mini.h5", val, test, protocols))}
    if given.animals:
        os.environ["SQUEEZENET_NPZ"] = str(given.weights.resolve())
        made = [f"{method}-val.h5" for method in ("cam", "sem", "gauss")]
        parts["animals"] = (
            animals(given.animals.resolve()),
            scored("animals.h5", made, [], protocols),
        )
    for part, (making, scoring) in parts.items():
        for side, checkout in sides.items():
            folder = work / side / part
            if (folder / "printed.json").exists() and side == "old":
                continue
            folder.mkdir(parents=True, exist_ok=True)
            if part == "animals":
                table = [
                    sys.executable,
                    "-m",
                    "examples.animals_table",
                    str(given.animals.resolve()),
                ]
                out = ["--out", str(folder / "table.csv"), "--size", "320"]
                subprocess.run([*table, *out], cwd=checkout, check=True)
            for place in folder.glob("*.h5"):
                place.unlink()
            run(checkout, folder, making, "made.json")
            run(checkout, folder, scoring)
        for path in sorted((work / "old" / part).rglob("*.h5")):
            alike = (
                path.read_bytes()
                == (work / "new" / part / path.relative_to(work / "old" / part)).read_bytes()
            )
            print(f"{part}/{path.name}: {'the same bytes' if alike else 'OTHER BYTES'}")
        same &= compare(work / "old" / part, work / "new" / part)
    print("every number is equal to the bit" if same else "numbers differ")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
