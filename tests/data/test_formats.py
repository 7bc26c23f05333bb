"""Tables, JSON and encodings as spreadsheets and other programs write them."""

import pytest

from kochi.data.manifest import read_rows
from kochi.data.pair import Pair
from kochi.data.tables import TableForm
from kochi.errors import UserError
from kochi.modalities.pairs import read_pairs
from kochi.modalities.text.tables import JsonlData, ParallelData, TsvData

QUOTED = 'No.,English,German\r\n1,"the ""cup"", 3"" wide","zwei\nZeilen, lang"\r\n2,b,c\r\n,,\r\n'
EXPECTED = [Pair('the "cup", 3" wide', ("zwei\nZeilen, lang",)), Pair("b", ("c",))]


def table(folder, content: bytes, **options):
    (folder / "a.csv").write_bytes(content)
    fixed = {"kind": "tsv", "folder": folder, "train": "a.csv", "dev": "a.csv"}
    return TsvData.model_validate(fixed | options)


SPREADSHEET = {
    "separator": ",",
    "quoted": True,
    "source_column": "English",
    "target_column": "German",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_spreadsheet_with_any_byte_order_mark(tmp_path, encoding):
    data = table(tmp_path, QUOTED.encode(encoding), **SPREADSHEET)
    assert list(read_pairs(data, "train")) == EXPECTED


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "shift_jis"])
def test_an_encoding_by_name(tmp_path, encoding):
    text = {"shift_jis": "雪\tゆき"}.get(encoding, "café\tkaˈfe"[:6] + "é")
    data = table(
        tmp_path,
        f"{text}\n".encode(encoding),
        encoding=encoding,
        source_column=1,
        target_column=2,
    )
    source, target = text.split("\t")
    assert list(read_pairs(data, "train")) == [Pair(source, (target,))]


def test_what_is_wrong_with_an_encoding(tmp_path):
    numbered = {"source_column": 1, "target_column": 2}
    data = table(tmp_path, b"a\tb\n\xff\tc\n", encoding="ascii", **numbered)
    with pytest.raises(
        UserError, match=r"a\.csv: after line \d: cannot be read as text in ascii .*--encoding"
    ):
        list(read_pairs(data, "train"))
    data = table(tmp_path, "a\tb\n".encode("utf-16-le"), encoding="latin-1", **numbered)
    with pytest.raises(UserError, match=r"a\.csv:1: a NUL character; expected text in latin-1"):
        list(read_pairs(data, "train"))
    with pytest.raises(ValueError, match="unknown encoding 'utf-9'; expected a name such as"):
        table(tmp_path, b"", encoding="utf-9")


def test_a_quote_that_is_never_closed(tmp_path):
    data = table(tmp_path, b'English,German\na,b\nc,"d\ne,f\n', **SPREADSHEET)
    with pytest.raises(
        UserError, match=r"a\.csv:3: cannot be read as a row of cells .*commas between"
    ):
        list(read_pairs(data, "train"))


def test_blank_rows_are_skipped_in_every_format(tmp_path):
    (tmp_path / "a.jsonl").write_text('\n{"source": "a", "target": "b"}\n\n \n')
    fixed = {"folder": tmp_path, "dev": None}
    data = JsonlData.model_validate({"kind": "jsonl", "train": "a.jsonl"} | fixed)
    assert list(read_pairs(data, "train")) == [Pair("a", ("b",))]
    (tmp_path / "s").write_text("a\n\nc\n\n\n")
    (tmp_path / "t").write_text("b\n\nd\n")
    files = {"source": "s", "target": "t"}
    data = ParallelData.model_validate({"kind": "parallel", "train": files} | fixed)
    assert list(read_pairs(data, "train")) == [Pair("a", ("b",)), Pair("c", ("d",))]


@pytest.mark.parametrize(
    "content",
    [
        '[{"translation": {"en": "a", "cs": "b"}}, {"translation": {"en": "c", "cs": "d"}}]',
        '{"version": 1,\n "data": [{"translation": {"en": "a", "cs": "b"}},\n'
        '  {"translation": {"en": "c", "cs": "d"}}]}',
        '{"translation": {"en": "a", "cs": "b"}}\n{"translation": {"en": "c", "cs": "d"}}\n',
    ],
)
def test_arrays_and_nested_fields(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    data = JsonlData(
        kind="jsonl",
        folder=tmp_path,
        train=tmp_path / "a.json",
        source_field="translation.en",
        target_field="translation.cs",
    )
    assert list(read_pairs(data, "train")) == [Pair("a", ("b",)), Pair("c", ("d",))]


def test_manifests_in_every_form(tmp_path):
    (tmp_path / "a.csv").write_text('file_name,text\na.png,"a, b"\n')
    (tmp_path / "a.json").write_text('[{"file_name": "a.png", "text": "a, b"}]')
    for name in ("a.csv", "a.json"):
        [row] = read_rows(tmp_path / name, TableForm(",", quoted=True))
        assert row.cells == {"file_name": "a.png", "text": "a, b"}


def test_tags_stand_behind_a_tab(tmp_path):
    content = b"lemma,form,case,number\nhaz,hazak,NOM,PL\nhaz,hazat,ACC;DEF,SG\n"
    named = {"source_column": "lemma", "target_column": "form", "separator": ","}
    data = table(tmp_path, content, tags_column=["case", "number"], **named)
    assert [pair.source for pair in read_pairs(data, "train")] == [
        "haz\tNOM;PL",
        "haz\tACC;DEF;SG",
    ]
    assert len(list(read_pairs(data, "dev"))) == 2  # other tags are another source
    (tmp_path / "a.jsonl").write_text('{"source": "a", "target": "b", "tags": ["N", "PL"]}\n')
    fixed = {"kind": "jsonl", "folder": tmp_path, "train": "a.jsonl", "tags_field": "tags"}
    data = JsonlData.model_validate(fixed)
    assert [pair.source for pair in read_pairs(data, "train")] == ["a\tN;PL"]
