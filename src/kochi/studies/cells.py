"""Cells: individual measurements, each made once and saved, so that a study can be resumed."""

import abc
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import kochi
from kochi.errors import UserError
from kochi.folder import write_atomic

Result = dict[str, Any]


class Cell(abc.ABC):
    """An independent measurement whose result is a JSON value.

    Attributes:
        alone: Nothing else of the study may run at the same time, because time is measured.
    """

    alone: bool = False

    @property
    def after(self) -> "tuple[Cell, ...]":
        """The cells whose results this one uses; it starts after them."""
        return ()

    @property
    def purpose(self) -> str:
        """The purpose of the cell for another one that uses it."""
        return "what it begins with"

    @property
    def kin(self) -> str:
        """A name shared by cells that take about the same time, such as those of other seeds."""
        return type(self).__name__

    @abc.abstractmethod
    def key(self) -> dict[str, Any]:
        """Return everything that the result depends on, as a JSON value."""

    @abc.abstractmethod
    def measure(self, folder: Path) -> Result:
        """Measure.

        Args:
            folder: A folder for intermediate results, which is shared with other cells.

        Raises:
            Interrupted: The user asked to stop; intermediate results were saved.
            UserError: The data are unsuitable.
        """

    def check(self) -> None:  # noqa: B027 - most cells have nothing to check
        """Check that the cell can be measured, before any cell is started.

        Raises:
            UserError: There is no such model.
        """

    @property
    def name(self) -> str:
        """A unique name, derived from the key."""
        return digest({"kochi": kochi.__version__, "kind": type(self).__name__, **self.key()})


