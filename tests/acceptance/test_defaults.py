"""What `kochi init` proposes for little data trains to the end, and fits the number of rows."""

import random

import pytest

from kochi.config import RnnModel, Run, read_run
from kochi.data.batches import TokenBatches
from kochi.modalities.text.tables import TextData
from kochi.training.prepare import prepare_data
from kochi.training.stream import StepStream

LETTERS = "abdegiklmnoprstu"


def write_words(folder, count, phones=True):
    """Write words beside their phones, in three splits."""
    drawn = random.Random(1)
    for split in ("train", "dev", "test"):
        rows = ["word\tphones"]
        for _ in range(count if split == "train" else 20):
            word = "".join(drawn.choices(LETTERS, k=drawn.randint(2, 12)))
            rows.append(f"{word}\t{' '.join(word.upper()) if phones else word[::-1]}")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n")


def propose(kochi, folder, monkeypatch) -> Run:
    """Return the run that `kochi init` proposes for the tables of a folder."""
    monkeypatch.chdir(folder)
    result = kochi("init", "train.tsv", "--out", "run.toml", "--overwrite", "--no-estimate")
    assert result.code == 0, result.err
    return read_run(folder / "run.toml")


def total_steps(run: Run) -> int:
    """Count the optimizer steps of a run, over the batches that it will really train on."""
    training = run.training
    batches = TokenBatches(prepare_data(run).corpus, training.batch_tokens, run.seed)
    stream = StepStream(batches, training.accumulate, training.epochs, training.max_steps)
    return stream.total_steps


@pytest.mark.parametrize("count", [25, 100, 800, 3_000])
@pytest.mark.parametrize("phones", [True, False])
def test_the_schedule_ends_before_training_can_stop(kochi, tmp_path, monkeypatch, count, phones):
    write_words(tmp_path, count, phones)
    run = propose(kochi, tmp_path, monkeypatch)
    steps, training = total_steps(run), run.training
    assert training.schedule.kind == "cosine"
    if training.patience is not None:
        assert training.patience * training.evaluate_every >= steps
    assert 1 <= training.schedule.option("warmup_steps") <= steps / 10
    assert 1 <= training.evaluate_every <= steps / 10


def test_the_proposal_depends_on_the_rows(kochi, tmp_path, monkeypatch):
    runs = {}
    for count in (100, 800, 8_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        write_words(folder, count)
        runs[count] = propose(kochi, folder, monkeypatch)
    sizes = []
    for run in runs.values():
        assert isinstance(run.model, RnnModel)
        sizes.append(run.model.hidden_size)
    assert sizes[0] < sizes[-1]
    steps = [total_steps(run) for run in runs.values()]
    assert steps[0] > 1_000  # few rows need many passes, not few steps
    assert steps[-1] > 1.3 * steps[1]


@pytest.mark.parametrize("labels", [("odd", "even"), ("noun", "verb", "adjective", "adverb")])
def test_a_target_of_few_labels_is_taken_as_words(kochi, tmp_path, monkeypatch, labels):
    drawn = random.Random(1)
    for split, count in (("train", 120), ("dev", 20)):
        words = ["".join(drawn.choices("abcd", k=drawn.randint(3, 6))) for _ in range(count)]
        rows = ["word\tlabel", *(f"{word}\t{labels[len(word) % len(labels)]}" for word in words)]
        (tmp_path / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    run = propose(kochi, tmp_path, monkeypatch)
    assert isinstance(run.data, TextData)
    assert (run.data.source.tokens, run.data.target.tokens) == ("characters", "whitespace")


def write_sentences(folder, count):
    """Write sentences beside their words in another order, in two splits."""
    drawn = random.Random(1)
    words = ["".join(drawn.choices(LETTERS, k=drawn.randint(2, 8))) for _ in range(2_000)]
    for split in ("train", "dev"):
        rows = ["en\tde"]
        for _ in range(count if split == "train" else 20):
            sentence = drawn.choices(words, k=drawn.randint(6, 14))
            rows.append(f"{' '.join(sentence)}\t{' '.join(reversed(sentence))}")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n")


def test_few_sentences_get_fewer_steps_but_not_fewer_epochs(kochi, tmp_path, monkeypatch):
    runs = {}
    for count in (200, 900):
        folder = tmp_path / str(count)
        folder.mkdir()
        write_sentences(folder, count)
        runs[count] = propose(kochi, folder, monkeypatch)
    assert runs[200].data.source.tokens == "bpe"
    assert 0.7 < runs[200].training.epochs / runs[900].training.epochs < 1.4
    assert total_steps(runs[200]) < total_steps(runs[900]) / 2
