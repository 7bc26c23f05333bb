import csv
from pathlib import Path

import pytest
import torch

from kochi.data.tokenizer import train_tokenizer
from kochi.memory import Words
from kochi.modalities import Attended
from kochi.modalities.tables import Tokens
from kochi.training import logs as logs_module
from kochi.training.examples import Example
from kochi.training.logs import EVALUATION_COLUMNS, TRAIN_COLUMNS, CsvLog, Logs
from kochi.training.state import Evaluation, RunState


def test_rows_are_appended_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    log = CsvLog(path, ("step", "loss", "metric"), step=0)
    log.write({"step": 10, "loss": 1.23456789012, "metric": None, "other": 3})
    assert path.read_text() == "step,loss,metric\n10,1.2345679,\n"
    log.close()


def test_a_resumed_run_drops_the_rows_that_it_will_write_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("step,loss\n10,1\n20,2\n30,3\n4")  # killed in the middle of a row
    log = CsvLog(path, ("step", "loss"), step=20)
    log.write({"step": 30, "loss": 2.5})
    log.close()
    assert path.read_text() == "step,loss\n10,1\n20,2\n30,2.5\n"


def test_a_log_of_other_columns_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("step,loss,more\n10,1,2\n")
    CsvLog(path, ("step", "loss"), step=20).close()
    assert path.read_text() == "step,loss\n"


def test_cells_with_commas_survive_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for step, text in ((10, 'a, "b"'), (20, "c")):
        log = CsvLog(path, ("step", "text"), step=step - 10)
        log.write({"step": step, "text": text})
        log.close()
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["step", "text"], ["10", 'a, "b"'], ["20", "c"]]


def test_alignments_are_drawn_rarely_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    now = [0.0]
    monkeypatch.setattr(logs_module.time, "monotonic", lambda: now[0])
    reader = train_tokenizer(Tokens(tokens="characters"), ["ab"])
    alignment, names = torch.ones(1, 3) / 3, ("a", "b", "<eos>")
    attended = Attended(reader, "ab", "A", ("A",), ("A",), alignment, Words(), names)
    example = Example("ab", ("A B",), "A", True, attended=attended)
    logs = Logs(tmp_path, RunState())
    for step, second in ((1, 1.0), (2, 60.0), (3, 61.0)):
        now[0] = second
        logs.examples(step, [example])
    logs.close()
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {one.step for one in board.Images("dev/example_alignments")} >= {2, 3}
    assert 1 not in {one.step for one in board.Images("dev/example_alignments")}
    assert len(board.Tensors("dev/example_1/text_summary")) == 3


@pytest.mark.parametrize("step", [0, 10])
def test_all_logs_are_written(tmp_path: Path, step: int) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logs = Logs(tmp_path, RunState(step=step))
    logs.train({**dict.fromkeys(TRAIN_COLUMNS, 0.5), "step": 20})
    logs.evaluation({**dict.fromkeys(EVALUATION_COLUMNS, 2.5), "step": 20, "metric": None})
    logs.close()
    assert (tmp_path / "train.csv").read_text().splitlines()[1].startswith("20,0.5,")
    assert (tmp_path / "evaluations.csv").read_text().splitlines()[1] == "20,2.5,2.5,,2.5"
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in board.Scalars("train/nll")] == [(20, 0.5)]
    assert [(e.step, e.value) for e in board.Scalars("dev/loss")] == [(20, 2.5)]
    assert "dev/metric" not in board.Tags()["scalars"]


def test_a_clock_that_was_set_back_leaves_the_order_of_event_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.summary.writer import event_file_writer

    values = {**dict.fromkeys(TRAIN_COLUMNS, 0.5), "step": 20}
    for clock, step, nll in ((3000.0, 0, 1.0), (2000.0, 10, 2.0), (1000.0, 10, 3.0)):
        for module in (logs_module, event_file_writer):
            monkeypatch.setattr(module.time, "time", lambda clock=clock: clock)
        logs = Logs(tmp_path, RunState(step=step))
        logs.train({**values, "nll": nll})
        logs.close()
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train/nll")
    assert [(one.step, one.value) for one in found] == [(20, 3.0)]
    assert (tmp_path / "train.csv").read_text().count("\n") == 2


def test_evaluations_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    """Rows that a crash took, or that are done again, come from where the run stands."""
    (tmp_path / "evaluations.csv").write_text("step,epoch,loss,metric,seconds\n5,1,2.5,,1\n9,1,")
    (tmp_path / "examples.csv").write_text('step,source,target,prediction\n5,a,b,c\n7,"a\n')
    state = RunState(step=7, evaluation_pending=True)
    state.evaluations = [Evaluation(step, 1, 2.0 + step, None, 0.5) for step in (3, 5)]
    Logs(tmp_path, state).close()
    assert (tmp_path / "evaluations.csv").read_text().splitlines()[1:] == [
        "3,1,5,,0.5",
        "5,1,7,,0.5",
    ]
    assert (tmp_path / "examples.csv").read_text().splitlines()[1:] == ["5,a,b,c"]


@pytest.mark.parametrize("tail", ["4", "40,1.", '40,"a', '40,"a\n', "\0\0\0", "²,1\n", "40,1,2\n"])
def test_half_a_last_row_is_dropped(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"step,text\n10,{'x' * 200_000}\n20,b\n{tail}")
    CsvLog(path, ("step", "text"), step=100).close()
    assert [len(row) for row in path.read_text().splitlines()] == [9, 200_003, 4]
