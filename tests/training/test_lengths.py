"""Fixed tables of positions, and the warm-up, before the first step."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kochi import config
from kochi.config import read_run
from kochi.errors import UserError
from kochi.training import train
from kochi.training.lengths import warmup_warning
from kochi.training.progress import Progress
from kochi.training.schedules import SCHEDULES

pytestmark = pytest.mark.usefixtures("shapes_unchecked")  # they double the time

LEARNED = {
    "kind": "transformer",
    "positions": "learned",
    "size": 8,
    "feedforward_size": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "self_attention": {"num_heads": 1},
    "attention": {"num_heads": 1},
}


def rows(path: Path, *words: str) -> str:
    lines = [f"{' '.join(word)}\t{' '.join(word)}" for word in words]
    path.write_text("\n".join(["source\ttarget", *lines]) + "\n")
    return path.name


@pytest.fixture
def learned(tmp_path: Path) -> Callable[..., config.Run]:
    """Make a run with learned positions on words of given lengths."""

    def make(search=None, train=("abc", "ab"), dev=("ab",), test=None, data=None, **model):
        tokens = {"tokens": "whitespace"}
        splits = {"train": train, "dev": dev, "test": test}
        named = {
            split: rows(tmp_path / f"{split}.tsv", *words)
            for split, words in splits.items()
            if words
        }
        tree = {
            "output": str(tmp_path / "out"),
            "data": {"kind": "tsv", "folder": str(tmp_path), "source": tokens, "target": tokens}
            | named
            | (data or {}),
            "model": LEARNED | model,
            "training": {"max_steps": 1, "metric": "exact", "schedule": {"warmup_steps": 0}},
            "search": {"max_length_ratio": 1.0, "max_length_extra": 1, **(search or {})},
        }
        tree["model"] = {key: value for key, value in tree["model"].items() if value is not None}
        return config.check_run(tree, "test")

    return make


def refused(run: config.Run) -> str:
    with pytest.raises(UserError) as error:
        train(run, overwrite=True, progress=Progress(silent=True))
    line = str(error.value)
    assert "\n" not in line
    return line


def said(run: config.Run) -> list[str]:
    stream = io.StringIO()
    train(run, overwrite=True, progress=Progress(stream))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_every_split_is_compared_with_the_table(learned, split: str, tmp_path: Path):
    words = {"train": ("ab",), "dev": ("ab",), "test": ("ab",), split: ("ab", "abcde")}
    line = refused(learned(max_positions=5, **words))
    assert line.startswith(f"{split} data: {tmp_path / split}.tsv, row 2 (a b c d e): the target")
    assert "has 6 tokens with its end mark, but model.max_positions = 5" in line
    assert ("data.max_length = 4" in line) == (split == "train")
    needed = "set model.max_positions = 6" if split == "train" else "set model.max_positions = 7"
    assert needed in line
    train(learned(max_positions=7, **words), overwrite=True, progress=Progress(silent=True))


def test_what_search_may_write_is_compared_with_the_table(learned):
    options = {"max_length_ratio": 2.0, "max_length_extra": 4}
    line = refused(learned(search=options, max_positions=9))
    assert "row 1 (a b): search may write 10 tokens" in line
    assert "set model.max_positions = 10, or search.max_length_extra = 3" in line
    for search, size in ((options, 10), (options | {"max_length_extra": 3}, 9)):
        train(
            learned(search=search, max_positions=size),
            overwrite=True,
            progress=Progress(silent=True),
        )


def test_rows_that_are_left_out_need_no_positions(learned):
    run = learned(max_positions=5, train=("ab", "abcdefgh"), data={"max_length": 3})
    assert "1 of 2 training pairs are left out: longer than data.max_length = 3 tokens" in said(run)


def test_positions_without_a_table_have_no_limit(learned):
    run = learned(positions="sinusoidal", max_positions=2, dev=("abcdef",))
    assert train(run, progress=Progress(silent=True)) == run.output


def test_long_rows_of_dev_and_test_are_kept_and_counted(learned):
    run = learned(
        train=("abc", "ab"), dev=("abcd", "a"), test=("abcde", "a", "b"), data={"max_length": 3}
    )
    expected = (
        "1 of 2 dev sources and 1 of 3 test sources are longer than data.max_length = 3 tokens: "
        "they are kept"
    )
    assert expected in said(run)


def test_test_data_that_are_not_there_stop_nothing(learned):
    lines = said(learned(data={"test": "later.tsv"}))
    assert any(
        line.startswith("note: the lengths of the test data are not checked: ")
        and "later.tsv" in line
        for line in lines
    )


def heard_run(task: Path, table: str, encoder: str = "") -> config.Run:
    text = task.read_text()
    begin, end = text.index("[model]"), text.index("[training]")
    model = f"""[model]
