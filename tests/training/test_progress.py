import io

import pytest

from kochi.training import progress
from kochi.training.examples import Example
from kochi.training.progress import Progress, Window, estimate_time_left
from kochi.training.state import Evaluation


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def _window(**changes: float) -> Window:
    values = {"steps": 4, "loss": 40.0, "nll": 20.0, "tokens": 10, "seconds": 2.0}
    return Window(**{**values, **changes})


def _evaluation(loss: float | None = 1.0, metric: float | None = None) -> Evaluation:
    return Evaluation(step=20, epoch=2, loss=loss, metric=metric, seconds=61.0)


def test_time_left_adds_steps_and_evaluations() -> None:
    assert estimate_time_left(0.25, 8, 3.0, 2) == 8.0
    assert estimate_time_left(0.25, 0, 3.0, 0) == 0.0


def test_a_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    shown = Progress(stream)
    shown.start(0, 200, 5)
    shown.report(20, 1, _window(), 3723.0)
    line = "step 20/200  epoch 2/5  loss 2.000 (ppl 7.39)  5 tok/s  1:02:03 left\n"
    assert stream.getvalue() == line


def test_an_evaluation_is_a_line() -> None:
    stream = io.StringIO()
    Progress(stream).evaluated(_evaluation(3.0, 12.345), "bleu", is_best=True)
    dev = "dev loss 3.000 (ppl 20.1)  greedy bleu 12.35"
    assert stream.getvalue() == f"step 20  epoch 2  {dev}  (1:01)  best so far\n"


def test_examples_stand_below_the_evaluation_on_lines_of_their_own() -> None:
    stream = io.StringIO()
    example = Example("two\nlines \x1b[31m", ("a b", "c"), "x" * 300, finished=False)
    Progress(stream).evaluated(_evaluation(), "loss", is_best=False, examples=[example])
    lines = stream.getvalue().splitlines()
    assert lines[1:] == [
        "  source      two␊lines ␛[31m",
        "  target      a b | c",
        "  prediction  " + "x" * 200 + "… …",
    ]


def test_without_a_dev_set_an_evaluation_is_silent() -> None:
    stream = io.StringIO()
    Progress(stream).evaluated(_evaluation(None), "bleu", is_best=True)
    assert stream.getvalue() == ""


def test_a_report_without_steps_is_silent() -> None:
    stream = io.StringIO()
    Progress(stream).report(20, 1, _window(steps=0, tokens=0), 1.0)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_taken_away() -> None:
    stream = Terminal()
    shown = Progress(stream)
    shown.start(10, 200, 5)
    assert shown.interval == progress.BAR_SECONDS
    shown.report(20, 1, _window(), 62.0)
    shown.evaluating()
    shown.evaluated(_evaluation(), "loss", is_best=False)
    text = stream.getvalue()
    assert "20/200" in text
    assert "1:02 left" in text
    assert "evaluating" in text
    assert "dev loss 1.000" in text
    shown.stop()
    assert shown.interval == progress.LINE_SECONDS
    assert "\x1b[2K" in stream.getvalue()[len(text) :]  # the line is erased


def test_reports_are_due_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = Progress(io.StringIO())
    shown.start(0, 10, 1)
    assert not shown.is_due()
    now[0] += progress.LINE_SECONDS
    assert shown.is_due()
    shown.report(1, 0, _window(), 1.0)
    assert not shown.is_due()


def test_silence_and_a_closed_pipe_stop_nothing() -> None:
    silent = Progress(silent=True)
    silent.start(0, 10, 1)
    assert not silent.is_due()
    silent.message("nobody hears")
    closed = Progress(Closed())
    closed.message("nobody reads")
    assert not closed.is_due()
