"""Lists and tables as pandas, R and spreadsheets write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsolbench.data.importers.tables import read_lines, read_table, whole_number
from wsolbench.errors import WsolbenchError
from wsolbench.image_ids import image_id_of

IDS = ("0001", "0002", "v~3", "x.jpg")


def rows(tmp_path: Path, content: str | bytes, **options: Any) -> list[dict[str, str]]:
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = read_table(
        path,
        "a table of images",
        required=("image_id",),
        optional=("class_index", "split"),
        **{"numbers": ("class_index",), "known_ids": IDS, **options},
    )
    return [row for _, row in found]


@pytest.mark.parametrize(
    "content",
    [
        "image_id,class_index\n0001,3\n0002,4\n",
        "image_id;class_index\n0001;3\n0002;4\n",
        "image_id\tclass_index\n0001\t3\n0002\t4\n",
        "image_id;class_index\n0001;3,0\n0002;4\n",
        "image_id,class_index\r0001,3\r0002,4\r",
        '\ufeff"image_id","class_index"\r\n"0001","3"\r\n"0002","4"\r\n',
        "image_id,class_index\n0001,3\n0002,4\n".encode("utf-16"),
        b"\xfe\xff" + "image_id,class_index\n0001,3\n0002,4\n".encode("utf-16-be"),
        "image_id,class_index\n0001,3\n0002,4\n".encode("utf-32"),
        "Image_ID,CLASS_INDEX\n0001,3\n0002,4\n",
        ",image_id,class_index\n0,0001,3\n1,0002,4\n",
        "Unnamed: 0,image_id,class_index\n0,0001,3\n1,0002,4\n",
        "Unnamed: 0.1,Unnamed: 0,image_id,class_index\n0,0,0001,3\n1,1,0002,4\n",
        '"","image_id","class_index"\n"1","0001",3\n"2","0002",4\n',
        "image_id,class_index,,\n0001,3,,\n0002,4,,\n",
        "image_id,class_index\n0001,3,,\n0002,4\n",
        "image_id,class_index\n0001,3.0\n0002,4.\n",
        "image_id,class_index\n'0001,'3\n'0002,4\n",
        'image_id,class_index\n"=""0001""",3\n="0002",4\n',
        "image_id,class_index\n0001.jpg,3\ntrain/0002.JPEG,4\n",
        "image_id,class_index\n train\\0001.png ,3\n0002, 4 \n",
    ],
)
def test_tables_of_other_programs_are_read(tmp_path, content):
    expected = [{"image_id": "0001", "class_index": "3"}, {"image_id": "0002", "class_index": "4"}]
    assert rows(tmp_path, content) == expected


@pytest.mark.parametrize("text", ["", "NaN", "nan", "NA", "<NA>", "None", "null", "#N/A", " "])
def test_missing_numbers_are_empty(tmp_path, text):
    assert rows(tmp_path, f"image_id,class_index\n0001,{text}\n")[0]["class_index"] == ""


def test_other_cells_are_literal(tmp_path):
    (row,) = rows(tmp_path, "image_id,split,class_index\n0001, NA ,x1.0\n")
    assert row == {"image_id": "0001", "split": " NA ", "class_index": "x1.0"}


def test_known_ids_are_no_file_names(tmp_path):
    assert rows(tmp_path, "image_id\nx.jpg\n") == [{"image_id": "x.jpg"}]


def test_folders_of_file_names_may_be_kept(tmp_path):
    (row,) = rows(tmp_path, "image_id\nv/3.png\n", folder_ids=True)
    assert row["image_id"] == "v~3"
    content = "image_id\na/0.jpg\nb/0.jpg\nb/1.jpg\n"
    with pytest.raises(
        WsolbenchError, match=r"2 image ids for 3 file names: a/0.jpg and b/0.jpg, .*--folder-ids"
    ):
        rows(tmp_path, content, folder_ids=False)
    with pytest.raises(WsolbenchError, match=r"a/0.jpg and b/0.jpg.*name of its own"):
        rows(tmp_path, content)
    with pytest.raises(WsolbenchError, match=r"b/1.jpg and b/1.png.*name of its own"):
        rows(tmp_path, "image_id\nb/1.jpg\nb/1.png\n", folder_ids=False)


@pytest.mark.parametrize("texts", [("1", "2"), ("1.0", "2.0"), ("2", "2"), ("0001", "2")])
def test_lost_zeros_are_named_and_not_guessed(tmp_path, texts):
    with pytest.raises(WsolbenchError, match=r"lost their leading zeros, such as [12].*dtype=str"):
        rows(tmp_path, "image_id\n" + "\n".join(texts))


def test_ids_that_are_unknown_have_not_lost_zeros(tmp_path):
    assert [row["image_id"] for row in rows(tmp_path, "image_id\n1\n7\n")] == ["1", "7"]


def test_other_columns_are_left_out_by_name_alone(tmp_path):
    content = "image_id,label,breed of cat\n0001,cat,x\n"
    with pytest.raises(WsolbenchError, match=r"\(unknown: label, breed of cat\)$"):
        rows(tmp_path, content)
    with pytest.raises(
        WsolbenchError, match=r"--ignore-column label --ignore-column 'breed of cat'$"
    ):
        rows(tmp_path, content, ignored=())
    names = ("label", "breed of cat")
    assert rows(tmp_path, content, ignored=names) == [{"image_id": "0001"}]
    with pytest.raises(WsolbenchError, match=r"not there: breeds"):
        rows(tmp_path, content, ignored=(*names, "breeds"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image_id,Image_ID\na,b\n", r"twice: image_id"),
        ("image_id,,class_index\n0001,x,3\n", r"found columns image_id, , class_index"),
        ("image_id,class_index\n0001,3,4\n", r"line 2 has 3 cells"),
        ("name;class_index\n0001;3\n", r"columns name, class_index, .*missing: image_id"),
        ("image_id,split\n0001,größe\n".encode("latin-1"), r"not UTF-8 in line 2.*CSV UTF-8"),
        ("image_id,split\n0001,a\n".encode("utf-16-le"), r"NUL characters, as in UTF-16 without"),
        (b"\xff\xfei", r"not UTF-16 in line 1"),
    ],
)
def test_other_tables_are_refused(tmp_path, content, message):
    with pytest.raises(WsolbenchError, match=message):
        rows(tmp_path, content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lists_are_read_with_any_line_end_and_mark(tmp_path, encoding, end):
    path = tmp_path / "list.txt"
    path.write_bytes(end.join(["one", "", " two "]).encode(encoding))
    assert read_lines(path, "words") == [(1, "one"), (3, "two")]


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        ("val2/0/3.jpeg", "val2~0~3"),
        ("val2\\0\\3.jpeg", "val2~0~3"),
        ("/data/3.jpeg", "data~3"),
        ("./0/3.jpeg", "0~3"),
        ("3.jpeg", "3"),
        ("a/../3.jpeg", None),
        ("a" * 60 + "/3456.jpg", None),
        (".hidden/3.jpg", None),
        ("", None),
    ],
)
def test_folders_are_kept_with_a_mark(name, image_id):
    assert image_id_of(name, folders=True) == image_id


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("12.0", 12), ("12.", 12), ("-1.00", -1), ("12.5", None), ("1e3", None)],
)
def test_whole_floats_are_whole_numbers(text, number):
    assert whole_number(text) == number