kind = "transformer"
size = 8
feedforward_size = 8
encoder_layers = 1
decoder_layers = 1
self_attention.num_heads = 1
attention.num_heads = 1
{encoder}
{table}

"""
    task.write_text(text[:begin] + model + text[end:])
    return read_run(task, ["training.max_steps=1"])


TABLE = 'positions = "learned"\nmax_positions = {}'
ENCODER = (
    'encoder = {{ kind = "conv_transformer", positions = "learned", max_positions = {}, size = 8, '
    "layers = 1, channels = 2, self_attention.num_heads = 1 }}"
)


def test_frames_are_counted_as_the_encoder_leaves_them(features_task: Path):
    # The longest row has 12 frames, of which the convolutions leave 3.
    line = refused(heard_run(features_task, "", ENCODER.format(2)))
    assert "(train.tsv" not in line and "train data: " in line
    assert "the source has 3 positions, but model.encoder.max_positions = 2" in line
    assert "set model.encoder.max_positions = 3" in line
    train(
        read_run(features_task, ["training.max_steps=1", "model.encoder.max_positions=3"]),
        overwrite=True,
        progress=Progress(silent=True),
    )


def test_slower_recordings_are_longer(sound_task: Path):
    # The longest recording has 240 ms, 22 frames, 6 positions; at half the speed twice as many.
    run = heard_run(sound_task, "", ENCODER.format(7))
    train(run, overwrite=True, progress=Progress(silent=True))
    slow = ["training.max_steps=1", "training.augmentation.speeds=[0.5, 1.0]"]
    assert "has 11 positions" in refused(read_run(sound_task, slow))


def test_search_over_frames_counts_positions_of_the_memory(features_task: Path):
    # 1.0 times 3 positions + 2 are 5 tokens; the longest target has 3 and its end.
    line = refused(heard_run(features_task, TABLE.format(4)))
    assert "search may write 5 tokens (search.max_length_ratio = 1 times the source's 3" in line


def test_search_over_pictures_counts_cells(pictures_task: Path):
    line = refused(
        heard_run(pictures_task, TABLE.format(6), 'encoder = { kind = "vit", size = 8 }')
    )
    # 2 times 3 cells + 3 are 9 tokens.
    assert "search may write 9 tokens" in line
    assert "set model.max_positions = 9" in line


def test_lower_rows_of_pictures_that_share_a_state_are_named(pictures_task: Path):
    changes: list[Any] = [
        "training.max_steps=1",
        'model.encoder={ kind = "cnn_rows", channels = [8], patch = 1, max_rows = 2 }',
    ]
    lines = said(read_run(pictures_task, changes))
    assert any("up to 4 rows of cells, but model.encoder.max_rows = 2" in line for line in lines)


@pytest.mark.parametrize(
    ("warmup", "patience", "every", "expected"),
    [
        (100, None, 0, None),
        (101, None, 0, "ends at 99 % of training.learning_rate; set warmup_steps = 10, or train"),
        (29, 2, 0, None),
        (30, 2, 0, "patience = 2 can end it at step 30 (an evaluation every 10 steps)"),
        (30, 2, 20, None),
        (0, 1, 1, None),
    ],
)
def test_a_warm_up_that_may_not_end(warmup, patience, every, expected):
    tree = {"schedule": {"warmup_steps": warmup}, "patience": patience, "evaluate_every": every}
    training = config.Training.model_validate(tree)
    found = warmup_warning(training, total_steps=100, epoch_steps=10)
    assert found is None if expected is None else expected in str(found)


def test_the_warm_up_is_told_before_the_first_step(learned):
    run = learned()
    schedule = SCHEDULES.choose({"kind": "inverse_sqrt", "warmup_steps": 7})
    training = run.training.model_copy(update={"schedule": schedule})
    lines = said(run.model_copy(update={"training": training}))
    number = next(i for i, line in enumerate(lines) if line.startswith("warning: the warm-up"))
    assert "= 7) is longer than the training (1 steps)" in lines[number]
    assert all(not line.startswith("step ") for line in lines[:number])
