"""Training that begins with the weights of another model."""

from collections.abc import Callable

import pytest
import torch

from kochi import config, folder
from kochi.errors import UserError
from kochi.training.progress import Progress
from kochi.training.run import train

MakeRun = Callable[..., config.Run]


def trained(run: config.Run) -> dict[str, torch.Tensor]:
    return folder.load_folder(train(run, progress=Progress(silent=True))).weights


def beside(run: config.Run, name: str, **training) -> config.Run:
    update = {"training": run.training.model_copy(update=training)}
    return run.model_copy(update={**update, "output": run.output.with_name(name)})


def test_the_weights_of_the_other_model_are_the_first_ones(make_run: MakeRun) -> None:
    run = make_run(epochs=1, metric="loss")
    first = trained(run)
    begun = {"start_from": run.output, "learning_rate": 1e-12}
    same = trained(beside(run, "same", **begun))
    other = trained(beside(run, "other", learning_rate=1e-12))
    assert all(torch.allclose(first[name], same[name], atol=1e-6) for name in first)
    assert not all(torch.allclose(first[name], other[name], atol=1e-3) for name in first)


def test_a_run_file_names_it_from_where_it_lies(task, tmp_path) -> None:
    run = config.read_run(task, ["training.start_from=soft"])
    assert run.training.start_from == task.parent.resolve() / "soft"
    assert config.read_run(task).training.start_from is None


def test_what_does_not_fit_is_refused(make_run: MakeRun, tmp_path) -> None:
    run = make_run(epochs=1, metric="loss")
    with pytest.raises(UserError, match=r"no-such: no such model folder"):
        trained(beside(run, "a", start_from=tmp_path / "no-such"))
    trained(run)
    wider = run.model.model_copy(update={"hidden_size": 24})
    second = beside(run, "b", start_from=run.output).model_copy(update={"model": wider})
    with pytest.raises(UserError, match=r"start_from = .*: weights: weight \S+ has shape"):
        trained(second)
    lower = run.data.model_copy(update={"target": config.Tokens(tokens="bpe", vocabulary_size=40)})
    third = beside(run, "c", start_from=run.output).model_copy(update={"data": lower})
    with pytest.raises(UserError, match="its target tokens are not those of this run"):
        trained(third)
