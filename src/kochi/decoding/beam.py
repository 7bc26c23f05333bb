"""Beam search with length normalisation.

Finished hypotheses are ranked by log_probability / length ** length_penalty. A sentence stops when
no live beam can beat the worst hypothesis kept: log-probabilities only decrease and lengths only
increase, so live / max_length ** length_penalty is an upper bound of a live beam's score.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.decoding.active_batch import ActiveBatch, Record
from kochi.decoding.candidates import (
    best_candidates,
    forbid_marks,
    log_probabilities_,
    top,
)
from kochi.decoding.decoder import StepDecoder
from kochi.decoding.external_scorer import ExternalScorer, JointState
from kochi.decoding.hypothesis import Hypothesis, normalise
from kochi.decoding.limits import check_limits, check_options
from kochi.memory import Memory
from kochi.special_tokens import BOS, EOS

Paths = tuple[list[list[int]], ...]  # tokens and parents of a sentence, [length][width] each


@torch.inference_mode()
def beam_search(
    decoder: StepDecoder,
    memory: Memory,
    *,
    max_length: int | Int[Tensor, " batch"],
    beam: int = 5,
    length_penalty: float = 1.0,
    n_best: int = 1,
    min_length: int = 0,
    patience: float | None = None,
    joint: ExternalScorer | None = None,
    unknown: bool = False,
) -> list[list[Hypothesis]]:
    """Search by keeping the ``beam`` most probable prefixes of each sentence.

    Each step finds the ``beam`` best continuations of a sentence, including the end mark. Finished
    ones are kept if they are among the ``n_best`` by score, and the best ``beam`` unfinished ones
    continue. Ties go to the lowest beam, then the lowest token, and to the hypothesis that finished
    first.

    Args:
        decoder: The decoder, in eval mode (otherwise dropout is applied).
        memory: The encoded sentences.
        max_length: Maximum number of tokens, including the end mark.
        beam: Number of live prefixes. A beam of 1 differs from `greedy`: it continues after an end
            mark as long as a longer hypothesis may score better.
        length_penalty: Exponent of the length in the score; 0 compares plain log-probabilities,
            which favours short outputs.
        n_best: Number of hypotheses to return, at most ``beam``.
        min_length: Minimum number of tokens before the end mark.
        patience: Also stop a sentence when ``patience`` times ``beam`` hypotheses have finished
            (Kasai et al. 2022, https://arxiv.org/abs/2204.05424; most toolkits use 1). This is
            faster, since the bound is loose for a large ``length_penalty``, but may miss a longer
            hypothesis with a better score. None disables it.
        joint: An external scorer; log-probabilities are then the joint ones.
        unknown: Whether the output may contain the unknown token; see `forbid_marks`.

    Returns:
        Up to ``n_best`` hypotheses for each sentence: the finished ones, best first, then, if there
        are too few, the best unfinished ones of the maximum length. There is at least one: if
        nothing has a probability above 0, it is empty with score -inf.

    Raises:
        ValueError: An option is out of range, or logits are NaN or +inf.
    """
    if not 1 <= n_best <= beam:
        raise ValueError(f"n_best must be from 1 to beam = {beam}, got {n_best}")
    if patience is not None and not patience > 0:
        raise ValueError(f"patience must be greater than 0, got {patience}")
    check_options(length_penalty, min_length)
    limits = check_limits(max_length, memory)
    if len(limits) == 0:
        return []
    run = _Beams(limits, beam, length_penalty, n_best, patience)
    run.unknown = unknown
    run.joint = None if joint is None else joint.start(memory)
    state = decoder.start(memory, width=1, max_length=int(limits.max()))
    while True:
        logits, state = decoder.step(state, run.tokens)
        parents = run.advance(logits, min_length)
        if run.close():
            return run.found
        kept = run.shrink()
        if kept is not None:
            parents, state = parents[kept], decoder.keep(state, kept)
        if not _same(parents, logits.shape[1]):
            state = decoder.reorder(state, parents)


def _same(parents: Int[Tensor, "batch width"], old_width: int) -> bool:
    width = parents.shape[1]
    own = torch.arange(width, device=parents.device)
    return old_width == width and torch.equal(parents, own.expand_as(parents))


@dataclass(frozen=True)
class _Ended:
    """The best finished hypotheses of each sentence, best first; empty slots have score -inf."""

    score: Float[Tensor, "batch n_best"]
    log_probability: Float[Tensor, "batch n_best"]
    length: Int[Tensor, "batch n_best"]  # counts the end mark
    beam: Int[Tensor, "batch n_best"]  # holds the tokens after length - 1 steps

    def fields(self) -> list[Tensor]:
        return [self.score, self.log_probability, self.length, self.beam]

    def rows(self, index: Int[Tensor, " rows"]) -> "_Ended":
        return _Ended(*(field[index] for field in self.fields()))

    def merge(self, other: "_Ended", n_best: int) -> "_Ended":
        pairs = zip(self.fields(), other.fields(), strict=True)
        joined = [torch.cat(pair, 1) for pair in pairs]
        _, best = top(joined[0], n_best)
        return _Ended(*(values.gather(1, best) for values in joined))


class _Beams:
    """The live beams of a batch, and the hypotheses finished so far."""

    def __init__(
        self,
        limits: Int[Tensor, " batch"],
        beam: int,
        length_penalty: float,
        n_best: int,
        patience: float | None,
    ) -> None:
        self.beam, self.length_penalty, self.n_best = beam, length_penalty, n_best
        self.enough = float("inf") if patience is None else patience * beam
        self.length = 0
        self.active = ActiveBatch(limits)
        self.record = Record()
        self.joint: JointState | None = None
        self.unknown = False
        self.live = torch.zeros(len(limits), 1, device=limits.device)
        self.tokens = torch.full((len(limits), 1), BOS, device=limits.device)
        nothing = torch.full((len(limits), n_best), -torch.inf, device=limits.device)
        zeros = torch.zeros_like(nothing, dtype=torch.long)
        self.ended = _Ended(nothing, nothing, zeros, zeros)
        self.num_ended = torch.zeros_like(limits)
        self.found: list[list[Hypothesis]] = [[] for _ in limits]

    def advance(
        self, logits: Float[Tensor, "batch width vocabulary"], min_length: int
    ) -> Int[Tensor, "batch beam"]:
        """Advance by one step; return the old beams that the new ones continue."""
        self.length += 1
        log_probs = log_probabilities_(logits)
        if self.joint is not None:
            log_probs = self.joint.join(log_probs)
        ending = self.live + log_probs[..., EOS]
        forbid_marks(log_probs, end=True, unknown=self.unknown)
        live, parents, tokens = best_candidates(log_probs, self.live, self.beam)
        if self.length > min_length:
            self._collect(ending, live)
        self.live, self.tokens = live, tokens
        if self.joint is not None:
            self.joint = self.joint.follow(parents, tokens)
        self.record.append(tokens, parents)
        return parents

    def _collect(
        self, ending: Float[Tensor, "batch width"], going: Float[Tensor, "batch beam"]
    ) -> None:
        better = torch.cat([going, ending], 1).unsqueeze(1) > ending.unsqueeze(2)
        eligible = (better.sum(-1) < self.beam) & (ending > -torch.inf)
        if not eligible.any():
            return
        score = ending / self.length**self.length_penalty
        beams = torch.arange(ending.shape[1], device=ending.device).expand_as(ending)
        new = _Ended(
            score.masked_fill(~eligible, -torch.inf),
            ending,
            torch.full_like(beams, self.length),
            beams,
        )
        self.ended = self.ended.merge(new, self.n_best)
        self.num_ended = self.num_ended + eligible.sum(1)

    def close(self) -> bool:
        """Read back the finished sentences; return whether all are finished."""
        limits = self.active.limits
        hope = self.live[:, 0] / limits**self.length_penalty
        worst = self.ended.score[:, -1]
        enough = (self.num_ended >= self.enough) & (worst > -torch.inf)
        done = (hope <= worst) | (limits <= self.length) | enough
        closed = self.active.close(done)
        if len(closed):
            self._close(closed)
        return self.active.empty

    def shrink(self) -> Int[Tensor, " kept"] | None:
        """Drop closed sentences if there are many; return the indices to keep, or None."""
        kept = self.active.shrink()
        if kept is not None:
            self.record.keep(kept)
            self.live, self.tokens = self.live[kept], self.tokens[kept]
            self.joint = None if self.joint is None else self.joint.keep(kept)
            self.ended, self.num_ended = self.ended.rows(kept), self.num_ended[kept]
        return kept

    def _close(self, closed: Int[Tensor, " closed"]) -> None:
        fields = self.ended.rows(closed).fields()
        ended: list[list[Any]] = [cast(Any, field).tolist() for field in fields]
        live: list[list[float]] = cast(Any, self.live[closed]).tolist()
        rows: list[int] = cast(Any, self.active.rows[closed]).tolist()
        for index, (row, paths) in enumerate(zip(rows, self.record.read(closed), strict=True)):
            found = self._finished(paths, [field[index] for field in ended])
            if len(found) < self.n_best:
                found += self._unfinished(paths, live[index])[: self.n_best - len(found)]
            self.found[row] = found or [Hypothesis([], -torch.inf, -torch.inf, False)]

    def _finished(self, paths: Paths, ended: list[list[Any]]) -> list[Hypothesis]:
        return [
            Hypothesis(trace(paths[0], paths[1], beam, length - 1), score, total, True)
            for score, total, length, beam in zip(*ended, strict=True)
            if score > -torch.inf
        ]

    def _unfinished(self, paths: Paths, live: list[float]) -> list[Hypothesis]:
        return [
            Hypothesis(
                trace(paths[0], paths[1], beam, self.length),
                normalise(total, self.length, self.length_penalty),
                total,
                False,
            )
            for beam, total in enumerate(live)
            if total > -torch.inf
        ]


def trace(tokens: list[list[int]], parents: list[list[int]], beam: int, length: int) -> list[int]:
    """Follow a beam back through the steps; return its first ``length`` tokens.

    Args:
        tokens: The chosen tokens, [length][width].
        parents: The beams of the previous step that were continued, [length][width].
        beam: The beam of the hypothesis after ``length`` steps.
        length: The number of steps.

    >>> trace(tokens=[[7], [8, 9], [5, 6]], parents=[[0], [0, 0], [1, 0]], beam=0, length=3)
    [7, 9, 5]
    """
    path: list[int] = []
    for step in range(length - 1, -1, -1):
        path.append(tokens[step][beam])
        beam = parents[step][beam]
    return path[::-1]
