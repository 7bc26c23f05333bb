import gzip
import re

import pytest

from kochi.errors import UserError
from kochi.modalities.detection.choices import Choices
from kochi.modalities.text.detection import find_data


def names(found):
    return {split: [path.name for path in paths] for split, paths in found.splits.items()}


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_tsv_with_a_header(tmp_path):
    write(tmp_path, words__tsv="id\tphones\tword\n1\tHH AY\thi\n")
    found = find_data(tmp_path / "words.tsv")
    assert (found.kind, found.source, found.target) == ("tsv", "word", "phones")


def test_tsv_without_a_header_goes_by_number(tmp_path):
    write(tmp_path, words__tsv="hi\tHH AY\nlow\tL OW\n")
    found = find_data(tmp_path / "words.tsv")
    assert (found.source, found.target) == (1, 2)
    assert "no header, the first row is data: hi | HH AY; if it is a header: --header" in (
        found.notes
    )
    named = find_data(tmp_path / "words.tsv", Choices(header=True))
    assert (named.source, named.target) == ("hi", "HH AY")


def test_splits_by_name(tmp_path):
    write(
        tmp_path,
        kor_train__tsv="a\tb\n",
        kor_dev__tsv="a\tb\n",
        kor_test__tsv="a\tb\n",
        jpn_train__tsv="a\tb\n",
        jpn_dev__tsv="a\tb\n",
    )
    assert names(find_data(tmp_path / "kor_train.tsv")) == {
        "train": ["kor_train.tsv"],
        "dev": ["kor_dev.tsv"],
        "test": ["kor_test.tsv"],
    }


def test_parallel_files_with_gz_and_a_named_test(tmp_path):
    for split in ("train", "val", "test_2016_flickr"):
        for side in ("en", "de"):
            with gzip.open(tmp_path / f"{split}.{side}.gz", "wt") as stream:
                stream.write("a b\n")
    found = find_data(tmp_path / "train.en.gz")
    assert (found.kind, found.source, found.target) == ("parallel", "en", "de")
    assert names(found) == {
        "train": ["train.en.gz", "train.de.gz"],
        "dev": ["val.en.gz", "val.de.gz"],
        "test": ["test_2016_flickr.en.gz", "test_2016_flickr.de.gz"],
    }
    assert find_data(tmp_path).source == "de"  # a folder is read in the order of the names


def test_target_words_in_names_give_the_direction(tmp_path):
    write(tmp_path)
    (tmp_path / "src-train.txt").write_text("a\n")
    (tmp_path / "tgt-train.txt").write_text("b\n")
    found = find_data(tmp_path / "tgt-train.txt")
    assert names(found) == {"train": ["src-train.txt", "tgt-train.txt"]}
    assert (found.source, found.target) == ("src", "tgt")


def test_jsonl_fields(tmp_path):
    write(tmp_path, pairs__jsonl='{"id": 7, "answer": "b", "text": "a"}\n')
    found = find_data(tmp_path)
    assert (found.kind, found.source, found.target) == ("jsonl", "text", "answer")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no data files found"),
        ({"a__tsv": ""}, "a.tsv: is empty"),
        ({"a__txt": "one side\n"}, "a.txt: only one side found"),
        ({"a__jsonl": '{"text": "a"}\n'}, "a.jsonl:1: found fields 'text' (text, such as 'a')"),
        ({"a__jsonl": "[1]\n"}, "a.jsonl: item 1: found a number, expected an object"),
        ({"a__jsonl": "{\n"}, "a.jsonl:1: not JSON"),
        ({"a__tsv": "x\ty\n", "b__tsv": "x\ty\n"}, "holds several data sets (a.tsv, b.tsv)"),
    ],
)
def test_what_cannot_be_understood(tmp_path, files, message):
    write(tmp_path, **files)
    with pytest.raises(UserError, match=re.escape(message)):
        find_data(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        find_data(tmp_path / "nothing")
