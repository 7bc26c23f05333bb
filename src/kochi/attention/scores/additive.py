"""Additive (concat) score."""

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kochi.attention.options import check_count
from kochi.attention.scores.base import Score, head_linear, head_weight


def additive_score(
    query: Float[Tensor, "batch heads target hidden_size"],
    keys: Float[Tensor, "batch heads source hidden_size"],
    vector: Float[Tensor, "weight_heads hidden_size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = <vector, tanh(query[t] + key[s])>`` from projected vectors.

    With ``query = W_a s_{i-1}`` and ``keys = U_a h_j`` this is Bahdanau, Cho and Bengio 2015,
    appendix A.1.2; https://arxiv.org/abs/1409.0473

    >>> import torch
    >>> query = torch.tensor([[[[1.0, 5.0]]]])
    >>> keys = torch.tensor([[[[-1.0, -5.0], [99.0, -5.0]]]])
    >>> additive_score(query, keys, torch.tensor([[2.0, 3.0]])).tolist()
    [[[[0.0, 2.0]]]]
    """
    # In place: the gradient of tanh needs its output, not its input.
    hidden = (query.unsqueeze(3) + keys.unsqueeze(2)).tanh_()
    if vector.shape[0] == 1:
        return hidden @ vector.squeeze(0)
    return (hidden @ vector[:, None, :, None]).squeeze(-1)


def unit_vector(
    vector: Float[Tensor, "heads hidden_size"], scale: Float[Tensor, " heads"]
) -> Float[Tensor, "heads hidden_size"]:
    """Compute ``scale vector / |vector|``, which separates the length from the direction.

    Salimans and Kingma 2016, section 2, equation 2; https://arxiv.org/abs/1602.07868

    >>> import torch
    >>> unit_vector(torch.tensor([[3.0, 4.0]]), torch.tensor([10.0])).tolist()
    [[6.0, 8.0]]
    """
    length: Tensor = cast(Any, vector).norm(dim=-1)
    return vector * (scale / length).unsqueeze(-1)


class Additive(Score):
    """Additive score: one hidden tanh layer, without bias unless ``normalize`` is set.

    Args:
        query_size: Size of a query.
        key_size: Size of a key.
        num_heads: Number of heads; each has its own matrices and vector.
        hidden_size: Width of the hidden layer; by default ``query_size``.
        normalize: Learn the length of v separately from its direction, and a bias in the hidden
            layer: ``<g v / |v|, tanh(W_a query + U_a key + b)>``. Raffel et al. 2017, section 2.4,
            without their offset r, to which a softmax is invariant; as there, g is initialised with
            ``hidden_size ** -0.5``; b is initialised with 0; https://arxiv.org/abs/1704.00784

    Raises:
        ValueError: ``hidden_size`` is below 1.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        num_heads: int = 1,
        *,
        hidden_size: int | None = None,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        hidden_size = query_size if hidden_size is None else hidden_size
        check_count("hidden_size", hidden_size)
        bound = hidden_size**-0.5
        self.query_weight = head_weight(num_heads, hidden_size, query_size)  # W_a
        self.key_weight = head_weight(num_heads, hidden_size, key_size)  # U_a
        self.vector = nn.Parameter(  # v_a
            torch.empty(num_heads, hidden_size).uniform_(-bound, bound)
        )
        self.normalize = normalize
        if normalize:
            self.scale = nn.Parameter(torch.full((num_heads,), bound))  # g
            self.bias = nn.Parameter(torch.zeros(num_heads, 1, hidden_size))  # b

    @property
    def weight(self) -> Float[Tensor, "num_heads hidden_size"]:
        """The output vector of the hidden layer: v, or g v / |v|."""
        return unit_vector(self.vector, self.scale) if self.normalize else self.vector

    def project_query(
        self, query: Float[Tensor, "batch heads target query_size"]
    ) -> Float[Tensor, "batch heads target hidden_size"]:
        """Project the query to the hidden layer."""
        hidden = head_linear(query, self.query_weight)
        return hidden + self.bias if self.normalize else hidden

    def project_keys(
        self, keys: Float[Tensor, "batch heads source key_size"]
    ) -> Float[Tensor, "batch heads source hidden_size"]:
        """Project the keys to the hidden layer."""
        return head_linear(keys, self.key_weight)

    def forward(
        self,
        query: Float[Tensor, "batch heads target hidden_size"],
        keys: Float[Tensor, "batch heads source hidden_size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """See `additive_score`."""
        return additive_score(query, keys, self.weight)
