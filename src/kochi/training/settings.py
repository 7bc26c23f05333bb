"""Global settings of torch, Lightning and the environment: set for a run, then restored."""

import contextlib
import logging
import os
from collections.abc import Iterator

import torch

from kochi import config
from kochi.quiet import Quiet

_lightning_about_itself = Quiet(r".*LeafSpec")


@contextlib.contextmanager
def settings(training: config.Training) -> Iterator[None]:
    """Apply the settings of a run in a ``with`` block; also restore torch's random state."""
    environment = dict(os.environ)
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    random_state = torch.random.get_rng_state()
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    torch.set_float32_matmul_precision(training.matmul_precision)
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with _lightning_about_itself():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        torch.random.set_rng_state(random_state)
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(environment)
