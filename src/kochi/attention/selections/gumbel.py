"""Gumbel-softmax selection: a softened draw."""

from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.options import check_positive
from kochi.attention.selections.base import Selection
from kochi.attention.selections.drawing import gumbel_noise
from kochi.attention.selections.places import best_place, widen
from kochi.attention.selections.soft import masked_softmax
from kochi.attention.selections.straight_through import straight_through


def gumbel_softmax(
    scores: Float[Tensor, "*batch source"],
    visible: Bool[Tensor, "*#batch #source"] | None,
    noise: Float[Tensor, "*batch source"],
    temperature: float,
) -> Float[Tensor, "*batch source"]:
    """Compute ``softmax((score + noise) / temperature)`` over the visible places.

    Jang, Gu and Poole 2017, section 2, equation 2; https://arxiv.org/abs/1611.01144, and Maddison,
    Mnih and Teh 2017; https://arxiv.org/abs/1611.00712.

    >>> import math, torch
    >>> scores, noise = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0 + 2.0 * math.log(3.0)])
    >>> gumbel_softmax(scores, None, noise, 2.0).round(decimals=4).tolist()
    [0.25, 0.75]
    """
    return masked_softmax((scores + noise) / temperature, visible)


class Gumbel(Selection):
    """Look at a softened draw of one place; no parameters.

    Outside training nothing is drawn. Then it is the softmax without noise and temperature, which
    is where a draw's highest place falls on average; with ``hard`` it is the likeliest place.

    Args:
        temperature: Near 0 a draw is nearly one place, and its gradient noisy; high, nearly even.
        hard: Look at the one highest place of the draw; the gradient stays that of the soft draw.

    Raises:
        ValueError: The temperature is not a finite number above 0.
    """

    def __init__(self, *, temperature: float = 1.0, hard: bool = False) -> None:
        super().__init__()
        check_positive("temperature", temperature)
        self.temperature = temperature
        self.hard = hard

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `gumbel_softmax`."""
        wide = widen(scores)
        if self.training:
            alignment = gumbel_softmax(wide, visible, gumbel_noise(wide), self.temperature)
        else:
            alignment = masked_softmax(wide, visible)
        if self.hard:
            alignment = straight_through(best_place(alignment, visible), alignment)
        return alignment.to(scores.dtype)
