"""Straight-through selection: one-hot in the forward pass, the softmax in the backward pass."""

from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.base import Selection
from kochi.attention.selections.drawing import draw_position
from kochi.attention.selections.positions import best_position, widen
from kochi.attention.selections.soft import masked_softmax


def straight_through(
    position: Float[Tensor, "*batch source"], alignment: Float[Tensor, "*batch source"]
) -> Float[Tensor, "*batch source"]:
    """Return ``position``, bit for bit, with the gradient of ``alignment``.

    Bengio, Leonard and Courville 2013; https://arxiv.org/abs/1308.3432. The paper uses it for
    binary units, here it is used for one-hot vectors.

    >>> import torch
    >>> alignment = torch.tensor([0.25, 0.75], requires_grad=True)
    >>> result = straight_through(torch.tensor([0.0, 1.0]), alignment)
    >>> (result * torch.tensor([3.0, 5.0])).sum().backward()
    >>> result.tolist(), alignment.grad.tolist()
    ([0.0, 1.0], [3.0, 5.0])
    """
    return position + (alignment - alignment.detach())  # exactly 0: not 1 - 0.9 + 0.9


class StraightThrough(Selection):
    """Attend to one position, with the gradient of the softmax; no parameters.

    The gradient is biased; that of `Hard` is unbiased but has a higher variance.

    Args:
        sample: Sample the position from the softmax in training, as in the paper; False takes the
            most probable one. Outside training it is always the most probable one.
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
        pick = draw_position if self.sample and self.training else best_position
        alignment = straight_through(pick(wide, visible), masked_softmax(wide, visible))
        return alignment.to(scores.dtype)
