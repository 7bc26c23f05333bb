"""Small decoders whose every answer can be listed, with brute force beside them."""

import itertools
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.memory import Memory
from kochi.special_tokens import BOS, EOS, PAD, UNK


def memory_of(values: Tensor, mask: Tensor | None = None) -> Memory:
    """Return a memory of ``values`` [batch, source, size]."""
    if mask is None:
        mask = torch.ones(values.shape[:2], dtype=torch.bool)
    return Memory(values, mask, values.sum(1))


def some_memory(batch: int, source: int = 5, seed: int = 1) -> Memory:
    """Return a random memory, sentence after sentence less of it padding."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, source, 3, generator=generator, dtype=torch.float64)
    lengths = torch.arange(batch) % source + 1
    return memory_of(values, torch.arange(source) < lengths.unsqueeze(1))


@dataclass(frozen=True)
class ToyState:
    looked: Tensor  # [batch, size]: what the sentence's memory comes to; shared by the beams
    prefix: Tensor  # [batch, width, length]: all tokens read


class ToyDecoder:
    """Next-token logits that depend on the whole prefix and on the memory (padding ignored).

    Counts its calls, so that tests can see what search asked for.
    """

    def __init__(self, vocabulary: int, size: int = 3, seed: int = 0, scale: float = 2.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.embedding = torch.randn(vocabulary, size, generator=generator, dtype=torch.float64)
        self.output = (
            torch.randn(size, vocabulary, generator=generator, dtype=torch.float64) * scale
        )
        self.calls = {"step": 0, "reorder": 0, "keep": 0}
        self.rows_seen: list[int] = []

    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> ToyState:
        looked = (memory.values * memory.mask.unsqueeze(-1)).sum(1)
        batch = len(looked)
        return ToyState(looked, torch.zeros(batch, width, 0, dtype=torch.long))

    def step(
        self, state: ToyState, tokens: Tensor, out: Tensor | None = None
    ) -> tuple[Tensor, ToyState]:
        self.calls["step"] += 1
        self.rows_seen.append(len(tokens))
        assert tokens.shape == state.prefix.shape[:2]
        prefix = torch.cat([state.prefix, tokens.unsqueeze(-1)], -1)
        hidden = state.looked.unsqueeze(1)
        for position in range(prefix.shape[-1]):
            hidden = torch.tanh(
                0.9 * hidden + self.embedding[prefix[..., position]] * (1 + 0.1 * position)
            )
        return self.logits(hidden, prefix), replace(state, prefix=prefix)

    def logits(self, hidden: Tensor, prefix: Tensor) -> Tensor:
        return hidden @ self.output

    def reorder(self, state: ToyState, beams: Tensor) -> ToyState:
        self.calls["reorder"] += 1
        index = beams.unsqueeze(-1).expand(*beams.shape, state.prefix.shape[-1])
        return replace(state, prefix=state.prefix.gather(1, index))

    def keep(self, state: ToyState, rows: Tensor) -> ToyState:
        self.calls["keep"] += 1
        return ToyState(state.looked[rows], state.prefix[rows])


class TableDecoder(ToyDecoder):
    """Probabilities of the next token looked up by the step and the last token, by hand.

    ``table[step][last]`` is a dict from token to probability; what it leaves out has none.
    """

    def __init__(self, vocabulary: int, table: list[dict[int, dict[int, float]]]) -> None:
        super().__init__(vocabulary)
        self.vocabulary = vocabulary
        self.table = table

    def logits(self, hidden: Tensor, prefix: Tensor) -> Tensor:
        step = prefix.shape[-1] - 1
        rows = [[self._row(step, int(last)) for last in beams] for beams in prefix[..., -1]]
        return torch.tensor(rows, dtype=torch.float64).log()

    def _row(self, step: int, last: int) -> list[float]:
        found = self.table[min(step, len(self.table) - 1)].get(last, {PAD: 1.0})
        return [found.get(token, 0.0) for token in range(self.vocabulary)]


def log_probability(decoder: Any, memory: Memory, tokens: list[int]) -> float:
    """Sum the log-softmax of each token of ``tokens`` (end mark included if given), in float64."""
    state = decoder.start(memory)
    total = 0.0
    for last, token in zip([BOS, *tokens], tokens, strict=False):
        logits, state = decoder.step(state, torch.tensor([[last]]))
        total += float(logits[0, 0].log_softmax(-1)[token])
    return total


def every_answer(
    decoder: Any,
    memory: Memory,
    vocabulary: int,
    max_length: int,
    length_penalty: float,
    unknown: bool = False,
) -> list[tuple[float, list[int]]]:
    """List (score, tokens) of all finished answers of one sentence, best first."""
    forbidden = {PAD, BOS, EOS} if unknown else {PAD, UNK, BOS, EOS}
    ordinary = [token for token in range(vocabulary) if token not in forbidden]
    answers = []
    for length in range(max_length):
        for tokens in itertools.product(ordinary, repeat=length):
            total = log_probability(decoder, memory, [*tokens, EOS])
            answers.append((total / (length + 1) ** length_penalty, list(tokens)))
    return sorted(answers, reverse=True)


@pytest.fixture(scope="session")
def toys() -> SimpleNamespace:
    """What this file holds, for tests (which cannot import a conftest)."""
    return SimpleNamespace(
        memory_of=memory_of,
        some_memory=some_memory,
        Decoder=ToyDecoder,
        Table=TableDecoder,
        log_probability=log_probability,
        every_answer=every_answer,
    )
