"""Beam search with length normalisation.

Hypotheses that end compete by log_probability / length ** length_penalty. A sentence stops when no
live beam can beat the worst one kept: log-probabilities only fall and lengths only grow, so the
most a live beam can reach is live / max_length ** length_penalty, as if every token to come were
certain and the answer as long as it may be.
"""

from dataclasses import dataclass
from typing import Any

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
from kochi.decoding.decoder import BOS, EOS, StepDecoder
from kochi.decoding.external_scorer import ExternalScorer, JointState
from kochi.decoding.hypothesis import Hypothesis, normalise
from kochi.decoding.limits import check_limits, check_options
from kochi.memory import Memory

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
    """Keep the ``beam`` likeliest beginnings of each sentence.

    At each step the likeliest ``beam`` continuations of a sentence are found, the end mark among
    them; those that end are kept if they are among its ``n_best`` by score, and the best ``beam``
    that do not end live on. Ties fall to the lowest beam, then the lowest token; an ended
    hypothesis keeps its place against a later one with the same score.

    Args:
        decoder: In eval mode, or dropout takes part.
        memory: What the sentences left.
        max_length: Most tokens an answer may have, the end mark counted.
        beam: How many beginnings live at once. 1 is not quite `greedy`: it goes on past an end as
            long as something longer may score better.
        length_penalty: Exponent of the length in the score; 0 compares plain log-probabilities,
            which favours short answers.
        n_best: How many answers to return, at most ``beam``.
        min_length: Fewest tokens before the end mark.
        patience: Stop a sentence also when ``patience`` times ``beam`` hypotheses have ended (Kasai
            et al. 2022, https://arxiv.org/abs/2204.05424; 1 is what most toolkits do). Faster, as
            the bound is loose where ``length_penalty`` is large, but something longer that would
            have scored better can be missed. None for never.
        joint: Scores beside the decoder; a hypothesis' log-probability is then the joint one.
        unknown: Whether the unknown token may be part of an answer; see `forbid_marks`.

    Returns:
        For each sentence up to ``n_best`` hypotheses: the finished ones, best first, then, if they
        are too few, the best unfinished ones of the maximum length. At least one: where nothing
        has a probability, it is empty with score -inf.

    Raises:
        ValueError: An option out of range, or logits that are NaN or +inf.
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
            return run.answers
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
    """The best ended hypotheses of each sentence, best first; empty places score -inf."""

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
        _, places = top(joined[0], n_best)
        return _Ended(*(values.gather(1, places) for values in joined))


class _Beams:
    """The live beams of a batch, and what has ended so far."""

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
        self.roster = ActiveBatch(limits)
        self.record = Record()
        self.joint: JointState | None = None
        self.unknown = False
        self.live = torch.zeros(len(limits), 1, device=limits.device)
        self.tokens = torch.full((len(limits), 1), BOS, device=limits.device)
        nothing = torch.full((len(limits), n_best), -torch.inf, device=limits.device)
        zeros = torch.zeros_like(nothing, dtype=torch.long)
        self.ended = _Ended(nothing, nothing, zeros, zeros)
        self.num_ended = torch.zeros_like(limits)
        self.answers: list[list[Hypothesis]] = [[] for _ in limits]

    def advance(
        self, logits: Float[Tensor, "batch width vocabulary"], min_length: int
    ) -> Int[Tensor, "batch beam"]:
        """Take a step; return the old beams that the new ones continue."""
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
        """Read back what is done; return whether everything is."""
        limits = self.roster.limits
        hope = self.live[:, 0] / limits**self.length_penalty
        worst = self.ended.score[:, -1]
        enough = (self.num_ended >= self.enough) & (worst > -torch.inf)
        done = (hope <= worst) | (limits <= self.length) | enough
        closed = self.roster.close(done)
        if len(closed):
            self._answer(closed)
        return self.roster.empty

    def shrink(self) -> Int[Tensor, " kept"] | None:
        """Drop closed sentences if they are many; return which places stay, or None."""
        kept = self.roster.shrink()
        if kept is not None:
            self.record.keep(kept)
            self.live, self.tokens = self.live[kept], self.tokens[kept]
            self.joint = None if self.joint is None else self.joint.keep(kept)
            self.ended, self.num_ended = self.ended.rows(kept), self.num_ended[kept]
        return kept

    def _answer(self, closed: Int[Tensor, " closed"]) -> None:
        ended = [field.tolist() for field in self.ended.rows(closed).fields()]
        live = self.live[closed].tolist()
        rows = self.roster.rows[closed].tolist()
        for place, (row, paths) in enumerate(zip(rows, self.record.read(closed), strict=True)):
            answers = self._finished(paths, [field[place] for field in ended])
            if len(answers) < self.n_best:
                answers += self._unfinished(paths, live[place])[: self.n_best - len(answers)]
            self.answers[row] = answers or [Hypothesis([], -torch.inf, -torch.inf, False)]

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
        tokens: What was chosen, [length][width].
        parents: Which beam of the step before was continued, [length][width].
        beam: Where the hypothesis stood after ``length`` steps.
        length: How many steps it took.

    >>> trace(tokens=[[7], [8, 9], [5, 6]], parents=[[0], [0, 0], [1, 0]], beam=0, length=3)
    [7, 9, 5]
    """
    path = []
    for step in range(length - 1, -1, -1):
        path.append(tokens[step][beam])
        beam = parents[step][beam]
    return path[::-1]
