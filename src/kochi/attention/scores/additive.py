"""Additive (concat) score."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kochi.attention.scores.base import Score, head_linear, head_weight


def additive_score(
    query: Float[Tensor, "batch heads target hidden_size"],
    keys: Float[Tensor, "batch heads source hidden_size"],
    vector: Float[Tensor, "weight_heads hidden_size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = <vector, tanh(query[t] + key[s])>`` from projected parts.

    With ``query = W_a s_{i-1}`` and ``keys = U_a h_j`` this is Bahdanau, Cho and Bengio 2015,
    appendix A.1.2; https://arxiv.org/abs/1409.0473

    >>> import torch
    >>> query = torch.tensor([[[[1.0, 5.0]]]])
    >>> keys = torch.tensor([[[[-1.0, -5.0], [99.0, -5.0]]]])
    >>> additive_score(query, keys, torch.tensor([[2.0, 3.0]])).tolist()
    [[[[0.0, 2.0]]]]
    """
    # In place: tanh needs its result, not its input, for the gradient.
    hidden = (query.unsqueeze(3) + keys.unsqueeze(2)).tanh_()
    if vector.shape[0] == 1:
        return hidden @ vector.squeeze(0)
    return (hidden @ vector[:, None, :, None]).squeeze(-1)


class Additive(Score):
    """The additive score: one hidden tanh layer, no bias.

    Args:
        query_size: Size of a query.
        key_size: Size of a key.
        num_heads: Each head has matrices and a vector of its own.
        hidden_size: Width of the hidden layer; by default ``query_size``.
    """

    def __init__(
        self, query_size: int, key_size: int, num_heads: int = 1, hidden_size: int | None = None
    ) -> None:
        super().__init__()
        hidden_size = query_size if hidden_size is None else hidden_size
        bound = hidden_size**-0.5
        self.query_weight = head_weight(num_heads, hidden_size, query_size)  # W_a
        self.key_weight = head_weight(num_heads, hidden_size, key_size)  # U_a
        self.vector = nn.Parameter(  # v_a
            torch.empty(num_heads, hidden_size).uniform_(-bound, bound)
        )

    def project_query(
        self, query: Float[Tensor, "batch heads target query_size"]
    ) -> Float[Tensor, "batch heads target hidden_size"]:
        """Carry the query into the hidden layer."""
        return head_linear(query, self.query_weight)

    def project_keys(
        self, keys: Float[Tensor, "batch heads source key_size"]
    ) -> Float[Tensor, "batch heads source hidden_size"]:
        """Carry the keys into the hidden layer."""
        return head_linear(keys, self.key_weight)

    def forward(
        self,
        query: Float[Tensor, "batch heads target hidden_size"],
        keys: Float[Tensor, "batch heads source hidden_size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """See `additive_score`."""
        return additive_score(query, keys, self.vector)
