"""A model folder opened: `kochi.load`."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal

import torch

from kochi.errors import UserError
from kochi.folder import load_folder
from kochi.inference.predictor import Predictor
from kochi.inference.processes import Processes
from kochi.inference.request import Searched, Task


def load(
    folder: str | Path,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    processes: int = 1,
    trust: Collection[str] = (),
) -> Predictor:
    """Load a model folder that ``kochi train`` wrote. Nothing in it can run code.

    A model may have components of installed packages, whose code then runs. Name the packages in
    ``trust`` to allow it.

    Args:
        folder: The model folder.
        device: What torch calls it ("cpu", "cuda", "cuda:1", "mps"); "auto" is a CUDA GPU if there
            is one, else the CPU.
        precision: "bf16" halves the weights and is faster on many GPUs. Numbers are rounded to 8
            bits, and the rounding of a matrix product depends on its number of rows. A prediction
            may differ from that of "fp32", and, unlike there, with the batch and the number of
            threads, where another one scores nearly the same (within a few hundredths of a nat per
            token).
        processes: On the CPU, compute batches in this many worker processes of one thread each, in
            place of torch's threads. This is faster for many sources. Workers take a second or more
            to start and run until `Predictor.close`, or the end of a ``with`` statement. In a
            script, call this under ``if __name__ == "__main__":``.
        trust: Installed packages whose code the model may run.

    Raises:
        UserError: The folder is missing, unfinished, cut short or altered, or needs a package that
            is not installed or not trusted; or there is no such device; or processes are requested
            on a device other than the CPU.
    """
    trust = (trust,) if isinstance(trust, str) else trust
    content = load_folder(Path(folder), trust)
    model = content.model()
    if precision == "bf16":
        model = model.to(torch.bfloat16)
    where = _device(device)
    pool = None
    if processes != 1:
        if where.type != "cpu":
            raise UserError(f"processes = {processes}: the model computes on {where}; use 1 there")
        pool = Processes(processes, _prepare, Path(folder), precision, tuple(trust))
    return Predictor(
        model, content.source, content.target, content.run, content.metrics, where, pool
    )


def _prepare(
    folder: Path, precision: Literal["fp32", "bf16"], trust: tuple[str, ...]
) -> Callable[[Task], list[Searched]]:
    return load(folder, "cpu", precision, trust=trust).engine.compute


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device {name}: cannot be used here: {reason}") from None
    return device
