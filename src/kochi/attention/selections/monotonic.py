"""Monotonic selection: a walk through the source that never moves back."""

import warnings
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.attention.options import check_number, is_number
from kochi.attention.selections.base import RecurrentSelection
from kochi.attention.selections.positions import widen
from kochi.transforms import is_readable


def expected_walk(
    stop: Float[Tensor, "*batch source"], previous: Float[Tensor, "*batch source"]
) -> Float[Tensor, "*batch source"]:
    """Compute where a walk stops if it stops at position s, once there, with probability stop[s].

    ``alignment[s] = stop[s] * sum over r <= s of previous[r] * product over r <= q < s of
    (1 - stop[q])``: Raffel et al. 2017, section 2.3, equation 9; https://arxiv.org/abs/1704.00784.
    The paper solves its recurrence (equation 13) by dividing two cumulative sums, which fails when
    the product underflows. We merge neighbouring segments of 1, 2, 4, ... positions in log2(source)
    rounds, which only adds and multiplies positive numbers.

    >>> import torch
    >>> expected_walk(torch.tensor([0.5, 0.5, 1.0]), torch.tensor([1.0, 0.0, 0.0])).tolist()
    [0.5, 0.25, 0.25]
    """
    # reached[s] = pass_on[s] * reached[s - 1] + previous[s]
    reached = previous
    pass_on = torch.cat([torch.zeros_like(stop[..., :1]), 1.0 - stop[..., :-1]], -1)
    stretch = 1
    while stretch < stop.shape[-1]:
        here = pass_on[..., stretch:]
        further = reached[..., stretch:] + here * reached[..., :-stretch]
        reached = torch.cat([reached[..., :stretch], further], -1)
        pass_on = torch.cat([pass_on[..., :stretch], here * pass_on[..., :-stretch]], -1)
        stretch *= 2
    return stop * reached


def hard_walk(
    stop: Bool[Tensor, "*batch source"], previous: Float[Tensor, "*batch source"]
) -> Float[Tensor, "*batch source"]:
    """Return the first stop from the previous position on, one-hot; zeros if there is none.

    >>> import torch
    >>> stop = torch.tensor([True, False, False, True, True])
    >>> hard_walk(stop, torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])).tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0]
    """
    ahead = stop & (previous.cumsum(-1) > 0)
    return (ahead & (ahead.cumsum(-1) == 1)).to(previous.dtype)


def first_position(scores: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch source"]:
    """Return the start of a walk: position 0, one-hot."""
    start = torch.zeros_like(scores)
    start[..., :1] = 1.0
    return start


def _warn_of_nothing(alignment: Tensor, scores: Tensor, visible: Tensor | None) -> None:
    """Warn if no walk of the first step stops anywhere: the walks are then over."""
    if alignment.device.type != "cpu" or not is_readable(alignment) or not alignment.numel():
        return
    if alignment.any() or not (visible is None or visible.any()):
        return
    highest = scores.max() if visible is None else scores[visible.expand_as(scores)].max()
    warnings.warn(
        "monotonic: no query attends to anything, now and later: outside training the walk stops "
        f"where score + offset is at least 0, and the highest here is {highest.item():.2g}. A "
        "score that was not trained does this; train it, or start from a higher offset",
        stacklevel=2,
    )


class Monotonic(RecurrentSelection):
    """Move on from the previous position: in expectation in training, by a hard walk otherwise.

    Raffel et al. 2017; https://arxiv.org/abs/1704.00784. At each position the walk stops with
    probability ``sigmoid(score + offset)``. In training (section 2.3), noise in the sigmoid
    (section 2.5) drives it towards 0 or 1; otherwise the walk stops where it is at least 0.5
    (section 2.2). Masked positions are skipped. A walk that moves past the end attends to nothing
    and stays there: a row may sum to less than 1, and the following rows are zeros, as in the
    paper's recurrence and code.

    Args:
        num_heads: Number of heads; each has its own offset.
        noise: Standard deviation of the Gaussian noise added to the scores in training; 1 in the
            paper.
        offset: Initial value of the learned offset. A negative value makes the walk reach far at
            first (section 2.4: a walk that always stops immediately learns nothing of what lies
            ahead).

    Raises:
        ValueError: ``noise`` is negative, or an option is not a finite number.
    """

    def __init__(self, num_heads: int = 1, *, noise: float = 1.0, offset: float = -1.0) -> None:
        super().__init__()
        if not is_number(noise) or noise < 0:
            raise ValueError(f"noise: got {noise!r}, expected a finite number of 0 or more")
        check_number("offset", offset)
        self.noise = noise
        self.offset = nn.Parameter(torch.full((num_heads, 1, 1), float(offset)))  # r

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
        past: Past | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `expected_walk` and `hard_walk`."""
        return self.walk(scores, visible, None if past is None else past.position)

    def walk(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
        previous: Float[Tensor, "batch heads target source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """Move on from ``previous``, or from position 0 if it is None."""
        wide = widen(scores)
        if visible is not None:
            wide = torch.where(visible, wide, 0.0)
        wide = wide + self.offset
        start = first_position(wide) if previous is None else previous.to(wide.dtype)
        if not self.training:
            stop = wide >= 0.0
            alignment = hard_walk(stop if visible is None else stop & visible, start)
            if previous is None:
                _warn_of_nothing(alignment, wide, visible)
            return alignment.to(scores.dtype)
        if self.noise:
            wide = wide + self.noise * torch.randn_like(wide)
        stop = wide.sigmoid()
        if visible is not None:
            stop = torch.where(visible, stop, 0.0)
        return expected_walk(stop, start).to(scores.dtype)

    if TYPE_CHECKING:

        def __call__(self, scores: Tensor, visible: Tensor | None, past: Past | None) -> Tensor:
            """Type a call as `forward`."""
            ...
