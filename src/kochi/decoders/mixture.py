"""The output of hard attention with the position summed out: a mixture over positions."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.products import linear

CHUNK = {"cpu": 2**21}
CHUNK_ELSEWHERE = 2**25
"""Logits that are held at a time: 8 megabytes in float32 on the CPU, as
`kochi.training.losses.cross_entropy` does; other devices want few large calls."""


class Mixture(NamedTuple):
    """The input of the output layer for every source position that a target position may choose.

    ``features[s] = tanh(of_target + of_positions[s]) * kept`` and
    ``p(y) = sum over s of alignment[s] * softmax(output(features[s]))[y]``. The features are held
    in two parts because together they are ``target x source`` vectors per sentence.

    Args:
        of_target: The part of each target position.
        of_positions: The part of each source position.
        alignment: The probability of each source position; a row sums to 1.
        kept: The dropout mask of the features, with its scale. All source positions of a target
            position share it, so that the sum over them is exact for one thinned output layer.
            ``None`` for no dropout.
    """

    of_target: Float[Tensor, "batch target feature_size"]
    of_positions: Float[Tensor, "batch source feature_size"]
    alignment: Float[Tensor, "batch target source"]
    kept: Float[Tensor, "batch target feature_size"] | None = None

    def rows(self, rows: Int[Tensor, " rows"]) -> "Rows":
        """Select target positions by their index in the flattened batch."""
        kept = self.kept
        return Rows(
            self.of_target.flatten(0, 1).index_select(0, rows),
            self.of_positions,
            self.alignment.flatten(0, 1).index_select(0, rows),
            rows // self.of_target.shape[1],
            None if kept is None else kept.flatten(0, 1).index_select(0, rows),
        )

    def log_probabilities(
        self,
        weight: Float[Tensor, "vocabulary feature_size"],
        bias: Float[Tensor, " vocabulary"],
    ) -> Float[Tensor, "batch target vocabulary"]:
        """Return the logarithm of p(y) for every token y, in nats.

        Without a gradient, the outputs of only a few positions are held at a time. For training,
        see `kochi.training.mixture_loss`, which also holds only a few.

        Args:
            weight: Output layer: logits = features @ weight.T + bias.
            bias: Its bias.
        """
        batch, target, _ = self.of_target.shape
        rows = self.rows(torch.arange(batch * target, device=weight.device))
        found = []
        for part in rows.parts(len(weight)):
            logits = linear(rows.features(part), weight, bias)
            joint = logits.log_softmax(-1) + log_shares(rows.alignment[part]).unsqueeze(-1)
            found.append(joint.logsumexp(1))
        return torch.cat(found).view(batch, target, -1)


class Rows(NamedTuple):
    """Some target positions of a `Mixture`.

    Args:
        of_target: The part of each position.
        of_positions: The part of each position of the batch.
        alignment: The probability of each position.
        sentences: Which sentence of the batch each position belongs to.
        kept: See `Mixture`.
    """

    of_target: Float[Tensor, "rows feature_size"]
    of_positions: Float[Tensor, "batch source feature_size"]
    alignment: Float[Tensor, "rows source"]
    sentences: Int[Tensor, " rows"]
    kept: Float[Tensor, "rows feature_size"] | None = None

    def parts(self, vocabulary: int) -> Iterator[slice]:
        """Cut the rows so that the logits of a part, ``rows x source x vocabulary``, are few."""
        numbers = CHUNK.get(self.of_target.device.type, CHUNK_ELSEWHERE)
        total, source = self.alignment.shape
        size = max(1, numbers // (vocabulary * max(1, source)))
        for start in range(0, total, size):
            yield slice(start, min(total, start + size))

    def vectors(self, part: slice) -> Float[Tensor, "some_rows source feature_size"]:
        """Return the features of a part before dropout."""
        positions = self.of_positions.index_select(0, self.sentences[part])
        return (positions + self.of_target[part].unsqueeze(1)).tanh()

    def features(self, part: slice) -> Float[Tensor, "some_rows source feature_size"]:
        """Return the features of a part."""
        vectors = self.vectors(part)
        return vectors if self.kept is None else vectors * self.kept[part].unsqueeze(1)


def log_shares(alignment: Float[Tensor, "*rows source"]) -> Float[Tensor, "*rows source"]:
    """Return the logarithm, -inf and without a gradient for positions of alignment 0."""
    seen = alignment > 0
    return torch.where(seen, torch.where(seen, alignment, 1.0).log(), -torch.inf)
