import gzip
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kochi.data.lines import decode_lines, lines
from kochi.data.pair import Pair, count_rows
from kochi.errors import UserError
from kochi.modalities.audio.tables import SoundData
from kochi.modalities.features.tables import FeaturesData
from kochi.modalities.image.tables import PictureData
from kochi.modalities.pairs import read_pairs, split_files
from kochi.modalities.text.tables import (
    HuggingFaceData,
    JsonlData,
    ParallelData,
    ParallelFiles,
    TsvData,
)


def tsv(folder: Path, content: bytes | str, **options) -> TsvData:
    raw = content.encode() if isinstance(content, str) else content
    (folder / "a.tsv").write_bytes(raw)
    names = {"train": "a.tsv", "dev": "a.tsv"}
    return TsvData.model_validate({"kind": "tsv", "folder": folder, **names, **options})


def jsonl(folder: Path, content: str, **options) -> JsonlData:
    (folder / "a.jsonl").write_text(content, encoding="utf-8")
    names = {"train": "a.jsonl", "dev": "a.jsonl"}
    return JsonlData.model_validate({"kind": "jsonl", "folder": folder, **names, **options})


def parallel(folder: Path, source: str, *targets: str) -> ParallelData:
    names = [f"a.{number}" for number in range(len(targets) + 1)]
    for name, content in zip(names, (source, *targets), strict=True):
        (folder / name).write_bytes(content.encode())
    files = ParallelFiles.model_validate(
        {"source": names[0], "target": names[1] if len(targets) == 1 else names[1:]}
    )
    return ParallelData(kind="parallel", folder=folder, train=files, dev=files)


NUMBERED = {"source_column": 1, "target_column": 2}


# ----------------------------------------------------------------------------------- right input


def test_tsv_columns_by_name_in_any_place(tmp_path):
    data = tsv(tmp_path, "target\tnote\tsource\nb c\t-\ta\n")
    assert list(read_pairs(data, "train")) == [Pair("a", ("b c",))]


def test_tsv_columns_by_number_have_no_header_and_may_leave_cells_unused(tmp_path):
    data = tsv(tmp_path, "a\tb\nc\td\tunused\n", **NUMBERED)
    assert list(read_pairs(data, "train")) == [Pair("a", ("b",)), Pair("c", ("d",))]


def test_only_a_line_feed_ends_a_line(tmp_path):
    inside = "a\u2028b\u2029c\x85d\x0be\x0cf\rg"
    data = tsv(tmp_path, f"\ufeffsource\ttarget\r\n{inside}\ty\r\n x \t z", **{})
    expected = [Pair(inside, ("y",)), Pair(" x ", (" z",))]
    assert list(read_pairs(data, "train")) == expected


def test_gzip_is_known_by_content(tmp_path):
    data = tsv(tmp_path, gzip.compress(b"source\ttarget\na\tb\n"))
    assert list(read_pairs(data, "train")) == [Pair("a", ("b",))]


def test_several_target_columns_are_references_and_may_be_partly_empty(tmp_path):
    data = tsv(tmp_path, "s\tx\ty\na\tb\tc\nd\t\te\n", source_column="s", target_column=["x", "y"])
    assert list(read_pairs(data, "dev")) == [Pair("a", ("b", "c")), Pair("d", ("e",))]
    assert list(read_pairs(data, "train")) == [
        Pair("a", ("b",)),
        Pair("a", ("c",)),
        Pair("d", ("e",)),
    ]


def test_rows_with_one_source_are_grouped_outside_training(tmp_path):
    rows = "a\tb\nc\td\na\te\na\tb\n"
    data = tsv(tmp_path, rows, **NUMBERED)
    assert list(read_pairs(data, "dev")) == [Pair("a", ("b", "e")), Pair("c", ("d",))]
    assert len(list(read_pairs(data, "train"))) == 4
    apart = tsv(tmp_path, rows, group_references=False, **NUMBERED)
    assert len(list(read_pairs(apart, "dev"))) == 4


