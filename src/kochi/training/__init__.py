"""Training: from a run file to a model folder, resumable to the bit.

`train` is in `kochi.training.run`; it loads Lightning, so it is imported when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kochi.extras import need

if TYPE_CHECKING:
    from kochi.training.run import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        need("lightning_fabric", "tensorboard")
        return import_module("kochi.training.run").train
    raise AttributeError(f"module 'kochi.training' has no attribute {name!r}")
