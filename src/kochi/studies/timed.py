"""The cell that measures what a training step costs, by length."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from kochi import config
from kochi.models.build import build_model
from kochi.models.inputs import TokenInput
from kochi.models.seq2seq import Seq2Seq
from kochi.studies.cells import Cell, Result, digest
from kochi.training.output_loss import output_loss
from kochi.training.seeds import seed_generators

VOCABULARIES = (200, 200)  # source, target; small, so that attention is seen
NOTE = (
    f"Steps are timed on random sentences with vocabularies of {VOCABULARIES[0]} tokens, not on "
    "the data: what attention takes is seen best beside a small output layer."
)
WARM, STEPS = 2, 5


@dataclass(frozen=True)
class StepCost(Cell):
    """Time a training step on random sentences, and count what it keeps.

    One thread computes. The result holds ``milliseconds`` (of several steps: forward, backward and
    the optimizer), ``kept_bytes`` (what the forward pass keeps for the backward pass, the
    parameters left out) and ``parameters``.

    Args:
        model: The model table.
        length: Tokens of each source and target.
        batch: Sentences.
        round: Tells measurements of the same thing apart.
        vocabularies: How many tokens the source's and the target's have.
    """

    model: dict[str, Any]
    length: int
    batch: int
    round: int
    vocabularies: tuple[int, int] = VOCABULARIES
    alone = True

    def key(self) -> dict[str, Any]:
        """Return what is measured."""
        return {"model": self.model, **self._sizes, "round": self.round}

    @property
    @override
    def kin(self) -> str:
        """A name that is the same for other rounds."""
        return digest({"model": self.model, **self._sizes})

    @property
    def _sizes(self) -> dict[str, Any]:
        sizes = {"length": self.length, "batch": self.batch}
        return {**sizes, "vocabularies": list(self.vocabularies)}

    def measure(self, folder: Path) -> Result:
        """Measure with one thread, whatever torch is set to."""
        with _one_thread():
            model, tokens = self._prepare()
            return {
                "kept_bytes": [float(_kept_bytes(model, *tokens))],
                "milliseconds": _milliseconds(model, tokens),
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
            }

    def time(self) -> list[float]:
        """Return the milliseconds of some steps alone."""
        with _one_thread():
            return _milliseconds(*self._prepare())

    def _prepare(self) -> tuple[Seq2Seq, Tensor]:
        table = {"data": {"kind": "tsv", "train": "none.tsv"}, "model": self.model}
        seed_generators(self.round, torch.device("cpu"))
        run = config.check_run(table, "study")
        source, target = self.vocabularies
        model = build_model(run.model, TokenInput(source), target).train()
        sizes = (self.batch, self.length)
        return model, torch.stack([torch.randint(4, one, sizes) for one in self.vocabularies])


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _milliseconds(model: Seq2Seq, tokens: Tensor) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    times = []
    for _ in range(WARM + STEPS):
        start = time.perf_counter()
        _loss(model, *tokens).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(1000.0 * (time.perf_counter() - start))
    return times[WARM:]


def _loss(model: Seq2Seq, source: Tensor, target: Tensor) -> Tensor:
    mask = torch.ones_like(source, dtype=torch.bool)
    written = model.decoder.write(model.encode(source, mask), target)
    loss, _ = output_loss(model.decoder, written.features, target, mask)
    return loss / target.numel()


def _kept_bytes(model: Seq2Seq, source: Tensor, target: Tensor) -> int:
    """Add up the storages that autograd keeps, each once, without those of the parameters."""
    ours = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}
    held = []  # a storage that was freed could come back under the same address

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in ours:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _loss(model, source, target)
    return sum(kept.values())
