"""Hard selection: one place, drawn at random in training."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.base import Choice, SampledSelection
from kochi.attention.selections.drawing import draw_place
from kochi.attention.selections.places import best_place, hide, widen


def choice_of(
    place: Float[Tensor, "*batch source"],
    scores: Float[Tensor, "*batch source"],
    visible: Bool[Tensor, "*#batch #source"] | None,
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Return the log-probability of a place under the softmax, and the entropy of the softmax.

    Both are 0 where nothing is visible.

    >>> import torch
    >>> place, scores = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([2.0, 2.0, 9.0])
    >>> found = choice_of(place, scores, torch.tensor([True, True, False]))
    >>> [round(number.item(), 4) for number in found]  # log(1/2) and log(2)
    [-0.6931, 0.6931]
    """
    log_alignment = hide(scores, visible).log_softmax(-1)
    if visible is not None:
        log_alignment = torch.where(visible, log_alignment, 0.0)
    share = log_alignment.exp()
    if visible is not None:
        share = torch.where(visible, share, 0.0)
    return (place * log_alignment).sum(-1), -(share * log_alignment).sum(-1)


class Hard(SampledSelection):
    """Look at one place, drawn by the softmax in training, the likeliest one otherwise.

    Xu et al. 2015, section 4.1, equations 8 to 12; https://arxiv.org/abs/1502.03044. The alignment
    is a constant: a loss learns by ``reward * log_probability`` (with a baseline taken from the
    reward) and a little ``entropy``, both in the `Choice`, in float32 at least. No parameters.
    """

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Choice:
        """See `draw_place` and `choice_of`."""
        wide = widen(scores)
        place = draw_place(wide, visible) if self.training else best_place(wide, visible)
        return Choice(place.to(scores.dtype), *choice_of(place, wide, visible))
