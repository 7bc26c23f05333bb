"""Local-p scope: each query predicts the centre of its window (p as in predictive)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention.options import check_count
from kochi.attention.positions import Positions
from kochi.attention.scopes.base import PredictedScope, Window, Windows
from kochi.attention.scores.base import head_linear, head_weight


def predicted_centre(
    query: Float[Tensor, "batch heads target query_size"],
    weight: Float[Tensor, "weight_heads hidden_size query_size"],
    vector: Float[Tensor, "weight_heads hidden_size"],
    lengths: Int[Tensor, " batch"],
) -> Float[Tensor, "batch heads target"]:
    """Compute ``p[t] = S sigmoid(<vector, tanh(weight query[t])>)`` in a sentence of length S.

    Luong, Pham and Manning 2015, section 3.2, equation 9; https://arxiv.org/abs/1508.04025

    >>> query, weight = torch.tensor([[[[0.0], [99.0]]]]), torch.tensor([[[1.0]]])
    >>> predicted_centre(query, weight, torch.tensor([[99.0]]), torch.tensor([8])).tolist()
    [[[4.0, 8.0]]]
    """
    hidden = head_linear(query, weight).tanh()
    logit = (hidden * vector[:, None]).sum(-1)
    # At least float32: 16 bits cannot resolve the positions of a long sentence.
    wide = torch.promote_types(query.dtype, torch.float32)
    return lengths[:, None, None] * logit.to(wide).sigmoid()


def gaussian_windows(centre: Float[Tensor, "batch heads target"], width: int) -> Windows:
    """Return a window around each centre: ``exp(-(s - p)^2 / (2 sigma^2))`` where ``|s - p| <= D``.

    With ``sigma = D / 2``. Luong, Pham and Manning 2015, section 3.2, equation 10.

    Args:
        centre: The centre of each query's window (p).
        width: Extent of the window to each side (D).

    >>> windows = gaussian_windows(torch.tensor([[[2.0]]]), width=2)
    >>> windows.mask(torch.arange(6)).int().tolist()
    [[[[1, 1, 1, 1, 1, 0]]]]
    >>> windows.prior(torch.arange(2, 4)).log().tolist()
    [[[[0.0, -0.5]]]]
    """
    return Windows(centre, width, width, width / 2)


class LocalP(PredictedScope):
    """Attend to a Gaussian window around a centre that each query predicts.

    The alignment is multiplied by the Gaussian after the selection and is not renormalised, as in
    the paper. Positions count from 0, and the length S of a memory is its number of unmasked
    positions, so padding must be at the end.

    Args:
        query_size: Size of a query.
        num_heads: Number of heads; each predicts its own centre.
        width: Extent of the window to each side (D), twice the Gaussian's sigma; 10 as in the
            paper.
        hidden_size: Width of the hidden layer; by default ``query_size``.

    Raises:
        ValueError: An option is below 1.
    """

    def __init__(
        self,
        query_size: int,
        num_heads: int = 1,
        *,
        width: int = 10,
        hidden_size: int | None = None,
    ) -> None:
        super().__init__()
        hidden_size = query_size if hidden_size is None else hidden_size
        check_count("width", width)
        check_count("hidden_size", hidden_size)
        self.width, self.reach = width, (width, width)
        bound = hidden_size**-0.5
        self.weight = head_weight(num_heads, hidden_size, query_size)  # W_p
        self.vector = nn.Parameter(  # v_p
            torch.empty(num_heads, hidden_size).uniform_(-bound, bound)
        )

    def forward(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        positions: Positions,
        lengths: Int[Tensor, " batch"],
    ) -> Window:
        """See `predicted_centre` and `gaussian_windows`."""
        windows, key_positions = self._open(query, lengths), positions.keys()
        return Window(windows.mask(key_positions), windows.prior(key_positions).to(query.dtype))

    def windows(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        positions: Positions,
        lengths: Int[Tensor, " batch"],
    ) -> Windows | None:
        """Return the windows if the keys are counted from 0."""
        return None if positions.key is not None else self._open(query, lengths)

    def _open(self, query: Tensor, lengths: Tensor) -> Windows:
        centre = predicted_centre(query, self.weight, self.vector, lengths)
        return gaussian_windows(centre, self.width)
