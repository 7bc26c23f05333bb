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


def positive_power(
    values: Float[Tensor, "*batch source"], exponent: float | Float[Tensor, "*#batch 1"]
) -> Float[Tensor, "*batch source"]:
    """Raise values to a power between 0 and 1; 0 stays 0, with a slope of 0 and not infinity.

    >>> import torch
    >>> zero = torch.tensor([0.0, 4.0], requires_grad=True)
    >>> positive_power(zero, 0.5).sum().backward()
    >>> zero.grad.tolist()
    [0.0, 0.25]
    """
    inside = values > 0
    return torch.where(inside, torch.where(inside, values, 1.0).pow(exponent), 0.0)


def sorted_sums(
    scores: Float[Tensor, "*batch source"],
) -> tuple[
    Float[Tensor, "*batch source"],
    Float[Tensor, " source"],
    Float[Tensor, "*batch source"],
    Float[Tensor, "*batch source"],
]:
    """Return scores in descending order, and of the first k: k, the sum, the sum of squares.

    >>> import torch
    >>> [one.tolist() for one in sorted_sums(torch.tensor([1.0, 3.0]))]
    [[3.0, 1.0], [1.0, 2.0], [3.0, 4.0], [9.0, 10.0]]
    """
    ordered = scores.sort(dim=-1, descending=True).values
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device).to(scores.dtype)
    return ordered, count, ordered.cumsum(-1), ordered.square().cumsum(-1)