def digest(key: dict[str, Any]) -> str:
    """Return a name that is unique to a key.

    >>> digest({"a": 1}) == digest({"a": 1}), digest({"a": 1}) == digest({"a": 2})
    (True, False)
    """
    text = json.dumps(key, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class Store:
    """Results stored in a folder, one file per cell.

    Attributes:
        folder: The folder, which also contains intermediate results of cells.
    """

    folder: Path

    def find(self, cell: Cell) -> Result | None:
        """Return a stored result; None if there is none, or if its file is damaged."""
        try:
            found = json.loads(self._path(cell).read_bytes())
            return found["result"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def seconds(self, cell: Cell) -> float | None:
        """Return the seconds that a stored measurement took; None if there is none."""
        try:
            return float(json.loads(self._path(cell).read_bytes())["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, cell: Cell, result: Result, seconds: float) -> None:
        """Write a result atomically."""
        path = self._path(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"key": cell.key(), "seconds": round(seconds, 1), "result": result}
        write_atomic(path, (json.dumps(record, default=str) + "\n").encode())

    def measure(self, cell: Cell) -> Result:
        """Measure a cell and store the result."""
        start = time.monotonic()
        result = cell.measure(self.folder)
        self.keep(cell, result, time.monotonic() - start)
        return result

    def _path(self, cell: Cell) -> Path:
        return self.folder / "cells" / f"{cell.name}.json"


@dataclass
class Budget:
    """A time limit.

    Attributes:
        seconds: Seconds from ``start`` on; None for no limit.
        start: The start, on the clock of `time.monotonic`.
        reserve: Seconds at the end that are reserved for writing reports.
    """

    seconds: float | None
    start: float
    reserve: float = 0.0

    def allows(self, expected: float) -> bool:
        """Return whether a task of the expected duration would be completed in time."""
        if self.seconds is None:
            return True
        return time.monotonic() - self.start + expected <= self.seconds - self.reserve


class Pace:
    """The durations of cells, to predict those of others.

    Args:
        store: Stored results, with their durations.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of_kin: dict[tuple[str, str], float] = {}

    def note(self, cell: Cell, seconds: float | None = None) -> None:
        """Record the duration of a cell; by default that in the store, if there is one."""
        seconds = self._store.seconds(cell) if seconds is None else seconds
        if seconds is not None:
            kin = type(cell).__name__, cell.kin
            self._of_kin[kin] = max(seconds, self._of_kin.get(kin, 0.0))

    def expect(self, cell: Cell) -> float:
        """Return the longest time of cells with the same `kin`, else of the same type, else 0."""
        kind = type(cell).__name__
        known = self._of_kin.get((kind, cell.kin))
        if known is not None:
            return known
        return max((took for (one, _), took in self._of_kin.items() if one == kind), default=0.0)


def measure_all(
    cells: Mapping[str, Cell],
    store: Store,
    jobs: int,
    budget: Budget,
    say: Callable[[str], object],
    pace: Pace | None = None,
) -> None:
    """Measure the cells without a result; those that measure time run alone, after the others.

    Args:
        cells: The cells by name.
        store: The store of results.
        jobs: Maximum number of processes.
        budget: A cell is started only if cells of its kind took less than the remaining time.
        say: Called with a line when a cell is done or skipped.
        pace: Records the durations of cells.
    """
    pace = pace or Pace(store)
    waiting: dict[str, Cell] = {}
    for name, cell in cells.items():
        pace.note(cell)
        if store.find(cell) is None:
            waiting[name] = cell
    shared = {name: cell for name, cell in waiting.items() if not cell.alone}
    if jobs > 1 and len(shared) > 1:
        _side_by_side(shared, store, jobs, budget, say, pace)
    else:
        for name, cell in shared.items():
            if not _left_out(name, cell, store, budget, say, pace):
                start = time.monotonic()
                store.measure(cell)
                _done(name, cell, time.monotonic() - start, say, pace)
    for name, cell in waiting.items():
        if cell.alone:  # in a process of its own, in which nothing has run before
            _side_by_side({name: cell}, store, 1, budget, say, pace)


def _left_out(
    name: str,
    cell: Cell,
    store: Store,
    budget: Budget,
    say: Callable[[str], object],
    pace: Pace,
) -> bool:
    missing = any(store.find(one) is None for one in cell.after)
    if not missing and budget.allows(pace.expect(cell)):
        return False
    say(f"left out for lack of time: {name}")
    return True


def _done(name: str, cell: Cell, seconds: float, say: Callable[[str], object], pace: Pace) -> None:
    pace.note(cell, seconds)
    say(f"{name} ({seconds:.0f} s)")


def _side_by_side(
    cells: Mapping[str, Cell],
    store: Store,
    jobs: int,
    budget: Budget,
    say: Callable[[str], object],
    pace: Pace,
) -> None:
    waiting, running = dict(cells), dict[Future[Any], tuple[str, float]]()
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin_worker, (os.getpid(),))
    try:
        while waiting or running:
            for name in _ready(waiting, [cells[name] for name, _ in running.values()]):
                if len(running) == jobs:
                    break
                cell = waiting.pop(name)
                if not _left_out(name, cell, store, budget, say, pace):
                    running[pool.submit(store.measure, cell)] = (name, time.monotonic())
            for future in _first_done(running):
                name, start = running.pop(future)
                future.result()
                _done(name, cells[name], time.monotonic() - start, say, pace)
    except BrokenProcessPool:
        raise UserError(
            "a process of the study ended before its time: it was killed, perhaps for want of "
            "memory; the same command with fewer --jobs goes on"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _ready(waiting: Mapping[str, Cell], running: Iterable[Cell]) -> list[str]:
    """Return the waiting cells that do not depend on another waiting or running cell."""
    unfinished = {cell.name for cell in (*waiting.values(), *running)}
    return [
        name
        for name, cell in waiting.items()
        if unfinished.isdisjoint(one.name for one in cell.after)
    ]


def _first_done(running: Iterable[Future[Any]]) -> set[Future[Any]]:
    return wait(list(running), return_when=FIRST_COMPLETED).done


def _begin_worker(parent: int) -> None:
    """Use a single core, and end when the parent is gone."""
    import torch

    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