def test_text_is_one_source_where_a_model_reads_the_same(tmp_path):
    rows = "caf\u00e9\tb\ncafe\u0301\tc\nCaf\u00e9\td\n"
    found = list(read_pairs(tsv(tmp_path, rows, **NUMBERED), "dev"))
    assert [pair.references for pair in found] == [("b", "c"), ("d",)]
    lower = tsv(tmp_path, rows, source={"lowercase": True}, **NUMBERED)
    assert [pair.references for pair in read_pairs(lower, "dev")] == [("b", "c", "d")]
    apart = tsv(tmp_path, rows, source={"normalization": "none"}, **NUMBERED)
    assert len(list(read_pairs(apart, "dev"))) == 3


def test_rows_with_one_source_are_grouped_in_json_and_parallel_files(tmp_path):
    content = "".join(
        json.dumps({"source": source, "target": target}) + "\n"
        for source, target in (("a", "b"), ("c", ["d", "x"]), ("a", ["e", "b"]))
    )
    side = parallel(tmp_path, "a\nc\na\n", "b\nd\ne\n", "b\nx\nb\n")
    for data in (jsonl(tmp_path, content), side):
        found = list(read_pairs(data, "dev"))
        assert found == [Pair("a", ("b", "e")), Pair("c", ("d", "x"))]
        assert (count_rows(found), [len(pair.rows) for pair in found]) == (3, [2, 1])
        apart = data.model_copy(update={"group_references": False})
        assert len(list(read_pairs(apart, "dev"))) == 3


def test_rows_of_one_recording_or_array_are_grouped(tmp_path):
    table = "audio\tstart\tend\ttext\na.wav\t0\t1\tx\na.wav\t1\t2\ty\n./a.wav\t\t1\tz\n"
    (tmp_path / "a.tsv").write_text(table)
    tree = {"folder": tmp_path, "train": "a.tsv", "dev": "a.tsv"}
    sound = SoundData.model_validate(tree | {"kind": "sound"})
    assert [pair.references for pair in read_pairs(sound, "dev")] == [("x", "z"), ("y",)]
    (tmp_path / "b.tsv").write_text("id\ttext\nk\tx\nl\ty\nk\tz\n")
    files = {"manifest": "b.tsv", "arrays": "b.npz"}
    features = FeaturesData.model_validate(
        tree | {"kind": "features", "train": files, "dev": files}
    )
    assert [pair.references for pair in read_pairs(features, "dev")] == [("x", "z"), ("y",)]
    assert len(list(read_pairs(features, "train"))) == 3


def test_boxes_stay_with_the_answer_that_they_are_of(tmp_path):
    rows = ["image\ttext\tboxes", "a.png\tone two\t[]", "b.png\tthree\t[[0, 0, 0, 1, 1]]"]
    rows += ["a.png\tfour\t[[0, 1, 1, 2, 2]]", "a.png\tfive\t[[0, 3, 3, 4, 4]]"]
    (tmp_path / "a.tsv").write_text("\n".join(rows) + "\n")
    tree = {"folder": tmp_path, "train": "a.tsv", "dev": "a.tsv", "boxes_column": "boxes"}
    data = PictureData.model_validate(tree | {"kind": "picture"})
    first, second = read_pairs(data, "dev")
    assert first.references == ("one two", "four", "five")
    assert first.boxes == ((), ())
    assert [row.boxes for row in first.rows] == [
        ((), ()),
        (((1.0, 1.0, 2.0, 2.0),),),
        (((3.0, 3.0, 4.0, 4.0),),),
    ]
    assert second.rows == (second,)


def test_jsonl_takes_text_lists_and_dotted_fields(tmp_path):
    content = '{"source": "a", "t": {"de": "b"}}\n{"source": "c", "t": {"de": ["d", "e"]}}\n'
    data = jsonl(tmp_path, content, target_field="t.de")
    assert list(read_pairs(data, "dev")) == [Pair("a", ("b",)), Pair("c", ("d", "e"))]


def test_parallel_files_with_two_references(tmp_path):
    data = parallel(tmp_path, "a\nb\n", "c\nd\n", "e\nf")
    assert list(read_pairs(data, "dev")) == [Pair("a", ("c", "e")), Pair("b", ("d", "f"))]
    assert [path.name for path in split_files(data, "dev")] == ["a.0", "a.1", "a.2"]


