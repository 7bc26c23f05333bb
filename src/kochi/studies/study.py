"""The interface of studies, and how they are run."""

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
    """A question, the cells that answer it, and the claims that their results are tested for.

    The module's docstring contains the question (first line), the expected answer, and its source.

    Attributes:
        name: The name in the command.
        reads: The kinds of data that it supports; the default data are of the first kind.
        training_minutes: Duration of the trainings of one seed on one core, with the default task
            on the machine of `kochi.studies.pace.YARDSTICK_MS`.
        timing_minutes: The same for its cells that run alone.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ("text",)
    training_minutes: ClassVar[float] = 0.0
    timing_minutes: ClassVar[float] = 0.0

    def default(self, folder: Path, size: int) -> Draws:
        """Return the synthetic tasks that are the default.

        Args:
            folder: The folder that data are written to unless they exist.
            size: Width of the models.
        """
        return made_up(folder / "text", size)

    def check(self, draws: Draws) -> None:
        """Check that the data are of a supported kind.

        Raises:
            UserError: They are not suitable for the study.
        """
        if draws.reads not in self.reads:
            needed = " or ".join(NEEDED[kind] for kind in self.reads)
            raise UserError(
                f"{draws.name}: the data are of kind {draws.any.run.data.kind!r}; {self.name} "
                f"needs {needed}"
            )

    @abc.abstractmethod
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        """Return the measurements of a seed, by labels that are the same for all seeds.

        Raises:
            UserError: The task is not suitable for the study.
        """

    @abc.abstractmethod
    def claims(self, draws: Draws) -> tuple[Claim[Any], ...]:
        """Return the claims to be tested; they are defined before anything is measured."""

    @abc.abstractmethod
    def table(self, reading: Any) -> Table:
        """Return the table of figures, without labels that have none."""

    def reading(self, draws: Draws, found: Found) -> Reading:
        """Return the reading that computes figures from the results."""
        return Reading(draws, found)

    @property
    def question(self) -> str:
        """The first line of the module's docstring."""
        return self.text.splitlines()[0]

    @property
    def text(self) -> str:
        """The module's docstring."""
        module = sys.modules[type(self).__module__]
        return inspect.cleandoc(module.__doc__ or "")


@dataclass(frozen=True)
class Options:
    """Options of a run of studies.

    Attributes:
        out: Folder of results and reports.
        seeds: Number of seeds per cell.
        first: The first seed: other seeds are other draws.
        jobs: Maximum number of processes.
        minutes: Start nothing that would exceed this; None for no limit.
        command: The command that the user typed.
        against: Folders of other runs, whose verdicts are shown beside those of this one.
        start: Start of the minutes, on the clock of `time.monotonic`; None for now.
    """

    out: Path
    seeds: int = 5
    first: int = 1
    jobs: int = 1
    minutes: float | None = None
    command: str = ""
    against: tuple[Path, ...] = ()
    start: float | None = None


FIRST_RESERVE_SECONDS = 20.0  # for reports that have never been written


def do(tasks: Mapping[Study, Draws], options: Options, say: Say) -> dict[str, Report]:
    """Measure what is missing: first every cell with one seed, then with the next, and so on.

    The reports are written after each seed, so that they exist whenever the run is stopped.

    Args:
        tasks: The studies, each with its tasks.
        options: The options.
        say: Called with lines on the progress.

    Raises:
        Interrupted: The user asked to stop; the same call resumes.
        UserError: The data are unsuitable.
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
    """Add a cell, after all cells that it depends on."""
    for before in cell.after:
        _add(cells, f"{label}, {before.purpose}", before)
    cells[label] = cell


def _each_once(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Remove cells that another study contains as well."""
    names: dict[str, str] = {}
    for label, cell in cells.items():
        names.setdefault(cell.name, label)
    return {label: cells[label] for label in names.values()}


def _found(study: Study, draws: Draws, store: Store, seeds: Sequence[int]) -> Found:
    """Return the results so far."""
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
    """Return the verdicts of other runs on the claims."""
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
