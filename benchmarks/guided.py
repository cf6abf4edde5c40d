"""Coverage-guided fuzzing of the parsers of strangers' files, with atheris.

    python -m benchmarks.guided --seconds 400 --workers 2 --folder guided

Each parser of `tests/hostile/parsers.py` runs in a process of its own, which atheris (libFuzzer)
feeds with changed sound files, keeping those that reach new code. A finding is an exception that
the parser does not document, a crash, more than 1,536 MiB, or 20 s for one input; its input is left
in the folder. Code that is compiled (HDF5, expat, NumPy) does not guide.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MEMORY = 1536
SECONDS = 20
COUNTED = {
    "inputs": r"stat::number_of_executed_units: (\d+)",
    "kept": r"stat::new_units_added: +(\d+)",
    "MiB": r"stat::peak_rss_mb: +(\d+)",
}


def names() -> list[str]:
    from tests.hostile.parsers import PARSERS

    return [*PARSERS]


def one(name: str, folder: Path, seconds: int) -> None:
    """Feed one parser in this process, until the time is over or something is found."""
    import atheris  # type: ignore[import-untyped]  # there are none for Python 3.12

    with atheris.instrument_imports(include=["wsolbench"]):
        from tests.hostile.parsers import PARSERS, parse
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(PARSERS[name].sound()):
        (corpus / f"sound-{number}").write_bytes(data)
    settings = {
        "max_total_time": seconds,
        "rss_limit_mb": MEMORY,
        "timeout": SECONDS,
        "max_len": 1 << 16,
        "artifact_prefix": f"{folder}/",
        "print_final_stats": 1,
    }
    options = [f"-{key}={value}" for key, value in settings.items()]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: parse(name, data))
    atheris.Fuzz()


def fuzzed(name: str, folder: Path, seconds: int) -> list[object]:
    """What a table says of one parser."""
    command = [sys.executable, "-m", "benchmarks.guided", "--one", name]
    done = subprocess.run(
        [*command, "--folder", str(folder), "--seconds", str(seconds)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "said.txt").write_text(done.stderr)
    counts = []
    for form in COUNTED.values():
        told = re.search(form, done.stderr)
        counts.append(told[1] if told else "-")
    left = sorted({path.name for path in folder.iterdir()} - {"said.txt", "corpus"})
    if done.returncode and not left:
        left = [f"status {done.returncode}"]
    return [*counts, "; ".join(left) or "none"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=360, help="for each parser")
    parser.add_argument("--workers", type=int, default=1, help="parsers at a time")
    parser.add_argument("--only", nargs="*", help="parsers")
    parser.add_argument("--folder", type=Path, help="for inputs and findings")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.folder, asked.seconds)
        return
    from benchmarks.common import heading, machine, row  # imports parsers, so not before `one`

    folder = asked.folder or Path(tempfile.mkdtemp(prefix="guided-"))
    chosen = asked.only or names()
    print(machine("numpy", "h5py"), flush=True)
    print("\n" + heading("parser", *COUNTED, "findings"), flush=True)
    with ThreadPoolExecutor(asked.workers) as pool:
        tables = pool.map(lambda name: fuzzed(name, folder / name, asked.seconds), chosen)
        for name, cells in zip(chosen, tables, strict=True):
            print(row(name, *cells), flush=True)
    print(f"\n{asked.seconds} s for each parser; inputs and findings are in {folder}")


if __name__ == "__main__":
    main()
