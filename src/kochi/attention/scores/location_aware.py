"""Location-aware score: the additive score with features of earlier alignments."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.attention.options import check_count
from kochi.attention.scores.additive import additive_score
from kochi.attention.scores.base import RecurrentScore, head_linear, head_weight


def location_features(
    past: Past, filters: Float[Tensor, "heads filters 2 width"]
) -> Float[Tensor, "batch heads target source filters"]:
    """Compute ``f = filters * past``, a convolution over earlier alignments.

    Filters are centred, with zero padding at both ends of the memory.

    Args:
        past: The previous and the accumulated alignment, the two input channels.
        filters: Filters of odd width, applied as a cross-correlation as in torch.

    >>> past = Past(torch.tensor([[[[0.0, 1.0, 0.0]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]]))
    >>> filters = torch.tensor([[[[1.0, 2.0, 4.0], [0.0, 10.0, 0.0]]]])
    >>> location_features(past, filters).flatten().tolist()
    [14.0, 12.0, 1.0]
    """
    batch, heads, target, source = past.previous.shape
    channels = torch.stack((past.previous, past.accumulated), dim=2)
    rows = channels.permute(0, 3, 1, 2, 4).reshape(batch * target, 2 * heads, source)
    padding = filters.shape[3] // 2
    features = F.conv1d(rows, filters.flatten(0, 1), padding=padding, groups=heads)
    return features.view(batch, target, heads, filters.shape[1], source).permute(0, 2, 1, 4, 3)


def location_aware_score(
    query: Float[Tensor, "batch heads target hidden_size"],
    keys: Float[Tensor, "batch heads source hidden_size"],
    features: Float[Tensor, "batch heads target source filters"],
    weight: Float[Tensor, "heads hidden_size filters"],
    vector: Float[Tensor, "heads hidden_size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = <vector, tanh(query[t] + key[s] + weight features[t, s])>``.

    Chorowski et al. 2015, section 2.2, with ``query = W s_{i-1} + b``, ``keys = V h_j``,
    ``features = f_{i,j}`` and ``weight = U``; https://arxiv.org/abs/1506.07503. The paper computes
    f from the previous alignment only; the second channel, the sum of all alignments so far,
    follows Shen et al. 2018 (Tacotron 2), section 2.2; https://arxiv.org/abs/1712.05884

    >>> query, keys = torch.tensor([[[[1.0]]]]), torch.tensor([[[[2.0], [3.0]]]])
    >>> features, weight = torch.tensor([[[[[-1.0], [33.0]]]]]), torch.tensor([[[3.0]]])
    >>> location_aware_score(query, keys, features, weight, torch.tensor([[5.0]])).tolist()
    [[[[0.0, 5.0]]]]
    """
    carried = torch.einsum("bhtsf,hof->bhtso", features, weight)
    # In place: the gradient of tanh needs its output, not its input.
    hidden = (query.unsqueeze(3) + keys.unsqueeze(2) + carried).tanh_()
    return (hidden @ vector[:, None, :, None]).squeeze(-1)


class LocationAware(RecurrentScore):
    """Location-aware score; at the first query the earlier alignments are zeros.

    Args:
        query_size: Size of a query.
        key_size: Size of a key.
        num_heads: Number of heads; each has its own parameters and alignments.
        hidden_size: Width of the hidden layer; by default ``query_size``.
        filters: Number of filters; Tacotron 2 has 32.
        width: Width of a filter in positions, odd. 31 as in Tacotron 2; memories of many hundred
            positions need more.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        num_heads: int = 1,
        *,
        hidden_size: int | None = None,
        filters: int = 10,
        width: int = 31,
    ) -> None:
        super().__init__()
        hidden_size = query_size if hidden_size is None else hidden_size
        check_count("hidden_size", hidden_size)
        check_count("filters", filters)
        check_count("width", width)
        if width % 2 == 0:
            raise ValueError(
                f"width: got {width}, expected an odd number, so that filters have a centre"
            )
        bound, filter_bound = hidden_size**-0.5, (2 * width) ** -0.5
        self.query_weight = head_weight(num_heads, hidden_size, query_size)  # W
        self.key_weight = head_weight(num_heads, hidden_size, key_size)  # V
        self.filters = nn.Parameter(  # F
            torch.empty(num_heads, filters, 2, width).uniform_(-filter_bound, filter_bound)
        )
        self.filter_weight = head_weight(num_heads, hidden_size, filters)  # U
        self.bias = nn.Parameter(torch.zeros(num_heads, 1, hidden_size))  # b
        self.vector = nn.Parameter(  # w
            torch.empty(num_heads, hidden_size).uniform_(-bound, bound)
        )

    def project_query(
        self, query: Float[Tensor, "batch heads target query_size"]
    ) -> Float[Tensor, "batch heads target hidden_size"]:
        """Project the query to the hidden layer."""
        return head_linear(query, self.query_weight) + self.bias

    def project_keys(
        self, keys: Float[Tensor, "batch heads source key_size"]
    ) -> Float[Tensor, "batch heads source hidden_size"]:
        """Project the keys to the hidden layer."""
        return head_linear(keys, self.key_weight)

    def forward(
        self,
        query: Float[Tensor, "batch heads target hidden_size"],
        keys: Float[Tensor, "batch heads source hidden_size"],
        past: Past | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `location_aware_score`."""
        if past is None or keys.shape[2] == 0:
            return additive_score(query, keys, self.vector)
        features = location_features(past, self.filters)
        return location_aware_score(query, keys, features, self.filter_weight, self.vector)
