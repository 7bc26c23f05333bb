"""The ways a predictor comes to its answers: by search, by drawing, or because they are given.

Each can be pickled and cut to some of the sources, so that other processes can find them too.
"""

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from jaxtyping import Int
from torch import Tensor
from typing_extensions import override

from kochi.decoding import CtcPrefixScore, Hypothesis, normalise, sample, score_targets, search
from kochi.memory import Memory
from kochi.models.seq2seq import Seq2Seq


class DecodingStrategy(abc.ABC):
    """A way to the answers of some sources."""

    @abc.abstractmethod
    def of(self, places: list[int]) -> "DecodingStrategy":
        """Return the way to the answers of some of them."""

    @abc.abstractmethod
    def __call__(
        self, model: Seq2Seq, memory: Memory, limits: Int[Tensor, " batch"]
    ) -> list[list[Hypothesis]]:
        """Return the answers to each source, best first.

        Args:
            model: Whose decoder writes.
            memory: What its encoder made of the sources.
            limits: Most tokens each answer may have.
        """


class Task(NamedTuple):
    """A batch to be answered.

    Attributes:
        find: The way to the answers.
        rows: The sources as the reader encoded them.
        need_alignment: Whether the best answers' alignment is wanted.
        need_heads: Whether it is wanted of every layer and head.
        need_origins: Whether the alignment of every answer is wanted where a source or an answer
            holds an unknown token.
    """

    find: DecodingStrategy
    rows: Sequence[Any]
    need_alignment: bool
    need_heads: bool
    need_origins: bool = False

    def of(self, places: list[int]) -> "Task":
        """Return the task of some of the sources."""
        return self._replace(find=self.find.of(places), rows=[self.rows[one] for one in places])


@dataclass(frozen=True)
class BeamSearch(DecodingStrategy):
    """Answers found by beam search; see `kochi.inference.predictor.Predictor.predict`.

    Attributes:
        beam: Hypotheses kept.
        n_best: Answers to each source.
        length_penalty: Exponent of the length in the score.
        ctc_weight: Share of the model's CTC output, where it has one, in the score.
        unknown: Whether the unknown token may be part of an answer.
    """

    beam: int
    n_best: int
    length_penalty: float
    ctc_weight: float
    unknown: bool = False

    @override
    def of(self, places: list[int]) -> "BeamSearch":
        return self

    @override
    def __call__(
        self, model: Seq2Seq, memory: Memory, limits: Int[Tensor, " batch"]
    ) -> list[list[Hypothesis]]:
        joint = (
            CtcPrefixScore(model.ctc, self.ctc_weight) if model.ctc and self.ctc_weight else None
        )
        return search(
            model.decoder,
            memory,
            beam=self.beam,
            length_penalty=self.length_penalty,
            max_length=limits,
            n_best=self.n_best,
            joint=joint,
            unknown=self.unknown,
        )


@dataclass(frozen=True)
class ForcedDecoding(DecodingStrategy):
    """Answers that are given, and only scored.

    Attributes:
        rows: The tokens of each answer, without the end mark.
        length_penalty: Exponent of the length in the score.
    """

    rows: list[list[int]]
    length_penalty: float

    @override
    def of(self, places: list[int]) -> "ForcedDecoding":
        return replace(self, rows=[self.rows[place] for place in places])

    @override
    def __call__(
        self, model: Seq2Seq, memory: Memory, limits: Int[Tensor, " batch"]
    ) -> list[list[Hypothesis]]:
        sums = score_targets(model.decoder, memory, self.rows).tolist()
        return [
            [Hypothesis(row, normalise(total, len(row) + 1, self.length_penalty), total, True)]
            for row, total in zip(self.rows, sums, strict=True)
        ]


@dataclass(frozen=True)
class Sampling(DecodingStrategy):
    """Answers drawn from the model's distribution; see `kochi.decoding.sample`.

    Attributes:
        seeds: One a source.
        num_samples: Answers to each source.
        temperature: Divides the logits.
        top_k: Draw from so many tokens, or None: from all.
        length_penalty: Exponent of the length in the score.
        unknown: Whether the unknown token may be part of an answer.
    """

    seeds: Int[Tensor, " sources"]
    num_samples: int
    temperature: float
    top_k: int | None
    length_penalty: float
    unknown: bool = False

    @override
    def of(self, places: list[int]) -> "Sampling":
        return replace(self, seeds=self.seeds[places])

    @override
    def __call__(
        self, model: Seq2Seq, memory: Memory, limits: Int[Tensor, " batch"]
    ) -> list[list[Hypothesis]]:
        return sample(
            model.decoder,
            memory,
            max_length=limits,
            temperature=self.temperature,
            top_k=self.top_k,
            n=self.num_samples,
            seeds=self.seeds,
            length_penalty=self.length_penalty,
            unknown=self.unknown,
        )
