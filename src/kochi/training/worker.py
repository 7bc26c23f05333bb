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
from kochi.training.run import build_evaluator, fit, make_fabric
from kochi.training.settings import settings


def main(output: Path, rank: int, store: Path, parent: int) -> None:
    """Take part in the run whose folder rank 0 has made ready."""
    follow(parent)
    run = config.check_run(config.read_toml(sys.stdin.buffer.read(), "run"), "run")
    run = run.model_copy(update={"output": output})
    with Interrupts(ignore=True) as interrupts, settings(run.training):
        prepared = load_data(run)
        evaluator, silent = build_evaluator(run, prepared), Progress(silent=True)
        fabric = make_fabric(run.training, rank, store)
        with contextlib.suppress(Interrupted):
            fit(run, prepared, evaluator, interrupts, silent, 10, fabric)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
