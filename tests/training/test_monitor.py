import pytest

from kochi import config
from kochi.training import monitor
from kochi.training.state import Evaluation, RunState


def _evaluations(*values: float, metric: bool = True) -> list[Evaluation]:
    return [
        Evaluation(step, 1, 9.0 if metric else value, value if metric else None, 0.0)
        for step, value in enumerate(values, 1)
    ]


def _steps(evaluations: list[Evaluation]) -> list[int]:
    return [e.step for e in evaluations]


def test_the_metric_says_which_is_best() -> None:
    found = _evaluations(10.0, 30.0, 20.0)
    assert _steps(monitor.best(found, "bleu", 2)) == [2, 3]
    assert _steps(monitor.best(found, "wer", 2)) == [1, 3]
    assert _steps(monitor.best(_evaluations(3.0, 1.0, 2.0, metric=False), "loss", 2)) == [2, 3]


def test_of_equals_in_the_metric_the_loss_says_which_is_best() -> None:
    losses = (3.0, 2.0, 2.5)
    found = [Evaluation(step, 1, loss, 0.0, 0.0) for step, loss in enumerate(losses, 1)]
    assert _steps(monitor.best(found, "exact", 3)) == [2, 3, 1]
    assert _steps(monitor.best(found, "wer", 3)) == [2, 3, 1]
    assert not monitor.should_stop(found[:2], config.Training(metric="exact", patience=1))
    assert monitor.should_stop(found, config.Training(metric="exact", patience=1))


def test_of_equals_the_earlier_is_best() -> None:
    assert _steps(monitor.best(_evaluations(5.0, 7.0, 7.0), "bleu")) == [2]


def test_without_a_dev_set_the_last_is_best() -> None:
    found = [Evaluation(step, 1, None, None, 0.0) for step in (1, 2, 3)]
    assert _steps(monitor.best(found, "bleu", 2)) == [3, 2]
    assert not monitor.should_stop(found, config.Training(patience=1))


@pytest.mark.parametrize(
    ("values", "stops"),
    [((1.0, 2.0), False), ((2.0, 1.0), False), ((2.0, 1.0, 1.5), True), ((2.0, 1.0, 3.0), False)],
)
def test_patience_counts_evaluations_without_a_new_best(
    values: tuple[float, ...], stops: bool
) -> None:
    training = config.Training(metric="bleu", patience=2)
    assert monitor.should_stop(_evaluations(*values), training) is stops


@pytest.mark.parametrize(
    ("last", "average", "keep", "chosen", "kept"),
    [
        (1, "last", 1, [2], {2}),  # one alone: the best
        (1, "last", 2, [2], {2, 4}),
        (2, "last", 1, [3, 4], {2, 3, 4}),
        (2, "best", 1, [2, 4], {2, 4}),
        (9, "last", 1, [1, 2, 3, 4], {1, 2, 3, 4}),
    ],
)
def test_what_is_averaged_and_kept(
    last: int, average: str, keep: int, chosen: list[int], kept: set[int]
) -> None:
    training = config.Training.model_validate(
        {"metric": "bleu", "average_last": last, "average": average, "keep_best": keep}
    )
    found = _evaluations(10.0, 40.0, 20.0, 30.0)
    assert _steps(monitor.chosen(found, training)) == chosen
    assert monitor.kept(found, training) == kept


def test_the_state_survives_as_plain_data() -> None:
    state = RunState(step=3, position={"epoch": 1, "batches": None}, evaluations=_evaluations(1.0))
    assert RunState.from_dict(state.to_dict()) == state
