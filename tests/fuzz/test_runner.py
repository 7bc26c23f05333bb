"""The fuzzer notices what it is to notice."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kochi import cli
from tests.fuzz import runner
from tests.fuzz.case import Case, Kind, Outcome, fault, rows_answered, same_answer

Command = Callable[[], int]
READY = Case(["predict", "model"])


@pytest.mark.parametrize(
    ("code", "out", "err", "expected"),
    [
        (0, "answer\n", "", None),
        (0, "", "", "nothing was answered"),
        (1, "\n", "kochi: warning: x.npy: holds no frames (no prediction)\n", None),
        (1, "\n", "", "exit code 1 without a reason"),
        (2, "", "kochi: run.toml: wrong\n", None),
        (2, "", "", "0 lines of error; expected one, at the end"),
        (2, "", "kochi: one\nkochi: two\n", "2 lines of error; expected one, at the end"),
        (2, "", "kochi: \x1b[31mred\n", "control character '\\x1b' on standard error"),
        (2, "", "kochi: a\x9bb\n", "control character '\\x9b' on standard error"),
        (1, "", "Traceback (most recent call last):\nValueError\n", "Traceback on standard error"),
        (0, "a\n", "a.py:3: UserWarning: x\n", "a.py:3: UserWarning on standard error"),
        (0, "a\n", "odd\n", "on standard error, not of kochi: 'odd'"),
        (2, "", "kochi: [enforce fail] can't allocate memory\n", "memory was asked for that"),
        (3, "", "", "exit code 3"),
    ],
)
def test_outcomes(code: int, out: str, err: str, expected: str | None):
    found = fault(READY, Outcome(code, out, err, Path()))
    assert found == expected or (expected is not None and found and found.startswith(expected))


def test_answers_are_counted_compared_and_parsed():
    answered = Outcome(0, '{"text": NaN}\n', "", Path())
    assert fault(Case(["predict"], check=rows_answered(1)), answered) is None
    assert fault(Case(["predict"], check=rows_answered(2)), answered) is not None
    assert fault(Case(["predict"], check=same_answer("b\n")), answered) is not None
    assert fault(Case(["predict", "--json"]), answered) == "a line that is not JSON: NaN"


def _fail() -> int:
    raise KeyError("a")


def _hang() -> int:
    time.sleep(60)
    return 0


def _crash() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _take_memory() -> int:
    return len(bytearray(3 << 30))


def _answer() -> int:
    print("answer")
    return 0


def _refuse() -> int:
    print("kochi: refused", file=sys.stderr)
    return 2


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_case_is_survived_whatever_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "SECONDS", 1.0)
    commands: list[Command] = [_answer, _fail, _hang, _crash, _take_memory, _refuse]

    def numbered(number: int) -> runner.Report:
        def made(draw: object, seeds: Path, folder: Path) -> Case:
            cli.main = lambda arguments=None: commands[number]()  # in the process of the case
            return Case(["predict"])

        kind = Kind(made, 1, {})
        return runner.run("odd", kind, [number], 1, tmp_path / "seeds", tmp_path / "saved")

    found = [[one.what for one in numbered(number).faults] for number in range(len(commands))]
    assert found == [
        [],
        ["Traceback on standard error"],
        ["no end after 1 s"],
        ["ended by SIGKILL"],
        ["memory was asked for that there is not"],
        [],
    ]
    kept = tmp_path / "saved" / "odd-1"
    assert "KeyError: 'a'" in (kept / "stderr").read_text()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_another_process_goes_on_after_a_crash(tmp_path: Path):
    def make(draw: object, seeds: Path, folder: Path) -> Case:
        crashes = not (tmp_path / "crashed").exists()
        (tmp_path / "crashed").touch()
        cli.main = lambda arguments=None: _crash() if crashes else _answer()
        return Case(["predict"])

    kind = Kind(make, 1, {})
    report = runner.run("odd", kind, range(3), 1, tmp_path / "seeds", tmp_path / "saved")
    assert [fault.number for fault in report.faults] == [0]
    assert report.codes == {0: 2}
