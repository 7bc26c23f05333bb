import pytest

from kochi.data.manifest import read_rows
from kochi.errors import UserError


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def test_tab_separated_and_json_rows(tmp_path):
    tsv = write(tmp_path / "a.tsv", "id\ttext\nx\tone two\ny\tthree\n")
    rows = list(read_rows(tsv))
    assert [row.cells for row in rows] == [
        {"id": "x", "text": "one two"},
        {"id": "y", "text": "three"},
    ]
    assert rows[1].where == f"{tsv}:3"
    jsonl = write(tmp_path / "a.jsonl", '{"id": "x", "start": 1.5}\n{"id": "y"}\n')
    assert [row.cells for row in read_rows(jsonl)] == [{"id": "x", "start": 1.5}, {"id": "y"}]


def test_rows_of_a_split(tmp_path):
    path = write(tmp_path / "a.tsv", "id\tsplit\na\ttrain\nb\tdev\nc\ttrain\n")
    assert [row.text("id") for row in read_rows(path, None, "split", "train")] == ["a", "c"]
    with pytest.raises(UserError, match=r"a\.tsv: contains no rows with 'test' in column 'split'"):
        list(read_rows(path, None, "split", "test"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", r"a\.tsv:1: no header"),
        ("id\tid\n", r"a\.tsv:1: duplicate column name; found: id, id"),
        ("id\ttext\nx\n", r"a\.tsv:2: found 1 cells, expected 2"),
        ("id\ttext\n", r"a\.tsv: contains no rows; expected at least one"),
        ('{"id": 1}\n{', r"a\.tsv:2: not JSON"),
        ('{"id": 1}\n[]', r"a\.tsv:2: found a list, expected an object"),
    ],
)
def test_what_can_be_wrong_with_a_file(tmp_path, content, expected):
    path = write(tmp_path / "a.tsv", content)
    with pytest.raises(UserError, match=expected):
        list(read_rows(path))


def test_what_can_be_wrong_with_a_cell(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": " ", "id": 5}\n')
    [row] = read_rows(path)
    with pytest.raises(UserError, match=r"a\.jsonl:1: column 'audio' is missing; found: text, id"):
        row.get("audio")
    with pytest.raises(UserError, match=r"a\.jsonl:1: 'text' is empty"):
        row.text("text")
    with pytest.raises(UserError, match=r"a\.jsonl:1: 'id' is 5, expected text"):
        row.text("id")
