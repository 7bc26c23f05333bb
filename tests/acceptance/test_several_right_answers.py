"""Rows of one source are one source with several right answers, in data of every kind."""

import json
from pathlib import Path

import pytest

from tests.hearing import write_features, write_sounds
from tests.seeing import write_pictures

ROWS = [("ab", "A B"), ("cd", "C D"), ("ab", "A P"), ("ef", "E F"), ("cd", "C T")]
RUN = """
[data]
{data}
source.tokens = "characters"
target.tokens = "whitespace"

[model]
kind = "rnn"
embedding_size = 4
hidden_size = 4

[training]
max_steps = 1
metric = "exact"
"""


def write_tsv(folder: Path) -> str:
    lines = [f"{source}\t{target}" for source, target in ROWS]
    (folder / "a.tsv").write_text("\n".join(["source\ttarget", *lines]) + "\n")
    return 'kind = "tsv"\ntrain = "a.tsv"\ndev = "a.tsv"'


def write_jsonl(folder: Path) -> str:
    lines = [json.dumps({"source": source, "target": target}) for source, target in ROWS]
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    return 'kind = "jsonl"\ntrain = "a.jsonl"\ndev = "a.jsonl"'


def write_parallel(folder: Path) -> str:
    for side, name in enumerate(("a.in", "a.out")):
        (folder / name).write_text("".join(row[side] + "\n" for row in ROWS))
    files = '{ source = "a.in", target = "a.out" }'
    return f'kind = "parallel"\ntrain = {files}\ndev = {files}'


@pytest.mark.parametrize("write", [write_tsv, write_jsonl, write_parallel])
def test_of_text(kochi, write, tmp_path):
    run_file = tmp_path / "run.toml"
    run_file.write_text(RUN.format(data=write(tmp_path)))
    assert kochi("train", run_file).code == 0
    result = kochi("evaluate", tmp_path / "model", "dev")
    assert result.lines[0] == "5 rows, 3 sources", result.err
    record = json.loads(kochi("evaluate", tmp_path / "model", "dev", "--json").out)
    assert (record["rows"], record["pairs"]) == (5, 3)
    assert "nrefs:var" in record["scores"]["exact"]["signature"]
    dev = json.loads((tmp_path / "model" / "metrics.json").read_text())["dev"]
    assert (dev["rows"], dev["sources"]) == (5, 3)
    apart = ("--set", "data.group_references=false", "--overwrite")
    assert kochi("train", run_file, *apart).code == 0
    assert kochi("evaluate", tmp_path / "model", "dev").lines[0] == "5 sources"


@pytest.mark.parametrize("write", [write_features, write_sounds, write_pictures])
def test_of_recordings_and_pictures(kochi, write, tmp_path):
    run_file = write(tmp_path)
    name = "dev.tsv" if write is write_features else "all.tsv"
    head, *lines = (tmp_path / name).read_text().splitlines()
    held_out = [line for line in lines if "\ttrain\t" not in line][:1]
    (tmp_path / name).write_text("\n".join([head, *lines, *held_out]) + "\n")
    assert kochi("train", run_file, "--set", "training.max_steps=1").code == 0
    [first, *_] = kochi("evaluate", tmp_path / "model", "dev").lines
    rows, sources = (int(part.split()[0]) for part in first.split(", "))
    assert rows == sources + 1


def test_each_answer_points_at_its_own_boxes(kochi, seer, pictures_task):
    """Two captions of a picture in the other order: their boxes go with them."""
    table = pictures_task.parent / "all.tsv"
    head, *lines = table.read_text().splitlines()
    rows = [line.split("\t") for line in lines if "\ttest\t" in line]
    image, split, _, _ = next(row for row in rows if row[2] == "red")
    more = [[image, split, "red red", "[]"], [image, split, "red", "[[0, 8, 0, 16, 8]]"]]
    kept = [row for row in rows if row[0] != image]
    table.write_text("\n".join([head, *("\t".join(row) for row in [*kept, *more])]) + "\n")
    options = ("--metric", "pointing", "--json")
    record = json.loads(kochi("evaluate", seer, table, *options).out)
    assert record["rows"] == record["pairs"] + 1
    words = sum(len(row[2].split()) for row in kept)
    # Of all words with boxes only the one with the box of another block is missed.
    assert record["scores"]["pointing"]["value"] == pytest.approx(100 * words / (words + 1))
