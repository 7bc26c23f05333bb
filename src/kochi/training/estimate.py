"""Estimate the time of a training run on this machine from a few timed steps."""

import tempfile
import time
from itertools import islice
from pathlib import Path

from kochi import config
from kochi.data.corpus import Corpus
from kochi.data.left_out import bad_rows
from kochi.modalities import modality_of
from kochi.modalities.pairs import read_pairs
from kochi.modalities.readers import SOURCE, fit_and_save, load_reader, make_readers
from kochi.training.interrupts import Interrupts
from kochi.training.prepare import Prepared
from kochi.training.run import make_fabric, make_model, make_stream
from kochi.training.settings import settings
from kochi.training.state import RunState
from kochi.training.trainer import Trainer

WARM_UP, STEPS = 2, 8
SECONDS = 10.0  # after which no further step is timed
ROWS, ROWS_OF_FILES = 4000, 300  # that are read


def estimate_training(run_file: Path) -> str:
    """Train for a few steps and estimate how long all steps of a run take.

    The estimate excludes evaluations and early stopping.

    Args:
        run_file: The run file; the steps leave no files.

    Raises:
        UserError: The run cannot be trained.
    """
    run = config.read_run(run_file)
    with tempfile.TemporaryDirectory() as folder:
        run = run.model_copy(update={"output": Path(folder) / "model"})
        run.output.mkdir()
        total, seconds, steps = _timed(run)
    earlier = "" if run.training.patience is None else ", and it may stop earlier"
    return (
        f"training takes about {_duration(total * seconds)} on this machine: {total:,} steps of "
        f"{seconds:.2g} s (timed on {steps}; evaluations come on top{earlier})"
    )


def _timed(run: config.Run) -> tuple[int, float, int]:
    """Return the number of steps of a run, the seconds per step, and how many were timed."""
    prepared, share = _prepared(run)
    clock = _Clock()
    with Interrupts(ignore=True) as interrupts, settings(run.training):
        stream = make_stream(run, prepared, RunState())
        fabric, model = make_fabric(run.training), make_model(run, prepared)
        trainer = Trainer(fabric, model, run, stream.total_steps, interrupts)
        for group in stream:
            trainer.step(group)
            if clock.is_enough():
                break
    total = max(1, round(stream.total_steps / share))
    if run.training.max_steps is not None:
        total = min(total, run.training.max_steps)
    return total, *clock.measured()


def _prepared(run: config.Run) -> tuple[Prepared, float]:
    """Read part of the training data; return it and the fraction that was read."""
    folder = run.output / "data"
    folder.mkdir()
    source, target = make_readers(run.data, folder)
    most = ROWS_OF_FILES if modality_of(run.data).in_files else ROWS
    bad = bad_rows(run.data)
    pairs = read_pairs(run.data, "train", bad)
    some = list(islice(pairs, most))
    count = len(some) + sum(1 for _ in pairs)
    corpus = Corpus.build(some, source, target, folder / "corpus", run.data.max_length, bad)
    fit_and_save(source, corpus, folder)
    return Prepared(load_reader(run.data, folder / SOURCE), target, corpus), len(some) / count


class _Clock:
    """Measure the time of a step: the median of a few, without the first ones."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._begin = time.perf_counter()

    def is_enough(self) -> bool:
        """Record the time after a step; return whether enough steps were timed."""
        now = time.perf_counter()
        self._times.append(now)
        return len(self._times) > WARM_UP + STEPS or now - self._begin > SECONDS

    def measured(self) -> tuple[float, int]:
        """Return the seconds per step, and how many steps were timed."""
        times = [self._begin, *self._times]
        first = min(WARM_UP, max(0, len(times) - 2))
        steps = sorted(b - a for a, b in zip(times[first:], times[first + 1 :], strict=False))
        return steps[len(steps) // 2], len(steps)


def _duration(seconds: float) -> str:
    """Format a duration.

    >>> _duration(50.0), _duration(900.0), _duration(9000.0)
    ('50 seconds', '15 minutes', '2.5 hours')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
