"""Runs that begin with the weights of another model."""

import pytest
import torch

from kochi import folder
from kochi.data.tokenizer import Tokenizer
from kochi.errors import UserError
from kochi.modalities.pairs import split_files
from kochi.training.progress import Progress
from kochi.training.run import train


class Told(Progress):
    def __init__(self) -> None:
        super().__init__(silent=True)
        self.told: list[str] = []

    def message(self, text: str) -> None:
        self.told.append(text)


def weights(run):
    return folder.load_folder(run.output).weights


@pytest.fixture
def before(make_run):
    run = make_run("before", model={"kind": "rnn"}, epochs=1, max_steps=3)
    train(run, progress=Progress(silent=True))
    return run


def still(make_run, before, **options):
    """Return a run of one step that is too small to be seen."""
    return make_run("after", learning_rate=1e-30, max_steps=1, start_from=before.output, **options)


def test_what_has_the_same_name_and_shape_is_taken_over(make_run, before) -> None:
    attention = {"score": "location_aware"}
    run, progress = still(make_run, before, model={"kind": "rnn", "attention": attention}), Told()
    train(run, progress=progress)
    old, new = weights(before), weights(run)
    added = {name for name in new if name not in old}
    assert added and all("attention.score" in name for name in added)
    for name in new.keys() & old.keys():
        if new[name].shape == old[name].shape:
            torch.testing.assert_close(new[name], old[name], rtol=0, atol=1e-12)
    [said] = [line for line in progress.told if line.startswith("starting from")]
    assert f"{len(new) - len(added)} of {len(new)} weights; new: " in said
    assert all(name in said for name in added)


def test_a_resumed_run_does_not_start_again(make_run, before) -> None:
    run = make_run("after", epochs=1, max_steps=2, start_from=before.output)
    run = run.model_copy(update={"model": before.model})
    train(run, progress=Progress(silent=True))
    longer = run.training.model_copy(update={"max_steps": 4})
    progress = Told()
    train(run.model_copy(update={"training": longer}), resume=True, progress=progress)
    assert not [line for line in progress.told if line.startswith("starting from")]


def test_other_tokens_are_refused(make_run, before) -> None:
    data = {"target": {"tokens": "characters"}}
    run = still(make_run, before, model={"kind": "rnn"}, data=data)
    with pytest.raises(
        UserError, match=r"start_from.*target vocabulary of that model differs from"
    ):
        train(run, progress=Progress(silent=True))


def test_tokens_of_the_model_are_kept_for_other_data(make_run, before) -> None:
    run = still(make_run, before, model={"kind": "rnn"})
    [full] = split_files(run.data, "train")
    few = full.with_name("few.tsv")
    lines = full.read_text(encoding="utf-8").splitlines()
    few.write_text("\n".join([lines[0], *lines[-3:]]) + "\n", encoding="utf-8")
    run = run.model_copy(update={"data": run.data.model_copy(update={"train": few})})
    train(run, progress=Progress(silent=True))
    old, new = (folder.load_folder(one.output) for one in (before, run))
    for one, other in (old.source, new.source), (old.target, new.target):
        assert isinstance(one, Tokenizer) and isinstance(other, Tokenizer)
        assert other.tokens(range(other.size)) == one.tokens(range(one.size))


def test_a_model_of_other_sizes_is_refused(make_run, before) -> None:
    model = {"kind": "rnn", "embedding_size": 9, "hidden_size": 10}
    run = still(make_run, before, model=model)
    with pytest.raises(UserError, match=r"no matrix has the name and shape"):
        train(run, progress=Progress(silent=True))


def test_a_missing_folder_is_refused(make_run, tmp_path) -> None:
    run = make_run(start_from=tmp_path / "nothing")
    with pytest.raises(UserError, match="nothing: no such model folder"):
        train(run, progress=Progress(silent=True))
