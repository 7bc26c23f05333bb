"""Decoding strategies: beam search, sampling, and forced decoding of given targets.

Each can be pickled and cut to some of the sources, so that other processes can run it too.
"""

import abc
from dataclasses import dataclass, replace

from jaxtyping import Int
from torch import Tensor
from typing_extensions import override

from kochi.decoding import CtcPrefixScore, Hypothesis, normalise, sample, score_targets, search
from kochi.memory import Memory
from kochi.models.seq2seq import Seq2Seq


class DecodingStrategy(abc.ABC):
    """How hypotheses for some sources are found."""

    @abc.abstractmethod
    def select(self, indices: list[int]) -> "DecodingStrategy":
        """Return the strategy for some of the sources."""

    @abc.abstractmethod
    def __call__(
        self, model: Seq2Seq, memory: Memory, limits: Int[Tensor, " batch"]
    ) -> list[list[Hypothesis]]:
        """Return the hypotheses for each source, best first.

        Args:
            model: The model that decodes.
            memory: What its encoder made of the sources.
            limits: The most tokens of each target.
        """


@dataclass(frozen=True)
class BeamSearch(DecodingStrategy):
    """Beam search; see `kochi.Predictor.predict`.

    Attributes:
        beam: Hypotheses kept.
        n_best: Hypotheses kept at the end.
        length_penalty: Exponent of the length in the score.
        ctc_weight: Share of the model's CTC output, where it has one, in the score.
        unknown: Whether the unknown token may be written.
    """

    beam: int
    n_best: int
    length_penalty: float
    ctc_weight: float
    unknown: bool = False

    @override
    def select(self, indices: list[int]) -> "BeamSearch":
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
    """Given targets, which are only scored.

    Attributes:
        rows: The tokens of each target, without the end mark.
        length_penalty: Exponent of the length in the score.
    """

    rows: list[list[int]]
    length_penalty: float

    @override
    def select(self, indices: list[int]) -> "ForcedDecoding":
        return replace(self, rows=[self.rows[index] for index in indices])

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
    """Targets drawn from the model's distribution; see `kochi.decoding.sample`.

    Attributes:
        seeds: One a source.
        num_samples: Targets drawn for each source.
        temperature: Divides the logits.
        top_k: Draw from so many tokens, or None: from all.
        length_penalty: Exponent of the length in the score.
        unknown: Whether the unknown token may be written.
    """

    seeds: Int[Tensor, " sources"]
    num_samples: int
    temperature: float
    top_k: int | None
    length_penalty: float
    unknown: bool = False

    @override
    def select(self, indices: list[int]) -> "Sampling":
        return replace(self, seeds=self.seeds[indices])

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
