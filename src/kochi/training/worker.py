"""One of several training processes: ``... -m kochi.training.worker OUTPUT RANK STORE PARENT``.

The run file comes from standard input.
"""

import contextlib
import sys
from pathlib import Path

from kochi import config
from kochi.errors import Interrupted
from kochi.training.interrupts import Interrupts
from kochi.training.prepare import load_data
from kochi.training.processes import follow
from kochi.training.progress import Progress
from kochi.training.run import build_evaluator, fit
from kochi.training.settings import settings


def main(output: Path, rank: int, store: Path, parent: int) -> None:
    """Take part in the run whose folder rank 0 has made ready."""
    follow(parent)
    run = config.check_run(config.read_toml(sys.stdin.buffer.read(), "run"), "run")
    run = run.model_copy(update={"output": output})
    with Interrupts(ignore=True) as interrupts, settings(run.training):
        prepared = load_data(run)
        evaluator = build_evaluator(run, prepared)
        with contextlib.suppress(Interrupted):
            fit(
                run,
                prepared,
                evaluator,
                interrupts,
                Progress(silent=True),
                10,
                rank=rank,
                store=store,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
