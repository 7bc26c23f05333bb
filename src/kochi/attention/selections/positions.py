"""Helpers of selections: masking scores and marking the best position."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def widen(scores: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch source"]:
    """Convert half precision to float32; leave wider types unchanged."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def hide(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Fill masked positions with the lowest finite number, at least in float32.

    Not with -inf: the softmax of a row of -inf is NaN, forward and backward.
    """
    scores = widen(scores)
    if visible is None:
        return scores
    return torch.where(visible, scores, torch.finfo(scores.dtype).min)


def some_visible(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Bool[Tensor, "*batch source"]:
    """Expand ``visible`` to the shape of the scores."""
    if visible is None:
        return torch.ones_like(scores, dtype=torch.bool)
    return visible.expand(scores.shape)


def best_position(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Return the first position with the highest visible score, one-hot; constant for autograd.

    >>> import torch
    >>> scores = torch.tensor([3.0, 5.0, 5.0, 9.0])
    >>> best_position(scores, torch.tensor([True, True, True, False])).tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    best = torch.zeros_like(scores)
    if scores.shape[-1] == 0:
        return best
    index = hide(scores.detach(), visible).argmax(-1, keepdim=True)
    best = best.scatter(-1, index, 1.0)
    return best if visible is None else torch.where(visible, best, 0.0)


def keep_positive(
    values: Float[Tensor, "*batch source"], alignment: Float[Tensor, "*#batch #source"]
) -> Float[Tensor, "*batch source"]:
    """Return the values where the alignment is above 0, and 0 elsewhere, even for NaN.

    This is the gradient of a relu, which is much faster than `torch.where`.

    >>> import torch
    >>> keep_positive(torch.tensor([2.0, float("nan")]), torch.tensor([0.3, 0.0])).tolist()
    [2.0, 0.0]
    """
    return torch.ops.aten.threshold_backward(values, alignment, 0)
