"""The cell that measures the cost of training steps: one round, in a separate process."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from torch import Tensor

from kochi import config
from kochi.inputs import TokenInput
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq
from kochi.studies.cells import Cell, Result
from kochi.training.output_loss import output_loss
from kochi.training.seeds import seed_generators

VOCABULARIES = (200, 200)  # source, target; small, so that attention takes a visible share
NOTE = (
    f"Steps are timed on random sentences with vocabularies of {VOCABULARIES[0]} tokens, not on "
    "the data: what attention takes is seen best beside a small output layer."
)
WARM, STEPS = 1, 5


@dataclass(frozen=True)
class Step:
    """A training step on random sentences.

    Attributes:
        model: The model table.
        length: Number of tokens per source.
        batch: Number of sentences.
        vocabularies: Vocabulary sizes of source and target.
        target_length: Number of tokens per target; None for that of the source.
    """

    model: dict[str, Any]
    length: int
    batch: int
    vocabularies: tuple[int, int] = VOCABULARIES
    target_length: int | None = None


@dataclass(frozen=True)
class TimedRound(Cell):
    """Time several training steps, interleaved in random order.

    Every round is measured in a separate process on one thread, so that rounds are independent of
    each other; within a round each step runs `STEPS` times, always all steps in turn, and the
    median is used. The result contains for each name ``milliseconds`` (forward, backward and the
    optimizer), ``kept_bytes`` (what the forward pass keeps for the backward pass, without the
    parameters) and ``parameters``.

    Args:
        steps: The steps by name.
        round: Distinguishes repeated measurements, and seeds weights, words and order.
    """

    steps: tuple[tuple[str, Step], ...]
    round: int
    alone = True

    def key(self) -> dict[str, Any]:
        """Return what is measured."""
        return {"steps": {name: asdict(step) for name, step in self.steps}, "round": self.round}

    def measure(self, folder: Path) -> Result:
        """Measure with one thread, regardless of torch's settings."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            seed_generators(self.round, torch.device("cpu"))
            ready = {name: _Ready(step) for name, step in self.steps}
            times: dict[str, list[float]] = {name: [] for name in ready}
            order, draw = list(ready), Random(self.round)
            for turn in range(WARM + STEPS):
                draw.shuffle(order)
                for name in order:
                    taken = ready[name].milliseconds()
                    if turn >= WARM:
                        times[name].append(taken)
            return {
                name: {
                    "milliseconds": median(times[name]),
                    "kept_bytes": one.kept_bytes(),
                    "parameters": sum(weight.numel() for weight in one.model.parameters()),
                }
                for name, one in ready.items()
            }
        finally:
            torch.set_num_threads(threads)


class _Ready:
    """A step that can be run repeatedly."""

    def __init__(self, step: Step) -> None:
        table = {"data": {"kind": "tsv", "train": "none.tsv"}, "model": step.model}
        run = config.check_run(table, "study")
        source, target = step.vocabularies
        self.model: Seq2Seq = build_model(run.model, TokenInput(source), target).train()
        lengths = step.length, step.target_length or step.length
        self.source, self.target = (
            torch.randint(4, words, (step.batch, length))
            for words, length in zip(step.vocabularies, lengths, strict=True)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)

    def milliseconds(self) -> float:
        """Run the step once and return its duration."""
        start = time.perf_counter()
        self._loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return 1000.0 * (time.perf_counter() - start)

    def _loss(self) -> Tensor:
        read = torch.ones_like(self.source, dtype=torch.bool)
        written = self.model.decoder.write(self.model.encode(self.source, read), self.target)
        mask = torch.ones_like(self.target, dtype=torch.bool)
        loss, _ = output_loss(self.model.decoder, written.features, self.target, mask)
        return loss / self.target.numel()

    def kept_bytes(self) -> int:
        """Sum the storages that autograd keeps, each once, without those of the parameters."""
        ours = {weight.untyped_storage().data_ptr() for weight in self.model.parameters()}
        kept: dict[int, int] = {}
        held = []  # a freed storage could reappear at the same address

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in ours:
                kept[storage.data_ptr()] = storage.nbytes()
                held.append(storage)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            self._loss()
        return sum(kept.values())