def test_reading_streams(tmp_path):
    data = tsv(tmp_path, b"a\tb\n\xff\tc\n", **NUMBERED)
    pairs = read_pairs(data, "train")
    assert next(pairs) == Pair("a", ("b",))
    with pytest.raises(UserError, match=r"a\.tsv:2: not UTF-8"):
        next(pairs)


# ------------------------------------------------------------------------------------- bad input

BAD_TSV = {
    "missing column": (
        "word\tphones\na\tb\n",
        {"source_column": "word"},
        r":1: column 'target' is missing; found: word, phones",
    ),
    "doubled column": ("source\ttarget\ttarget\n", {}, "column 'target' occurs twice"),
    "no header": ("", {}, ":1: no header"),
    "one side": ("a\tb\nc\n", NUMBERED, ":2: one side is missing: found 1 cells, expected 2"),
    "too many cells": ("source\ttarget\na\tb\tc\n", {}, ":2: found 3 cells, expected 2"),
    "empty source": ("a\tb\n \tc\n", NUMBERED, r":2: the source \(column 1\) is empty"),
    "empty target": ("a\tb\nc\t\n", NUMBERED, r":2: the target \(column 2\) is empty"),
    "name and number": ("a\tb\n", {"source_column": 1}, "column 1 is a number"),
    "empty data set": ("", NUMBERED, "holds no pairs"),
    "header only": ("source\ttarget\n", {}, "holds no pairs"),
    "NUL": ("a\tb\nc\0\td\n", NUMBERED, ":2: a NUL byte at byte 2"),
    "UTF-16": ("a\tb\n".encode("utf-16-le"), NUMBERED, ":1: a NUL byte at byte 2"),
    "Latin-1": (b"a\tb\nc\tcaf\xe9\n", NUMBERED, ":2: not UTF-8: byte 0xe9 at byte 6"),
}


@pytest.mark.parametrize("case", BAD_TSV)
def test_bad_tsv(tmp_path, case):
    content, options, message = BAD_TSV[case]
    data = tsv(tmp_path, content, **options)
    with pytest.raises(UserError, match=message) as caught:
        list(read_pairs(data, "train"))
    text = str(caught.value)
    assert str(tmp_path / "a.tsv") in text
    assert "\n" not in text


BAD_JSONL = {
    "not JSON": ('{"source": }', ":1: not JSON: Expecting value at character 12"),
    "not an object": ('{}\n["a"]', "field 'source' is missing; found: none"),
    "no object in a line": (
        '{"source": "a", "target": "b"}\n["a"]',
        ":2: found a list, expected an object",
    ),
    "no object in an array": ('["a"]', "item 1: found text, expected an object"),
    "not closed": ('[\n{"source": "a"},\n', ":2: not JSON: Expecting value"),
    "many fields": (
        "{\n" + ",\n".join(f'"{n}": {{}}' for n in range(500)) + "}",
        r"one JSON object \(fields: 0, 1, 2, 3, 4, 5, 6, 7, \.\.\.\); expected",
    ),
    "several arrays": ('{\n"a": [{}], "b": [{}]}', r"one JSON object \(fields: a, b\); expected"),
    "missing field": ('{"source": "a", "x": 1}', "field 'target' is missing; found: source, x"),
    "wrong type": ('{"source": 5, "target": "b"}', "field 'source' is a number, expected text"),
    "truth value": ('{"source": "a", "target": true}', "field 'target' is a truth value"),
    "null": ('{"source": "a", "target": null}', "field 'target' is null"),
    "wrong type in list": ('{"source": "a", "target": ["b", {}]}', "is an object, expected text"),
    "no references": ('{"source": "a", "target": []}', "field 'target' is an empty list"),
    "empty side": ('{"source": "a", "target": " "}', "field 'target' is empty"),
    "NUL": ('{"source": "a\\u0000", "target": "b"}', "field 'source' has a NUL character"),
    "surrogate": ('{"source": "a", "target": "\\ud800"}', "has half of a surrogate pair"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "empty data set": ("", "holds no pairs"),
}


@pytest.mark.parametrize("case", BAD_JSONL)
def test_bad_jsonl(tmp_path, case):
    content, message = BAD_JSONL[case]
    with pytest.raises(UserError, match=message) as caught:
        list(read_pairs(jsonl(tmp_path, content), "train"))
    assert str(tmp_path / "a.jsonl") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a\nb\nc\nd\n", "a\nb\n", r"a\.0 has 4, .*a\.1 has 2 lines"),
        ("a\n", "a\nb\nc\n", r"a\.0 has 1, .*a\.1 has 3 lines"),
        ("a\nb\n", "a\n\n", r"a\.1:2: empty line"),
        ("", "", "holds no pairs"),
    ],
)
def test_bad_parallel_files(tmp_path, source, target, message):
    with pytest.raises(UserError, match=message):
        list(read_pairs(parallel(tmp_path, source, target), "train"))


