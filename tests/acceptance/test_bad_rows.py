"""One bad row does not cost the others: it is left out, counted and named."""

import json

import pytest
import soundfile

from tests.hearing import RATE_HZ, samples_of

ROWS = [(f"{a}{b}{c}", f"{a} {b} {c}".upper()) for a in "abc" for b in "def" for c in "ghi"]
SMALL = ["--set", "model.embedding_size=8", "--set", "model.hidden_size=8"]
SMALL += ["--set", "training.max_steps=2"]


def table(*extra):
    rows = ["\t".join(row) for row in ROWS]
    return "\n".join([*rows[:10], *extra, *rows[10:]]) + "\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parallel(folder):
    sources, targets = (list(side) for side in zip(*ROWS, strict=True))
    (folder / "train.en").write_text("\n".join([*sources[:10], "only here", *sources[10:]]) + "\n")
    (folder / "train.de").write_text("\n".join([*targets[:10], "", *targets[10:]]) + "\n")
    return folder / "train.en"


def objects(folder):
    rows = [json.dumps({"source": a, "target": b}) for a, b in ROWS]
    (folder / "a.jsonl").write_text("\n".join([*rows[:10], '{"source": "x"}', *rows[10:]]) + "\n")
    return folder / "a.jsonl"


def missing_cell(folder):
    (folder / "a.tsv").write_text(table("only here"))
    return folder / "a.tsv"


def empty_cell(folder):
    (folder / "a.tsv").write_text(table("only here\t"))
    return folder / "a.tsv"


@pytest.mark.parametrize("make", [parallel, objects, missing_cell, empty_cell])
def test_a_row_that_is_not_whole(kochi, here, make):
    data = make(here)
    result = kochi("init", data, "--no-estimate")
    assert result.code == 0, result.err
    assert "1 of 28 rows cannot be used: the row is left out; the first: " in result.out
    assert ":11: " in result.out
    result = kochi("train", "run.toml", *SMALL)
    assert result.code == 0, result.err
    assert "only here" not in (here / "model" / "source.json").read_text()


def test_rows_of_a_file_that_training_reads(kochi, here):
    (here / "train.tsv").write_text(table("only here\t"))
    (here / "dev.tsv").write_text(table("\tonly here"))
    assert kochi("init", "train.tsv", "--no-estimate").code == 0
    result = kochi("train", "run.toml", *SMALL)
    assert result.code == 0, result.err
    assert "note: 1 of 28 rows cannot be used" in result.err
    assert "note: of the dev data 1 of 28 rows cannot be used" in result.err
    assert result.err.count("train.tsv:11: the target (column 2) is empty") == 1
    result = kochi("evaluate", "model", "dev")
    assert result.code == 0
    assert "dev.tsv:11: the source (column 1) is empty" in result.err
    result = kochi("train", "run.toml", "--overwrite", *SMALL, "--set", "data.bad_rows=refuse")
    assert result.code == 2
    assert result.err.splitlines()[-1].endswith("train.tsv:11: the target (column 2) is empty")


def test_more_bad_rows_than_good_ones_stop_the_run(kochi, here):
    rows = [f"{a}\t{b}" if n < 9 else f"{a}\t" for n, (a, b) in enumerate(ROWS)]
    (here / "train.tsv").write_text("\n".join(rows) + "\n")
    (here / "dev.tsv").write_text(table())
    (here / "run.toml").write_text(
        '[data]\nkind = "tsv"\ntrain = "train.tsv"\ndev = "dev.tsv"\nsource_column = 1\n'
        'target_column = 2\n[model]\nkind = "rnn"\n'
    )
    result = kochi("train", "run.toml", *SMALL)
    assert result.code == 2
    line = result.err.splitlines()[-1]
    assert "18 of 27 rows cannot be used; the first: " in line
    assert "train.tsv:10: the target (column 2) is empty" in line


def test_a_recording_that_cannot_be_read(kochi, here):
    rows = ["audio\ttext"]
    for number in range(12):
        name = f"r{number}.wav"
        rows.append(f"{name}\tword {number % 3}")
        soundfile.write(here / name, samples_of("abcab"[: 1 + number % 5]), RATE_HZ)
    (here / "r4.wav").write_bytes(b"RIFF, but no sound")
    for split in ("train", "dev"):
        (here / f"{split}.tsv").write_text("\n".join([*rows, "gone.wav\tword 1"]) + "\n")
    assert kochi("init", "train.tsv", "--no-estimate").code == 0
    small = ["--set", "model.encoder.hidden_size=8", "--set", "model.encoder.layers=1"]
    result = kochi("train", "run.toml", *SMALL, *small)
    assert result.code == 0, result.err
    assert "note: 2 of 13 rows cannot be used: the rows are left out" in result.err
    assert "r4.wav" in result.err
