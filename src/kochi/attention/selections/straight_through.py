"""Straight-through selection: one place forward, the softmax backward."""

from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.base import Selection
from kochi.attention.selections.drawing import draw_place
from kochi.attention.selections.places import best_place, widen
from kochi.attention.selections.soft import masked_softmax


def straight_through(
    place: Float[Tensor, "*batch source"], alignment: Float[Tensor, "*batch source"]
) -> Float[Tensor, "*batch source"]:
    """Return the place, bit for bit, with the gradient of the alignment.

    Bengio, Leonard and Courville 2013; https://arxiv.org/abs/1308.3432. There for a
    unit that is on or off, here for one of many.

    >>> import torch
    >>> alignment = torch.tensor([0.25, 0.75], requires_grad=True)
    >>> found = straight_through(torch.tensor([0.0, 1.0]), alignment)
    >>> (found * torch.tensor([3.0, 5.0])).sum().backward()
    >>> found.tolist(), alignment.grad.tolist()
    ([0.0, 1.0], [3.0, 5.0])
    """
    return place + (alignment - alignment.detach())  # exactly 0: not 1 - 0.9 + 0.9


class StraightThrough(Selection):
    """Look at one place, but learn as if it had been the softmax; no parameters.

    The gradient is biased; `Hard` has an unbiased one of higher variance.

    Args:
        sample: Draw the place by the softmax in training, as the paper does; False takes the
            likeliest one. Outside training it is always the likeliest one.
    """

    def __init__(self, *, sample: bool = True) -> None:
        super().__init__()
        self.sample = sample

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `straight_through`."""
        wide = widen(scores)
        pick = draw_place if self.sample and self.training else best_place
        found = straight_through(pick(wide, visible), masked_softmax(wide, visible))
        return found.to(scores.dtype)
