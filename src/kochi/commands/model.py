"""The model folder that a command works with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kochi.inference.predictor import Predictor


def open_model(
    folder: Path,
    device: str,
    precision: Literal["fp32", "bf16"] = "fp32",
    processes: int = 1,
    trust: Sequence[str] | None = None,
) -> "Predictor":
    """Load a model folder in a process that is the command's own; see `kochi.load`.

    Raises:
        UserError: As in `kochi.load`.
    """
    from kochi.allocator import keep_pages
    from kochi.inference.loading import load

    keep_pages()
    return load(folder, device, precision, processes, trust or ())
