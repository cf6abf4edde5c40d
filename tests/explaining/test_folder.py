"""What is in the folder of `explain` already: kept, refused, or replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.explaining.folder import check_folder, prepared, remove_earlier

PART_FILES = ("records.bin", "values.bin", "edges.bin", "header.json", ".header.json.7.tmp")

WHOLE = ("annotations.h5", "comparison.json", "images.csv", "index.html")


def files(folder: Path) -> set[str]:
    return {str(own.relative_to(folder)) for own in folder.rglob("*") if own.is_file()}


def finished(folder: Path, *methods: str) -> None:
    """A folder as a run of these methods leaves it."""
    columns = [f"{name}{end}" for name in methods for end in ("", " low", " high")]
    for part in ("maps", "results"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "scores.csv").write_text(",".join(["score", "title", *columns]) + "\n")
    for name in WHOLE:
        (folder / name).touch()
    for name in methods:
        stem = name.replace(":", "-")
        (folder / "maps" / f"{stem}.h5").touch()
        (folder / "results" / f"{stem}.json").touch()
        (folder / "results" / f"{stem}.counts.npz").touch()


def unfinished(folder: Path, *methods: str) -> None:
    for name in methods:
        part = folder / "maps" / f"{name}.h5.part"
        part.mkdir(parents=True)
        for file in PART_FILES:
            (part / file).touch()


def check(folder: Path, *methods: str, resume: bool = False, overwrite: bool = False) -> None:
    check_folder(folder, methods, resume=resume, overwrite=overwrite)


def test_a_finished_run_is_replaced_as_a_whole_and_on_request_alone(tmp_path: Path) -> None:
    finished(tmp_path, "gradcam", "mine:maps", "sem")
    (tmp_path / "notes.txt").touch()
    before = files(tmp_path)
    for resume in (False, True):
        with pytest.raises(
            WsolbenchError, match=r"a finished run of gradcam, mine:maps, sem.*\(--overwrite"
        ):
            check(tmp_path, "gradcam", resume=resume)
    assert files(tmp_path) == before
    check(tmp_path, "gradcam", overwrite=True)
    assert files(tmp_path) == before
    remove_earlier(tmp_path, ["gradcam"])
    assert files(tmp_path) == {"notes.txt"}
    check(tmp_path, "gradcam")


def test_unfinished_maps_of_other_methods(tmp_path: Path) -> None:
    unfinished(tmp_path, "gradcam", "sem")
    check(tmp_path, "gradcam", "sem", resume=True)
    with pytest.raises(WsolbenchError, match=r"unfinished maps of other methods \(sem.h5.part\)"):
        check(tmp_path, "gradcam", resume=True)
    check(tmp_path, "gradcam", overwrite=True)
    remove_earlier(tmp_path, ["gradcam"])
    assert {own.name for own in (tmp_path / "maps").iterdir()} == {"gradcam.h5.part"}


def test_files_of_someone_else_are_never_removed(tmp_path: Path) -> None:
    finished(tmp_path, "gradcam")
    (tmp_path / "maps" / "mine.h5").touch()
    with pytest.raises(WsolbenchError, match=r"no finished run there lists \(maps/mine.h5\)"):
        check(tmp_path, "gradcam", overwrite=True)
    (tmp_path / "scores.csv").write_text("name,points\nann,3\n")
    with pytest.raises(WsolbenchError, match=r"scores\.csv: a file that explain did not write"):
        check(tmp_path, "gradcam", overwrite=True)
    with pytest.raises(WsolbenchError, match="both --resume and --overwrite"):
        check(tmp_path / "new", "gradcam", resume=True, overwrite=True)


def fail(written: Path, error: BaseException, *parts: Path) -> None:
    written.touch()
    for part in parts:
        part.mkdir()
    raise error


def test_a_failure_leaves_no_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with pytest.raises(KeyError), prepared(folder):
        fail(folder / "annotations.h5", KeyError())
    assert not (tmp_path / "deep").exists()

    # Unfinished maps are kept with their annotations.
    part = folder / "maps" / "cam.h5.part"
    with pytest.raises(KeyboardInterrupt), prepared(folder):
        fail(folder / "annotations.h5", KeyboardInterrupt(), part)
    assert {own.name for own in folder.iterdir()} == {"annotations.h5", "maps"}

    # What was there before stays.
    (tmp_path / "here" / "results").mkdir(parents=True)
    with pytest.raises(KeyError), prepared(tmp_path / "here"):
        raise KeyError
    assert [own.name for own in (tmp_path / "here").iterdir()] == ["results"]
    (tmp_path / "file").touch()
    with pytest.raises(WsolbenchError, match="not a folder that can be made"):
        prepared(tmp_path / "file").__enter__()
