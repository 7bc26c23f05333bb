"""What every study is, and how it is done."""

import abc
import inspect
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import torch

import kochi
from kochi.errors import UserError
from kochi.studies.cells import Budget, Cell, Pace, Result, Store, measure_all
from kochi.studies.report import Circumstances, Report, write_report
from kochi.studies.task import Reads, Task, made_up

Found = Mapping[str, Sequence[Result]]  # for each label, a result for each seed
Say = Callable[[str], object]
NEEDED: Mapping[Reads, str] = {
    "text": "pairs of text",
    "speech": "recordings or features",
    "pictures": "pictures",
}


class Study(abc.ABC):
    """A question, the cells that answer it, and how their results are read.

    The docstring of its file says the question (first line), the answer that is expected, and
    where it comes from.

    Attributes:
        name: As the command knows it.
        reads: What data it can be done on; the default ones are of the first kind.
        training_minutes: How long the trainings of one seed take on one core, with the default task
            on the machine of `kochi.studies.pace.YARDSTICK_MS`.
        timing_minutes: The same for its cells that run alone.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[Reads, ...]] = ("text",)
    training_minutes: ClassVar[float] = 0.0
    timing_minutes: ClassVar[float] = 0.0

    def default(self, folder: Path, size: int) -> Task:
        """Return the task that is made up where the user gives none.

        Args:
            folder: Where data are written to unless they are there.
            size: Width of the models.
        """
        return made_up(folder / "text", size)

    def check(self, task: Task) -> None:
        """Refuse data of the wrong kind.

        Raises:
            UserError: The study cannot be done on them.
        """
        if task.reads not in self.reads:
            needed = " or ".join(NEEDED[kind] for kind in self.reads)
            raise UserError(
                f"{task.name}: the data are of kind {task.run.data.kind!r}; {self.name} needs "
                f"{needed}"
            )

    @abc.abstractmethod
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        """Return what is measured with a seed, by labels that are the same for all seeds.

        Raises:
            UserError: The task does not fit the study.
        """

    @abc.abstractmethod
    def report(self, task: Task, found: Found) -> Report:
        """Read the results; where a label has none, the figure is left out."""

    @property
    def question(self) -> str:
        """The first line of the file's docstring."""
        return self.text.splitlines()[0]

    @property
    def text(self) -> str:
        """The file's docstring."""
        module = sys.modules[type(self).__module__]
        return inspect.cleandoc(module.__doc__ or "")


@dataclass(frozen=True)
class Options:
    """How studies are done.

    Attributes:
        out: Where results and reports are kept.
        seeds: How many seeds each cell is measured with.
        jobs: How many processes may work at once.
        minutes: Begin nothing that would not be done by then; None: no limit.
        command: What the user typed.
        share: Of the default tasks' training steps, for a machine that is too slow for all.
        start: When the minutes began, as `time.monotonic` has it; None: now.
    """

    out: Path
    seeds: int = 3
    jobs: int = 1
    minutes: float | None = None
    command: str = ""
    share: float = 1.0
    start: float | None = None


FIRST_RESERVE_SECONDS = 20.0  # for reports that were never written yet


def do(tasks: Mapping[Study, Task], options: Options, say: Say) -> dict[str, Report]:
    """Measure what is missing, first every cell with seed 1, then with seed 2, and so on.

    After each seed the reports are written, so that they are there whenever somebody stops it.

    Args:
        tasks: Which studies, each with what it is done on.
        options: How.
        say: Told how it goes, a line at a time.

    Raises:
        Interrupted: Somebody wants to stop; the same call goes on.
        UserError: The data do not allow it.
    """
    store = Store(options.out)
    pace = Pace(store)
    seconds = None if options.minutes is None else 60.0 * options.minutes
    start = time.monotonic() if options.start is None else options.start
    budget = Budget(seconds, start, FIRST_RESERVE_SECONDS)
    reports: dict[str, Report] = {}
    for seed in range(1, options.seeds + 1):
        cells: dict[str, Cell] = {}
        for study, task in tasks.items():
            for label, cell in study.cells(task, seed).items():
                cells.setdefault(f"{study.name}: {label}, seed {seed}", cell)
        for cell in cells.values():
            cell.check()
        measure_all(_each_once(cells), store, options.jobs, budget, say, pace)
        began = time.monotonic()
        for study, task in tasks.items():
            reports[study.name] = _report(study, task, options, store, seed)
        budget.reserve = 1.5 * (time.monotonic() - began)
    return reports


def _each_once(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Drop cells that another study has, too."""
    names: dict[str, str] = {}
    for label, cell in cells.items():
        names.setdefault(cell.name, label)
    return {label: cells[label] for label in names.values()}


def _report(study: Study, task: Task, options: Options, store: Store, seeds: int) -> Report:
    found: dict[str, list[Result]] = {}
    missing = 0
    for seed in range(1, seeds + 1):
        for label, cell in study.cells(task, seed).items():
            result = store.find(cell)
            found.setdefault(label, [])
            if result is None:
                missing += 1
            else:
                found[label].append(result)
    report = study.report(task, found)
    notes = (*report.notes, *_cuts(missing, seeds * len(found), options.share, task))
    report = replace(report, notes=notes)
    write_report(options.out / study.name, study.question, report, _about(task, options, seeds))
    return report


def _cuts(missing: int, count: int, share: float, task: Task) -> list[str]:
    """Say what the time did not suffice for."""
    cuts = []
    if share < 1.0:
        cuts.append(
            f"Trained for {task.run.training.max_steps} steps, {100.0 * share:.0f} % of the usual "
            "number, as this machine is too slow for more in the time given."
        )
    if missing:
        cuts.append(f"Left out for lack of time: {missing} of {count} measurements.")
    return cuts


def _about(task: Task, options: Options, seeds: int) -> Circumstances:
    versions = (
        f"kochi {kochi.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return Circumstances(options.command, task.name, _machine(), versions, now, seeds)


def _machine() -> str:
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
