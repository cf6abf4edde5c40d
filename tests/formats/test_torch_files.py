"""Files of torch.save: what their pickle states is compared with their bytes before torch reads."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from wsolbench.baselines import weights
from wsolbench.baselines.weights import read_state_dict
from wsolbench.errors import WsolbenchError
from wsolbench.formats.untrusted import process, torch_files
from wsolbench.formats.untrusted.byte_file import ByteFile


def check_torch_file(path: Path) -> None:
    with ByteFile(path, "a file of torch.save") as file:
        torch_files.check_torch_file(file)


def saved(path: Path, content: object, **options: object) -> Path:
    torch.save(content, path, **options)
    return path


def rewritten(path: Path, change: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """The archive with other contents of the members that end so."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    target = path.with_name("changed.pt")
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in held.items():
            new = next((own for end, own in change.items() if name.endswith(end)), data)
            archive.writestr(name, new)
    return target


STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.int64)}


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"model": STATE, "epoch": 3, "list": [1, (2.5, None)], "name": "x"},
        {"half": torch.ones(3, dtype=torch.float16), "bf": torch.ones(3, dtype=torch.bfloat16)},
        {"view": torch.arange(10)[2:5], "empty": torch.empty(0), "scalar": torch.tensor(3)},
        {"bool": torch.ones(3, dtype=torch.bool), "c": torch.ones(2, dtype=torch.complex64)},
        torch.nn.Linear(2, 3).state_dict(),
        torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]).state_dict(),
    ],
)
def test_honest_files_pass(tmp_path: Path, content: object) -> None:
    check_torch_file(saved(tmp_path / "a.pt", content))
    check_torch_file(saved(tmp_path / "old.pt", content, _use_new_zipfile_serialization=False))


def test_a_storage_shorter_than_stated_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", STATE)
    short = rewritten(path, {"data/0": bytes(8)})
    with pytest.raises(ValueError, match="storage '0' of 24 bytes, of which there are 8 bytes"):
        check_torch_file(short)
    with pytest.raises(WsolbenchError, match="storage '0' of 24 bytes"):
        read_state_dict(short)
    packed = rewritten(path, {}, zipfile.ZIP_DEFLATED)
    with pytest.raises(WsolbenchError, match="is compressed, where it must be stored"):
        read_state_dict(packed)


@pytest.mark.parametrize(
    ("pickled", "found"),
    [
        (b"\x80\x02r\xff\xff\xff\x7f.", "damaged pickle"),  # a memo of 2 billion places
        (b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.", None),  # runs nothing
        (b"\x80\x02\x82\x01.", "extension codes"),
        (b"\x80\x05\x96" + (300 << 20).to_bytes(8, "little") + b".", "a pickle with buffers"),
        (b"\x80\x05\x97\x98.", "a pickle with buffers"),
        (b"\x80\x02}", "damaged pickle"),
        (b"", "damaged pickle"),
    ],
)
def test_pickles_are_walked_without_running_code(
    tmp_path: Path, pickled: bytes, found: str | None
) -> None:
    path = rewritten(saved(tmp_path / "a.pt", STATE), {"data.pkl": pickled})
    if found is None:
        check_torch_file(path)
    else:
        with pytest.raises(ValueError, match=found):
            check_torch_file(path)
    with pytest.raises(WsolbenchError, match="cannot be read safely"):
        read_state_dict(path)


def colliding(count: int) -> bytes:
    """A pickle of a dict whose keys have one hash, so that it takes a time of count squared."""
    keys = (index * (2**61 - 1) for index in range(1, count + 1))
    numbers = b"".join(b"\x8a\x0c" + key.to_bytes(12, "little") + b"N" for key in keys)
    return b"\x80\x02}(" + numbers + b"u."


@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_that_takes_hours_is_stopped(
    tmp_path: Path, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SECONDS", 1)
    path = saved(tmp_path / "a.pt", STATE, _use_new_zipfile_serialization=not old)
    if old:
        path.write_bytes(path.read_bytes()[:20] + colliding(100_000))
    else:
        path = rewritten(path, {"data.pkl": colliding(100_000)})
    with pytest.raises(WsolbenchError, match="a file that stopped its reader, which took"):
        read_state_dict(path)


def test_the_file_that_was_checked_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = saved(tmp_path / "a.pt", STATE), saved(tmp_path / "b.pt", {"c": torch.ones(1)})

    def checked_and_replaced(file: ByteFile) -> None:
        torch_files.check_torch_file(file)
        if other.exists():
            other.replace(path)

    monkeypatch.setattr(weights, "check_torch_file", checked_and_replaced)
    assert {*read_state_dict(path)[0]} == {"a", "b"}
    assert {*read_state_dict(path)[0]} == {"c"}


def test_names_that_differ_in_case_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", STATE)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0].replace("data", "DATA"), b"")
    with pytest.raises(ValueError, match="two members of one name"):
        check_torch_file(path)


@pytest.mark.parametrize("kind", ["pt", "old.pt", "npz", "safetensors"])
def test_damaged_weights_end_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        file = io.BytesIO()
        np.savez(file, **{name: own.numpy() for name, own in STATE.items()})
        path.write_bytes(file.getvalue())
    elif kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(STATE, path)
    else:
        saved(path, STATE, _use_new_zipfile_serialization=kind == "pt")
    honest = path.read_bytes()
    assert {*read_state_dict(path)[0]} == {"a", "b"}
    rng = np.random.default_rng(len(kind))
    for _ in range(60):
        data = bytearray(honest)
        start = int(rng.integers(len(data)))
        action = rng.integers(3)
        if action == 0:
            data[start] = int(rng.integers(256))
        elif action == 1:
            del data[start : start + int(rng.integers(1, 99))]
        else:
            data[start : start + 4] = b"\xff\xff\xff\x7f"
        path.write_bytes(data)
        with suppress(WsolbenchError):
            read_state_dict(path)
