"""Reader processes: what happens to one is one line here, and the next file is read."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from PIL import Image

from wsolbench.errors import WsolbenchError
from wsolbench.formats.untrusted import process
from wsolbench.formats.untrusted.byte_file import ByteFile
from wsolbench.formats.untrusted.hdf5_gate import Gate
from wsolbench.formats.untrusted.limits import Bounds
from wsolbench.formats.untrusted.pictures import picture_of, read_picture
from wsolbench.formats.untrusted.process import Reader, give_back, has_readers, take
from wsolbench.formats.untrusted.trust import trust_files
from wsolbench.images import open_picture, photo_size, read_photo

pytestmark = pytest.mark.skipif(not has_readers(), reason="no reader processes on this system")

ANY = Bounds(("u",), ((1, 9),), "a column")


@pytest.fixture
def trusted():
    trust_files()
    yield
    trust_files(False)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as made:
        made["column"] = np.arange(3, dtype=np.uint8)
        made.attrs["text"] = "word"
    return tmp_path / "a.h5"


def held(path):
    """Descriptors of this process that are open on a file."""
    opened = []
    for name in os.listdir("/proc/self/fd"):
        try:
            opened.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return opened.count(str(path))


@pytest.mark.parametrize(
    "number, words",
    [
        (signal.SIGSEGV, "which was killed by SIGSEGV"),
        (signal.SIGKILL, "which was killed by SIGKILL"),
        (signal.SIGALRM, "which took more than 60 s"),
        (signal.SIGPROF, "which took too long"),
    ],
)
def test_a_reader_that_dies_is_one_line_and_the_next_file_is_read(file, number, words):
    gate = Gate(file, "a file")
    gate._asked._reader._process.send_signal(number)
    gate._asked._reader._process.wait()
    with pytest.raises(WsolbenchError, match=f"a.h5: column: found a file that stopped.*{words}"):
        gate.column("column", ANY)
    with gate:
        pass
    gate.file.close()
    with Gate(file, "a file") as again:
        assert again.column("column", ANY).all().tolist() == [0, 1, 2]


def test_a_reader_that_stops_is_noticed(file, monkeypatch):
    monkeypatch.setattr(process, "SECONDS", 0.2)
    monkeypatch.setattr(process, "_MARGIN", 0.1)
    gate = Gate(file, "a file")
    gate._asked._reader._process.send_signal(signal.SIGSTOP)
    with pytest.raises(WsolbenchError, match=r"which did not answer within 0\.2 s"):
        gate.attribute("text")
    with gate:
        pass


def test_a_reader_that_cannot_start_is_no_fault_of_the_file(file, monkeypatch):
    monkeypatch.setattr(process, "_PROGRAM", "raise SystemExit(3)")
    monkeypatch.setattr(process, "_idle", {})
    with pytest.raises(WsolbenchError, match=r"reader process: ended with status 3.*--trusted"):
        Gate(file, "a file")


def test_readers_are_kept_and_serve_threads(file):
    first = take("hdf5")
    give_back(first)
    assert take("hdf5") is first
    give_back(first)

    def text(_):
        with Gate(file, "a file") as gate:
            return gate.attribute("text")

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(text, range(40))) == ["word"] * 40


def test_a_forked_process_starts_readers_of_its_own(file):
    with Gate(file, "a file") as gate:
        ours = gate._asked._reader._process.pid
        child = os.fork()
        if child == 0:
            with Gate(file, "a file") as own:
                same = own._asked._reader._process.pid == ours
                os._exit(same or own.attribute("text") != "word")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert gate.attribute("text") == "word"


def test_readers_end_with_their_process():
    program = (
        "from wsolbench.formats.untrusted.process import take; import os, signal; "
        "print(take('hdf5')._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    for _ in range(200):
        try:
            os.kill(int(done.stdout), 0)
        except ProcessLookupError:
            return
        signal.sigtimedwait([], 0.05)
    pytest.fail("the reader still runs")


def test_a_reader_may_open_write_and_hold_nothing_else(tmp_path, monkeypatch):
    tried = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1])\n"
        "from wsolbench.formats.untrusted import child\n"
        "def probe(request, file):\n"
        "    import os, resource\n"
        "    found = []\n"
        "    for flags in (os.O_RDONLY, os.O_WRONLY):\n"
        "        try: found.append(os.open(request['path'], flags))\n"
        "        except OSError as error: found.append(error.errno)\n"
        "    try: found.append(len(bytearray(3 << 30)))\n"
        "    except MemoryError: found.append('memory')\n"
        "    found.append(sorted(k for k in os.environ if 'SECRET' in k))\n"
        "    return found, ()\n"
        "child._hdf5 = lambda: probe\n"
        "child.main(sys.argv[2], int(sys.argv[3]))\n"
    )
    monkeypatch.setattr(process, "_PROGRAM", tried)
    monkeypatch.setenv("SECRET_TOKEN", "1")
    (tmp_path / "other").write_text("kept")
    reader = Reader("hdf5")
    with ByteFile(__file__, "a file") as sent:
        request = {"act": "open", "path": str(tmp_path / "other")}
        value, _ = reader.ask(request, sent.descriptor)
    reader.end()
    assert value == [24, 24, "memory", []]  # EMFILE


@pytest.mark.parametrize(
    "answer",
    [
        b'{"value": 1, "arrays": [["O", [1]]]}',
        b'{"value": 1, "arrays": [["u1", [-1]]]}',
        b'{"value": 1, "arrays": [["u1", [1e99]]]}',
        b'{"value": 1, "arrays": [["u1", [3000000000]]]}',
        b'{"value": 1, "arrays": [["V8", [1]]]}',
        b'{"value": 1, "arrays": [["u1", [1]], ["u1", [1]], ["u1", [1]], ["u1", [1]]]}',
        b'{"value": 1, "arrays": 3}',
        b'{"error": ["", "", ""]}',
        b'{"error": [1, 2, 3, 4, 5]}',
        b"[]",
        b"{}",
        b"no JSON",
    ],
)
def test_an_answer_is_not_believed(monkeypatch, answer):
    forged = (
        "import sys, socket, struct\n"
        "s = socket.socket(fileno=int(sys.argv[3])); s.recv(1 << 16)\n"
        f"text = {answer!r}\n"
        "s.sendall(struct.pack('<I', len(text)) + text + bytes(99)); s.recv(1)\n"
    )
    monkeypatch.setattr(process, "_PROGRAM", forged)
    with pytest.raises(WsolbenchError, match="which answered what it cannot have read"):
        Reader("hdf5").ask({"act": "kind", "name": "x"})


def test_an_answer_that_never_ends_is_cut_off(monkeypatch):
    forged = (
        "import sys, socket, struct, time\n"
        "s = socket.socket(fileno=int(sys.argv[3])); s.recv(1 << 16)\n"
        "s.sendall(struct.pack('<I', 1 << 20))\n"
        "while True: s.sendall(b'1'); time.sleep(.05)\n"
    )
    monkeypatch.setattr(process, "_PROGRAM", forged)
    monkeypatch.setattr(process, "SECONDS", 0.5)
    monkeypatch.setattr(process, "_MARGIN", 0.5)
    with pytest.raises(WsolbenchError, match="which did not answer within"):
        Reader("hdf5").ask({"act": "kind", "name": "x"})


GOOD = {"dtype": "|u1", "shape": [3], "start": 8, "chunk": None}
TABLE = [np.array([8]), np.array([3]), np.array([False])]


@pytest.mark.parametrize(
    "value, arrays",
    [
        (None, []),
        ({**GOOD, "dtype": "O"}, []),
        ({**GOOD, "dtype": "<f4"}, []),
        ({**GOOD, "shape": [10]}, []),
        ({**GOOD, "shape": ["x"]}, []),
        ({**GOOD, "start": -1}, []),
        ({**GOOD, "start": 1 << 40}, []),
        (GOOD, [np.zeros(4, np.uint8)]),
        (GOOD, [np.zeros(3, np.int64)]),
        ({**GOOD, "chunk": [0]}, TABLE),
        ({**GOOD, "chunk": [3, 1]}, TABLE),
        ({**GOOD, "chunk": [1]}, TABLE),
        ({**GOOD, "chunk": [1 << 40]}, TABLE),
        ({**GOOD, "chunk": [3]}, [np.array([-1]), *TABLE[1:]]),
        ({**GOOD, "chunk": [3]}, [TABLE[0], np.array([1 << 40]), TABLE[2]]),
        ({**GOOD, "chunk": [3]}, [TABLE[0].astype(float), *TABLE[1:]]),
    ],
)
def test_a_column_is_not_believed(file, monkeypatch, value, arrays):
    with Gate(file, "a file") as gate:
        ask = gate._asked._reader.ask
        monkeypatch.setattr(gate._asked._reader, "ask", lambda *_, **__: (value, arrays))
        with pytest.raises(WsolbenchError, match=r"a\.h5: column: .*answer of the reader process"):
            gate.column("column", ANY)
        monkeypatch.setattr(gate._asked._reader, "ask", ask)


def test_a_picture_is_not_believed():
    head = {"mode": "RGB", "width": 4, "height": 2, "orientation": 1, "palette": None}
    head["transparency"] = None
    pixels = np.zeros(24, np.uint8)
    assert picture_of(head, [pixels]).image().size == (4, 2)
    for change in (
        {"mode": "X"},
        {"width": 5},
        {"width": 0},
        {"height": -2},
        {"width": 1 << 40},
        {"width": "4"},
        {"orientation": 9},
        {"palette": ["RGB", "xy"]},
        {"other": 1},
    ):
        with pytest.raises(WsolbenchError, match="answer of the reader process"):
            picture_of({**head, **change}, [pixels])
    with pytest.raises(WsolbenchError, match="answer of the reader process"):
        picture_of(head, [])


def test_a_stream_has_a_position_of_its_own(file):
    with ByteFile(file, "a file") as opened:
        first, second = opened.stream(), opened.stream()
        whole = file.read_bytes()
        assert first.read(8) == whole[:8]
        assert second.read() == whole
        assert first.read(4) == whole[8:12]
        assert (first.seek(-3, os.SEEK_END), first.read()) == (len(whole) - 3, whole[-3:])


def test_a_link_in_a_file_is_not_followed_by_the_reader_either(tmp_path):
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as made:
        made["column"] = np.arange(3, dtype=np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as made:
        made["column"] = h5py.ExternalLink(str(outside), "column")
    with Gate(tmp_path / "a.h5", "a file") as gate:
        with pytest.raises(WsolbenchError, match="an external link"):
            gate.column("column", ANY)
        assert held(outside) == 0


MODES = {"PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), "JPEG": ("L", "RGB", "CMYK")}


@pytest.mark.parametrize("form, mode", [(f, m) for f, modes in MODES.items() for m in modes])
def test_pictures_are_the_same_through_a_reader(tmp_path, form, mode):
    rng = np.random.default_rng(0)
    if mode == "I;16":
        picture = Image.fromarray(rng.integers(0, 65536, (7, 9), dtype=np.uint16))
    else:
        picture = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)).convert(mode)
    path = tmp_path / "a.png"
    picture.save(path, form, **({"transparency": 3} if mode == "P" else {}))
    with Image.open(path) as whole:
        whole.load()
        found = open_picture(path, formats=[form])
        assert (found.mode, found.size) == (whole.mode, whole.size)
        assert found.tobytes() == whole.tobytes()
        assert found.convert("RGBA").tobytes() == whole.convert("RGBA").tobytes()
    assert photo_size(path) == (7, 9, 1)


def test_pictures_are_the_same_where_files_are_trusted(tmp_path, trusted):
    drawn = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    Image.fromarray(drawn).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    before = {pid for pids in process._idle.values() for pid in pids}
    assert (np.asarray(read_photo(tmp_path / "b.png")[0]) == drawn).all()
    assert {pid for pids in process._idle.values() for pid in pids} == before
    trust_files(False)
    with pytest.raises(WsolbenchError, match=r"b\.png: found a symbolic link, expected a picture"):
        read_photo(tmp_path / "b.png")


def test_pixels_of_a_wrong_size_are_not_decoded():
    drawn = io.BytesIO()
    Image.new("L", (9, 7)).save(drawn, "PNG")
    assert read_picture(drawn, ["PNG"], load=True, size=(7, 9)).pixels.size == 63
    drawn.seek(0)
    assert read_picture(drawn, ["PNG"], load=True, size=(9, 7)).pixels.size == 0


def written_and_set_back(path, status):
    path.write_bytes(b"1" * 100)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda path, status: path.write_bytes(b"1" * 100),
        lambda path, status: path.write_bytes(b"1" * 99),
        written_and_set_back,
        lambda path, status: (written_and_set_back(path, status), os.link(path, f"{path}2")),
        lambda path, status: (written_and_set_back(path, status), path.unlink()),
        lambda path, status: path.rename(f"{path}2"),
    ],
)
def test_a_file_that_changes_is_refused_by_name(tmp_path, change):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(100))
    with ByteFile(path, "a file") as opened:
        assert opened.sha256() == "cd00e292c5970d3c5e2f0ffa5171e555bc46bfc4faddfb4a418b6840b86e79a3"
        change(path, path.stat())
        with pytest.raises(WsolbenchError, match=r"a\.bin: found a file that changed, or was repl"):
            opened.require_unchanged()
