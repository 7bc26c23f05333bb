"""What every study is, and how it is done."""

import abc
import inspect
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import torch

import kochi
from kochi.errors import UserError
from kochi.studies.cells import Budget, Cell, Pace, Store, measure_all
from kochi.studies.claims import Claim, judge
from kochi.studies.reading import Found, Reading, Results
from kochi.studies.report import Circumstances, Ran, Report, Table, write_report
from kochi.studies.task import Draws, made_up

Say = Callable[[str], object]
NEEDED: Mapping[str, str] = {
    "text": "pairs of text",
    "audio": "recordings",
    "features": "features",
    "image": "pictures",
}


class Study(abc.ABC):
    """A question, the cells that answer it, and the claims that their results are read for.

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
    reads: ClassVar[tuple[str, ...]] = ("text",)
    training_minutes: ClassVar[float] = 0.0
    timing_minutes: ClassVar[float] = 0.0

    def default(self, folder: Path, size: int) -> Draws:
        """Return the tasks that are made up where the user gives none.

        Args:
            folder: Where data are written to unless they are there.
            size: Width of the models.
        """
        return made_up(folder / "text", size)

    def check(self, draws: Draws) -> None:
        """Refuse data of the wrong kind.

        Raises:
            UserError: The study cannot be done on them.
        """
        if draws.reads not in self.reads:
            needed = " or ".join(NEEDED[kind] for kind in self.reads)
            raise UserError(
                f"{draws.name}: the data are of kind {draws.any.run.data.kind!r}; {self.name} "
                f"needs {needed}"
            )

    @abc.abstractmethod
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        """Return what is measured with a seed, by labels that are the same for all seeds.

        Raises:
            UserError: The task does not fit the study.
        """

    @abc.abstractmethod
    def claims(self, draws: Draws) -> tuple[Claim[Any], ...]:
        """Return the claims that are put to the test; set before anything is measured."""

    @abc.abstractmethod
    def table(self, reading: Any) -> Table:
        """Return the figures; where a label has none, it is left out."""

    def reading(self, draws: Draws, found: Found) -> Reading:
        """Return what makes figures of the results."""
        return Reading(draws, found)

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
        first: The first of them: other seeds are other draws.
        jobs: How many processes may work at once.
        minutes: Begin nothing that would not be done by then; None: no limit.
        command: What the user typed.
        against: Folders of other runs, whose verdicts are set beside those of this one.
        start: When the minutes began, as `time.monotonic` has it; None: now.
    """

    out: Path
    seeds: int = 5
    first: int = 1
    jobs: int = 1
    minutes: float | None = None
    command: str = ""
    against: tuple[Path, ...] = ()
    start: float | None = None


FIRST_RESERVE_SECONDS = 20.0  # for reports that were never written yet


def do(tasks: Mapping[Study, Draws], options: Options, say: Say) -> dict[str, Report]:
    """Measure what is missing, first every cell with one seed, then with the next, and so on.

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
    elsewhere = {study: _elsewhere(study, options) for study in tasks}
    seeds = range(options.first, options.first + options.seeds)
    for number, seed in enumerate(seeds, 1):
        cells: dict[str, Cell] = {}
        for study, draws in tasks.items():
            for label, cell in study.cells(draws, seed).items():
                _add(cells, f"{study.name}: {label}, draw {seed}", cell)
        for cell in cells.values():
            cell.check()
        measure_all(_each_once(cells), store, options.jobs, budget, say, pace)
        began = time.monotonic()
        for study, draws in tasks.items():
            found = _found(study, draws, store, seeds[:number])
            reports[study.name] = _report(study, draws, found, options, elsewhere[study])
        budget.reserve = 1.5 * (time.monotonic() - began)
    return reports


def _add(cells: dict[str, Cell], label: str, cell: Cell) -> None:
    """Add a cell after all that it takes up."""
    for before in cell.after:
        _add(cells, f"{label}, {before.purpose}", before)
    cells[label] = cell


def _each_once(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Drop cells that another study has, too."""
    names: dict[str, str] = {}
    for label, cell in cells.items():
        names.setdefault(cell.name, label)
    return {label: cells[label] for label in names.values()}


def _found(study: Study, draws: Draws, store: Store, seeds: Sequence[int]) -> Found:
    """Return what was measured so far."""
    found: dict[str, dict[int, Any]] = {}
    for seed in seeds:
        for label, cell in study.cells(draws, seed).items():
            results = found.setdefault(label, {})
            result = store.find(cell)
            if result is not None:
                results[seed] = result
    return found


def _report(
    study: Study,
    draws: Draws,
    found: Found,
    options: Options,
    elsewhere: Mapping[str, Mapping[str, str]],
) -> Report:
    reading = study.reading(draws, found)
    report = Report(
        study.table(reading),
        judge(study.claims(draws), reading),
        tuple(_ran(label, results) for label, results in found.items()),
        elsewhere,
    )
    write_report(options.out / study.name, study.question, report, _about(draws, options))
    return report


def _ran(label: str, results: Results) -> Ran:
    whole = [one for one in results.values() if "learning_rate" in one]
    return Ran(
        label,
        tuple(results),
        tuple(seed for seed, one in results.items() if not one.get("trained", True)),
        whole[0]["learning_rate"] if whole else None,
        whole[0]["steps"] if whole else None,
        fmean(one["seconds"] for one in whole) if whole else None,
    )


def _elsewhere(study: Study, options: Options) -> dict[str, dict[str, str]]:
    """Return what other runs say of the claims."""
    verdicts: dict[str, dict[str, str]] = {}
    for folder in options.against:
        file = folder / study.name / "report.json"
        if not file.exists():
            continue
        try:
            claims = json.loads(file.read_bytes())["claims"]
            for claim in claims:
                verdicts.setdefault(claim["text"], {})[folder.name] = claim["verdict"]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{file}: expected the report of a study, found something else; make it anew"
            ) from None
    return verdicts


def _about(draws: Draws, options: Options) -> Circumstances:
    versions = (
        f"kochi {kochi.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return Circumstances(options.command, draws.name, _machine(), versions, now)


def _machine() -> str:
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
