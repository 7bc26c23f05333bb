"""A table of positions that is too small is one line before training, whatever needs more."""

from pathlib import Path

import pytest

RUN = """
[data]
kind = "tsv"
train = "train.tsv"
dev = "dev.tsv"
source.tokens = "characters"
target.tokens = "whitespace"

[model]
kind = "transformer"
positions = "learned"
max_positions = 30
size = 8
feedforward_size = 8
encoder_layers = 1
decoder_layers = 1
attention.num_heads = 1
self_attention.num_heads = 1

[training]
max_steps = 2
schedule.warmup_steps = 0
metric = "per"
"""


AGAIN = ("--overwrite",)


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    for split, words in (("train", ("abc", "bad", "dab")), ("dev", ("cab", "abcdabcd"))):
        rows = [f"{word}\t{' '.join(word.upper())}" for word in words]
        (tmp_path / f"{split}.tsv").write_text("\n".join(["source\ttarget", *rows]) + "\n")
    (tmp_path / "run.toml").write_text(RUN)
    return tmp_path / "run.toml"


def test_what_search_may_write(kochi, run_file):
    result = kochi("train", run_file)
    assert result.code == 2
    [line] = [line for line in result.err.splitlines() if line.startswith("kochi: ")]
    assert line.endswith(
        "dev.tsv, row 2 (abcdabcd): search may write 38 tokens (search.max_length_ratio = 2 times "
        "the source's 9 positions + search.max_length_extra = 20), but model.max_positions = 30; "
        "set model.max_positions = 38, or search.max_length_extra = 12"
    )
    # What the line says works, and nothing was begun that would have to be overwritten.
    for change, again in (("model.max_positions=38", ()), ("search.max_length_extra=12", AGAIN)):
        assert kochi("train", run_file, "--set", change, *again).code == 0, change


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_row_of_any_split(kochi, run_file, split):
    rows = (run_file.parent / "dev.tsv").read_text()
    (run_file.parent / f"{split}.tsv").write_text(rows + "ab\t" + "A B " * 20 + "\n")
    result = kochi("train", run_file, "--set", f'data.{split}="{split}.tsv"')
    assert result.code == 2
    assert f"{split}.tsv, row 3 (ab): the target has 41 tokens with its end mark" in result.err
    assert "Traceback" not in result.err
    assert not result.out


def test_a_warm_up_longer_than_the_training_is_said(kochi, run_file):
    changes = ("model.max_positions=64", "training.schedule.warmup_steps=50")
    result = kochi("train", run_file, *(part for one in changes for part in ("--set", one)))
    assert result.code == 0
    [line] = [line for line in result.err.splitlines() if "warm-up" in line]
    assert "warmup_steps = 50) is longer than the training (2 steps)" in line
    assert "ends at 4 % of training.learning_rate" in line
