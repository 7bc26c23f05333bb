import math

import pytest
import torch

from kochi.errors import UserError
from kochi.training.meter import Meter


def test_each_reader_gets_all_steps_since_its_last_call() -> None:
    meter = Meter("log", "progress")
    meter.add(1, torch.tensor([3.0, 2.0, 0.5]), 10)
    assert (meter.take("log").steps, meter.take("log").steps) == (1, 0)
    meter.add(2, torch.tensor([5.0, 4.0, 0.7]), 20)
    window = meter.take("progress")
    assert (window.steps, window.loss, window.nll, window.tokens) == (2, 8.0, 6.0, 30)
    assert meter.take("log").loss == 5.0
    assert meter.gradient_norm == pytest.approx(0.7)


def test_pauses_are_left_out() -> None:
    meter = Meter("log")
    meter.pause(-100.0)
    assert 100.0 <= meter.take("log").seconds < 101.0


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        ((math.nan, 1.0, 1.0), "the loss is not finite"),
        ((math.inf, 1.0, 1.0), "the loss is not finite"),
        ((1.0, 1.0, math.nan), "the gradient is not finite"),
    ],
)
def test_what_is_not_finite_ends_the_run_with_advice(outcome: tuple[float, ...], what: str) -> None:
    meter = Meter("log")
    with pytest.raises(UserError, match=rf"step 7: {what}.*learning_rate.*--overwrite"):
        meter.add(7, torch.tensor(outcome), 10)
