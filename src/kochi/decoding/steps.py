"""The decoding loop of greedy search and sampling, over independent paths."""

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.decoding.active_batch import ActiveBatch, Record
from kochi.decoding.candidates import forbid_marks, log_probabilities_
from kochi.decoding.decoder import StepDecoder
from kochi.decoding.hypothesis import Hypothesis, normalise
from kochi.decoding.limits import check_limits, check_options
from kochi.memory import Memory
from kochi.special_tokens import BOS, EOS, PAD

# How paths go on: (log_probs [batch, width, vocabulary], the sentences' numbers [batch], the step
# counted from 1) to tokens [batch, width].
Choose = Callable[[Tensor, Tensor, int], Tensor]


def follow(
    decoder: StepDecoder,
    memory: Memory,
    choose: Choose,
    *,
    width: int,
    max_length: int | Int[Tensor, " batch"],
    length_penalty: float,
    min_length: int,
    unknown: bool = False,
) -> list[list[Hypothesis]]:
    """Follow ``width`` independent paths per sentence and return them in order.

    A path ends with the end mark, at its sentence's maximum length, or if no token can follow.
    """
    check_options(length_penalty, min_length)
    active = ActiveBatch(check_limits(max_length, memory))
    found: list[list[Hypothesis]] = [[] for _ in active.rows]
    limits: list[int] = cast(Any, active.limits).tolist()
    steps = max(limits, default=0)
    record = Record()
    tokens = torch.full((len(found), width), BOS, device=active.limits.device)
    ended = torch.zeros_like(tokens, dtype=torch.bool)
    state = decoder.start(memory, width=width, max_length=steps) if found else None
    for length in range(1, steps + 1):
        logits, state = decoder.step(state, tokens)
        log_probs = log_probabilities_(logits)
        forbid_marks(log_probs, length <= min_length, unknown)
        tokens, gains = _next(log_probs, choose, active.rows, length)
        record.append(tokens, gains)
        ended = ended | (tokens == EOS) | (tokens == PAD)
        done = ended.all(1) | (active.limits <= length)
        closed = active.close(done)
        if len(closed) == 0:
            continue
        _close(found, closed, active, record, length_penalty)
        if active.empty:
            break
        kept = active.shrink()
        if kept is not None:
            record.keep(kept)
            tokens, ended, state = tokens[kept], ended[kept], decoder.keep(state, kept)
    return found


def _next(
    log_probs: Float[Tensor, "batch width vocabulary"],
    choose: Choose,
    rows: Int[Tensor, " batch"],
    length: int,
) -> tuple[Int[Tensor, "batch width"], Float[Tensor, "batch width"]]:
    tokens = choose(log_probs, rows, length)
    gains = log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return tokens.masked_fill(gains == -torch.inf, PAD), gains


def _close(
    found: list[list[Hypothesis]],
    closed: Int[Tensor, " closed"],
    active: ActiveBatch,
    record: Record,
    length_penalty: float,
) -> None:
    rows: list[int] = cast(Any, active.rows[closed]).tolist()
    for row, (tokens, gains) in zip(rows, record.read(closed), strict=True):
        paths = zip(zip(*tokens, strict=True), zip(*gains, strict=True), strict=True)
        found[row] = [_cut(path, gain, length_penalty) for path, gain in paths]


def _cut(path: tuple[int, ...], gains: tuple[float, ...], length_penalty: float) -> Hypothesis:
    ends = (position for position, token in enumerate(path) if token in (EOS, PAD))
    length = next(ends, len(path))
    finished = length < len(path) and path[length] == EOS
    counted = length + finished
    total = sum(gains[:counted])
    score = normalise(total, max(counted, 1), length_penalty)
    return Hypothesis(list(path[:length]), score, total, finished)
