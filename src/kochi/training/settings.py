"""Global settings of torch, Fabric and the environment: set for a run, then restored."""

import contextlib
import logging
import os
from collections.abc import Iterator

import torch

from kochi import config
from kochi.quiet import Quiet

_fabric_about_itself = Quiet(r".*LeafSpec")


@contextlib.contextmanager
def settings(training: config.Training) -> Iterator[None]:
    """Apply the settings of a run in a ``with`` block; also restore torch's random state."""
    environment = dict(os.environ)
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    random_state = torch.random.get_rng_state()
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    torch.set_float32_matmul_precision(training.matmul_precision)
    logger.setLevel(logging.ERROR)
    try:
        with _fabric_about_itself():
            yield
    finally:
        logger.setLevel(level)
        torch.random.set_rng_state(random_state)
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(environment)