def test_missing_file_folder_and_split(tmp_path):
    with pytest.raises(UserError, match=r"none\.tsv: no such file"):
        list(read_pairs(tsv(tmp_path, "", train="none.tsv"), "train"))
    with pytest.raises(UserError, match="is a folder; expected a file"):
        list(read_pairs(tsv(tmp_path, "", train="."), "train"))
    with pytest.raises(UserError, match=r"data\.test is not set"):
        read_pairs(tsv(tmp_path, ""), "test")


@pytest.mark.parametrize("cut", ["middle", "checksum", "garbage"])
def test_broken_gzip(tmp_path, cut):
    whole = gzip.compress("".join(f"a{n}\tb{n}\n" for n in range(9999)).encode())
    broken = {
        "middle": whole[: len(whole) // 2],
        "checksum": whole[:-8] + b"\0" * 8,
        "garbage": whole[:99] + b"\xff" * 99 + whole[198:],
    }
    (tmp_path / "a.gz").write_bytes(broken[cut])
    with pytest.raises(UserError, match=r"a\.gz: .*cannot be read as text") as caught:
        list(lines(tmp_path / "a.gz"))
    assert "\n" not in str(caught.value)


def test_gzip_by_name_only(tmp_path):
    (tmp_path / "a.gz").write_bytes(b"plain\n")
    with pytest.raises(UserError, match="not a gzip file although its name"):
        list(lines(tmp_path / "a.gz"))


def test_decode_lines_counts_bytes_of_the_line_from_one():
    with pytest.raises(UserError, match="standard input:2: not UTF-8: byte 0xff at byte 3"):
        list(decode_lines([b"a\n", b"\xc3\xa9\xff\n"], "standard input"))


# ---------------------------------------------------------------------------------- Hugging Face


def huggingface(**options) -> HuggingFaceData:
    fields = {"source_field": "translation.en", "target_field": "translation.de"}
    return HuggingFaceData.model_validate(
        {"kind": "huggingface", "name": "some/set", **fields, **options}
    )


def test_huggingface_rows(monkeypatch, tmp_path):
    asked = []

    def load_dataset(*names, **options):
        asked.append((names, options))
        return [{"translation": {"en": "a", "de": "b"}}]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    (tmp_path / "t.json").write_text(json.dumps({}))
    data = huggingface(folder=tmp_path, data_files={"train": "t.json", "other": "*.json"})
    assert list(read_pairs(data, "train")) == [Pair("a", ("b",))]
    files = {"train": str(tmp_path / "t.json"), "other": "*.json"}
    assert asked == [(("some/set", None), {"data_files": files, "split": "train"})]
    assert split_files(data, "train") == [tmp_path / "t.json"]


def test_huggingface_wrong_row_names_row_and_fields(monkeypatch):
    rows = [{"text": "a"}]
    library = SimpleNamespace(load_dataset=lambda *_, **__: rows)
    monkeypatch.setitem(sys.modules, "datasets", library)
    with pytest.raises(UserError, match=r"row 1: field 'translation\.en' is missing; found: text"):
        list(read_pairs(huggingface(), "train"))


def test_huggingface_without_the_package_or_the_data(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'kochi\[huggingface\]'"):
        list(read_pairs(huggingface(), "train"))

    def fail(*_, **__):
        raise ValueError("no split\nmany more lines")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=fail))
    with pytest.raises(
        UserError, match=r"some/set \(train\): cannot be read as a data set .no split."
    ):
        list(read_pairs(huggingface(), "train"))
