"""Second derivatives of kernels that compute their backward pass themselves."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def differentiate(
    formula: Callable[..., Tensor],
    inputs: Sequence[Tensor | None],
    needed: Sequence[bool],
    grad: Tensor,
) -> tuple[Tensor | None, ...]:
    """Compute the gradients of a formula such that they can be differentiated again.

    A backward pass that is itself differentiated (``create_graph=True``) runs with gradients
    enabled. A kernel then calls this instead of its own backward pass, which reads tensors that are
    constants to autograd.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (slope,) = differentiate(lambda x: x**3, (x,), (True,), torch.tensor(1.0))
    >>> slope.backward()
    >>> x.grad
    tensor(18.)

    Args:
        formula: What the kernel computes, in operations that PyTorch can differentiate.
        inputs: Its arguments.
        needed: Whether the gradient of each argument is needed.
        grad: The gradient of the result.
    """
    wanted = [one for one, need in zip(inputs, needed, strict=False) if need and one is not None]
    result = formula(*inputs)
    found = iter(torch.autograd.grad(result, wanted, grad, create_graph=True))
    return tuple(
        next(found) if need and one is not None else None
        for one, need in zip(inputs, needed, strict=False)
    )
