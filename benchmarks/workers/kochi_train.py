"""Train with kochi's real loop and report target tokens per second of each variant.

    kochi_train.py TEXT FOLDER WARM_STEPS STEPS NAME=MODEL:PRECISION...

MODEL is one of `kochi_runs.MODELS`, PRECISION that of the matrix products. The clock is read at the
start of steps: what passes between two of them is all that a run does. The peak is the largest
resident size of the process so far, in MB.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kochi_runs import VOCABULARY, make_run

from kochi.training.run import train
from kochi.training.trainer import Trainer


class Recorder:
    """Has every training step write when it starts and how many target tokens it has."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.tokens: list[int] = []
        self.parameters = 0
        Trainer.step = self._recorded(Trainer.step)

    def _recorded(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(trainer: Trainer, group: Any) -> Any:
            self.starts.append(time.perf_counter())
            self.tokens.append(group.num_tokens)
            self.parameters = sum(p.numel() for p in trainer.model.parameters())
            assert trainer.model.decoder.output_bias.shape == (VOCABULARY,)
            return step(trainer, group)

        return recorded

    def clear(self) -> None:
        self.starts.clear()
        self.tokens.clear()


def main() -> None:
    text, folder = map(Path, sys.argv[1:3])
    warm, steps = map(int, sys.argv[3:5])
    recorder = Recorder()
    result = {}
    for variant in sys.argv[5:]:
        name, _, settings = variant.partition("=")
        model, precision = settings.split(":")
        recorder.clear()
        run = make_run(model, precision, text, folder / f"{model}-{precision}", warm + steps + 1)
        train(run, overwrite=True)
        seconds = recorder.starts[warm + steps] - recorder.starts[warm]
        result[name] = {
            "tokens_per_second": sum(recorder.tokens[warm : warm + steps]) / seconds,
            "milliseconds": 1000 * seconds / steps,
            "parameters": recorder.parameters,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
