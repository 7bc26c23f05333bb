"""The sizes of a model, computed without allocating memory."""

import contextlib
import os
import sys
from itertools import chain

import torch
from torch import Tensor, nn

from kochi import config
from kochi.errors import UserError
from kochi.inputs import Input
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq
from kochi.reading import reason

TRAINED = 4  # tensors of a weight's size in training: itself, its gradient, two moments of Adam
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def outline(
    model: config.Model, source: Input, target_vocabulary: int, *, ctc: bool, where: str
) -> Seq2Seq:
    """Build a model on the meta device, where tensors have shapes but no memory.

    Args:
        model: As in `build_model`.
        source: As in `build_model`.
        target_vocabulary: As in `build_model`.
        ctc: As in `build_model`.
        where: Name of the table in error messages.

    Raises:
        UserError: Sizes do not match, or exceed the limits of torch.
    """
    try:
        with torch.device("meta"):
            return build_model(model, source, target_vocabulary, ctc=ctc)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    except (RuntimeError, OverflowError, TypeError) as error:  # from torch, for absurd sizes
        if "abstract" in str(error):  # a component from outside that is not complete
            raise UserError(f"{where}: {error}") from None
        raise UserError(f"{where}: a size is too large ({reason(error)}); choose it smaller") from (
            error
        )


def check_memory(model: nn.Module, where: str, *, trained: bool) -> None:
    """Refuse a model for which there is not enough memory.

    Args:
        model: The result of `outline`.
        where: Name of the model in error messages.
        trained: Also require memory for gradients and an optimizer.

    Raises:
        UserError: There is not enough memory; the message gives the required and available amount.
    """
    weights = sum(map(_bytes, model.parameters()))
    needed = weights * (TRAINED if trained else 1) + sum(map(_bytes, model.buffers()))
    there = memory_bytes()
    if needed > there:
        count = sum(tensor.numel() for tensor in chain(model.parameters(), model.buffers()))
        what = "training it needs" if trained else "it needs"
        raise UserError(
            f"{where}: the model has {count:,} numbers; {what} {needed / 2**30:,.1f} GiB of "
            f"memory, found {there / 2**30:,.1f} GiB; choose smaller sizes"
        )


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def memory_bytes() -> int:
    """Return the memory of the machine in bytes, or the limit of this process if it is lower."""
    found = [sys.maxsize]
    if hasattr(os, "sysconf"):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in _CGROUPS:
        try:
            with open(path, encoding="ascii") as file:
                text = file.read().strip()
        except OSError:
            continue
        if text.isdecimal():
            found.append(int(text))
    with contextlib.suppress(ImportError):  # Windows
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            found.append(soft)
    return min(found)
