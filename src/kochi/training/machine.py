"""The machine of a run. A resumed run is bit-equal if none of these properties has changed.

Threads, vector instructions and library versions determine the order of sums, so that another
machine may round differently. No host or user name is recorded.
"""

import platform
from typing import Any

import torch

import kochi
from kochi import config

_NAMES = {
    "cpu": "CPU capability",
    "cuda": "CUDA",
}


def describe_machine(training: config.Training, world: int) -> dict[str, Any]:
    """Return the properties, besides run file and data, that the bits of a model may depend on."""
    use_gpu = training.accelerator != "cpu" and torch.cuda.is_available()
    about: dict[str, Any] = {
        "kochi": kochi.__version__,
        "torch": str(torch.__version__),  # a subclass of str, which a checkpoint must not contain
        "python": platform.python_version(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "processes": world,
        "device": torch.cuda.get_device_name() if use_gpu else "CPU",
    }
    if use_gpu:
        about["cuda"] = torch.version.cuda
    return about


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """List the properties that have changed.

    >>> differences({"threads": 4, "torch": "2.9"}, {"threads": 2, "torch": "2.9"})
    ['threads 4 -> 2']
    """
    return [
        f"{_NAMES.get(key, key)} {before.get(key, 'unknown')} -> {now.get(key, 'unknown')}"
        for key in [*now, *(before.keys() - now.keys())]
        if before.get(key) != now.get(key)
    ]


def differing(machines: list[dict[str, Any]], now: dict[str, Any]) -> str | None:
    """Return a warning about properties that differ from earlier machines of the run, or None."""
    found = differences(machines[-1], now) if machines else []
    if not found:
        return None
    return (
        f"warning: {', '.join(found)} since the last checkpoint; the model may differ in the last "
        "bits from that of a run that was never interrupted"
    )
