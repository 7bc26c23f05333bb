"""Cells: single measurements, each done once, kept, and found again when a study goes on."""

import abc
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import kochi
from kochi.folder import write_atomic

Result = dict[str, Any]


class Cell(abc.ABC):
    """A measurement that can be done by itself, and whose result is a JSON value.

    Attributes:
        alone: Nothing else of the study may run meanwhile, because time is measured.
    """

    alone: bool = False

    @abc.abstractmethod
    def key(self) -> dict[str, Any]:
        """Return all that the result depends on, as a JSON value."""

    @abc.abstractmethod
    def measure(self, folder: Path) -> Result:
        """Measure.

        Args:
            folder: A place for what can be taken up again; other cells may use it, too.

        Raises:
            Interrupted: Somebody wants to stop; what was done so far was saved.
            UserError: The data do not allow it.
        """

    def check(self) -> None:  # noqa: B027 - most cells have nothing to check
        """Refuse what could not be measured, before any cell is begun.

        Raises:
            UserError: There is no such model.
        """

    @property
    def name(self) -> str:
        """A name of its own, made of the key."""
        return digest({"kochi": kochi.__version__, "kind": type(self).__name__, **self.key()})


def digest(key: dict[str, Any]) -> str:
    """Return a name that is another for each key.

    >>> digest({"a": 1}) == digest({"a": 1}), digest({"a": 1}) == digest({"a": 2})
    (True, False)
    """
    text = json.dumps(key, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class Store:
    """Results kept in a folder, a file a cell.

    Attributes:
        folder: Where; also where cells keep what they may take up again.
    """

    folder: Path

    def find(self, cell: Cell) -> Result | None:
        """Return what was measured before; None where it was not, or its file was damaged."""
        try:
            found = json.loads(self._path(cell).read_bytes())
            return found["result"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, cell: Cell, result: Result, seconds: float) -> None:
        """Write a result, whole or not at all."""
        path = self._path(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"key": cell.key(), "seconds": round(seconds, 1), "result": result}
        write_atomic(path, (json.dumps(record, default=str) + "\n").encode())

    def measure(self, cell: Cell) -> Result:
        """Measure a cell and keep the result."""
        start = time.monotonic()
        result = cell.measure(self.folder)
        self.keep(cell, result, time.monotonic() - start)
        return result

    def _path(self, cell: Cell) -> Path:
        return self.folder / "cells" / f"{cell.name}.json"


@dataclass
class Budget:
    """How much time there is.

    Attributes:
        seconds: From ``start`` on; None: no limit.
        start: When it began, as `time.monotonic` has it.
    """

    seconds: float | None
    start: float

    def allows(self, expected: float) -> bool:
        """Say whether something that takes so many seconds would be done in time."""
        if self.seconds is None:
            return True
        return time.monotonic() - self.start + expected <= self.seconds


def measure_all(
    cells: Mapping[str, Cell],
    store: Store,
    jobs: int,
    budget: Budget,
    say: Callable[[str], object],
) -> dict[str, float]:
    """Measure the cells that have no result yet, those of time alone and after the others.

    Args:
        cells: By what they are called.
        store: Where results are kept.
        jobs: How many processes may work at once.
        budget: A cell is begun only where others of its kind took less than what is left.
        say: Told when a cell is done or left out.

    Returns:
        Seconds that each of the measured cells took.
    """
    waiting = {name: cell for name, cell in cells.items() if store.find(cell) is None}
    shared = {name: cell for name, cell in waiting.items() if not cell.alone}
    alone = {name: cell for name, cell in waiting.items() if cell.alone}
    took: dict[str, float] = {}
    if jobs > 1 and len(shared) > 1:
        _side_by_side(shared, store, jobs, budget, say, took)
    else:
        alone = shared | alone
    for name, cell in alone.items():
        if not budget.allows(_expected(cell, cells, took)):
            say(f"left out for lack of time: {name}")
            continue
        start = time.monotonic()
        store.measure(cell)
        took[name] = time.monotonic() - start
        say(f"{name} ({took[name]:.0f} s)")
    return took


def _expected(cell: Cell, cells: Mapping[str, Cell], took: Mapping[str, float]) -> float:
    alike = [seconds for name, seconds in took.items() if type(cells[name]) is type(cell)]
    return max(alike, default=0.0)


def _side_by_side(
    cells: Mapping[str, Cell],
    store: Store,
    jobs: int,
    budget: Budget,
    say: Callable[[str], object],
    took: dict[str, float],
) -> None:
    waiting, running = list(cells.items()), dict[Future[Any], tuple[str, float]]()
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin_worker, (os.getpid(),))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name, cell = waiting.pop(0)
                if not budget.allows(_expected(cell, cells, took)):
                    say(f"left out for lack of time: {name}")
                    continue
                running[pool.submit(store.measure, cell)] = (name, time.monotonic())
            for future in _first_done(running):
                name, start = running.pop(future)
                future.result()
                took[name] = time.monotonic() - start
                say(f"{name} ({took[name]:.0f} s)")
    finally:
        pool.shutdown(cancel_futures=True)


def _first_done(running: Iterable[Future[Any]]) -> set[Future[Any]]:
    return wait(list(running), return_when=FIRST_COMPLETED).done


def _begin_worker(parent: int) -> None:
    """Take one core, and end when the parent is gone."""
    import torch

    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
