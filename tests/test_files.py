"""Paths of outputs; writing itself is tested where files are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.files import (
    path_per_name,
    require_ending,
    require_json_target,
    write_all,
    write_text,
)


def test_several_outputs_have_their_names_in_the_path() -> None:
    out = Path("folder", "r.v1.json")
    assert path_per_name(out, ["sem"]) == [out]
    assert path_per_name(out, ["sem", "ivr:30"]) == [
        Path("folder", "r.v1.sem.json"),
        Path("folder", "r.v1.ivr-30.json"),
    ]


def test_json_replaces_json_alone(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    for content in (None, b"", b'{"format": 1}', b"[]"):
        if content is not None:
            target.write_bytes(content)
        assert require_json_target(target) == target
    target.write_bytes(b"\x89HDF")
    with pytest.raises(WsolbenchError, match=r"a file of another kind.*nothing was written"):
        require_json_target(target)
    assert target.read_bytes() == b"\x89HDF"


@pytest.mark.parametrize(
    "kind, sound, wrong",
    [
        (
            "JSON",
            ["r.json", "r.JSON", "folder.csv/r", "r"],
            ["r.csv", "r.json.h5", "r.png", "r.v1"],
        ),
        ("HDF5", ["m.h5", "m.hdf5", "m"], ["m.json", "m.csv", "m.npz", "m.h5.txt"]),
    ],
)
def test_a_name_does_not_promise_another_kind_of_file(
    kind: str, sound: list[str], wrong: list[str]
) -> None:
    for name in sound:
        require_ending(name, kind)
    for name in wrong:
        suffix = Path(name).suffix
        message = rf"{name}: found the ending \{suffix}, expected .*, since the file will be {kind}"
        with pytest.raises(WsolbenchError, match=f"^{message}; change the ending$"):
            require_ending(name, kind)
    with pytest.raises(WsolbenchError, match=r"change the ending, or use --other$"):
        require_ending(wrong[0], kind, "use --other")


def test_the_files_of_one_command_appear_together_or_not_at_all(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise WsolbenchError(path, found="a full disk", cure="free some space", exit_status=1)

    def write(path: Path) -> None:
        write_text(path, "text")

    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    one.write_text("old")
    with pytest.raises(WsolbenchError, match=r"three: a full disk; free some space$") as raised:
        write_all({one: write, two: write, three: fail})
    assert raised.value.exit_status == 1
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert one.read_text() == "old"
    write_all({one: write, two: write})
    assert (one.read_text(), two.read_text()) == ("text", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    write_all({})
