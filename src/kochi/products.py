"""Matrix products with weights, computed by the faster library on this processor.

For float32 on the CPU torch uses MKL, which uses only half of the vector width of AMD's newer
processors; oneDNN, which also ships with torch, uses all of it. See `linear`.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kochi.processor import this_processor
from kochi.transforms import is_traced, is_transformed

ONEDNN_IS_FASTER = (
    torch.backends.mkl.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    and this_processor().wide
    and this_processor().maker == "AuthenticAMD"
)
"""Whether this is a processor on which MKL was measured to be slower."""
LEAST = 2**21  # multiplications from which oneDNN's overhead pays off; see decision 0013


def linear(
    x: Float[Tensor, "*rows input_size"],
    weight: Float[Tensor, "output_size input_size"],
    bias: Float[Tensor, " output_size"] | None = None,
) -> Float[Tensor, "*rows output_size"]:
    """Compute ``x weight^T + bias``, as ``torch.nn.functional.linear`` does.

    Where oneDNN is faster (large float32 products on AMD processors with 512-bit vectors), it
    computes the product and its gradients. Otherwise this calls torch's function, also under
    autocast, compilation and a lower ``torch.get_float32_matmul_precision()``.

    >>> linear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]), torch.tensor([5.0])).tolist()
    [[16.0]]
    """
    if not onednn_serves(x, weight):
        return F.linear(x, weight, bias)
    return _product(x, weight, bias, None)


def linear_onto(
    total: Float[Tensor, "rows output_size"],
    x: Float[Tensor, "rows input_size"],
    weight: Float[Tensor, "output_size input_size"],
    bias: Float[Tensor, " output_size"] | None = None,
) -> Float[Tensor, "rows output_size"]:
    """Compute ``total + x weight^T + bias``; see `linear`.

    >>> one = torch.ones(1, 1)
    >>> linear_onto(3.0 * one, 2.0 * one, 5.0 * one).tolist()
    [[13.0]]
    """
    if onednn_serves(x, weight):
        return _product(x, weight, bias, total)
    product = torch.addmm(total, x, weight.t())
    return product if bias is None else product + bias


class Linear(nn.Linear):
    """``nn.Linear`` computed by `linear`, with the same parameter names."""

    def forward(self, input: Tensor) -> Tensor:
        """See `linear`."""
        return linear(input, self.weight, self.bias)


def onednn_serves(x: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN computes ``x weight^T`` faster here."""
    return (
        ONEDNN_IS_FASTER
        and not is_traced()
        and not is_transformed()
        and x.numel() * weight.size(0) >= LEAST
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.get_float32_matmul_precision() == "highest"
    )


def weight_gradient(
    grad: Float[Tensor, "rows output_size"], x: Float[Tensor, "rows input_size"]
) -> Float[Tensor, "output_size input_size"]:
    """Compute ``grad^T x``, the gradient of the weight.

    oneDNN is faster if the wider side is the row dimension of the result.
    """
    if grad.shape[1] >= x.shape[1]:
        return linear(x.t(), grad.t()).t()
    return linear(grad.t(), x.t())


def add_weight_gradient(
    total: Float[Tensor, "output_size input_size"],
    grad: Float[Tensor, "rows output_size"],
    x: Float[Tensor, "rows input_size"],
) -> None:
    """Add `weight_gradient` to ``total``; a wide ``total`` is best stored transposed."""
    if onednn_serves(grad, x.t()):
        total.add_(weight_gradient(grad, x))
    else:
        total.addmm_(grad.t(), x)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, total: Tensor | None) -> Tensor:
    operands = x, weight, bias, total
    if torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in operands):
        product = _Product.apply(*operands)
        assert isinstance(product, Tensor)
        return product
    return _onednn(*operands)


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None, total: Tensor | None) -> Tensor:
    # A private operator that torch's compiler uses; it has no gradient.
    operator = torch.ops.mkldnn._linear_pointwise
    if not (weight.is_contiguous() or weight.t().is_contiguous()):
        weight = weight.contiguous()  # other layouts are a thousand times slower
    if total is not None:
        return operator.binary(x, total, weight, bias, "add")
    return operator(x, weight, bias, "none", [], "")


class _Product(torch.autograd.Function):
    """The product and its gradients, which are also products."""

    apply: ClassVar[Callable[..., Any]]  # torch gives it no types

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, total: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias, total)

    @staticmethod
    def backward(ctx: Any, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        needed: tuple[bool, ...] = ctx.needs_input_grad
        x, weight = saved
        of_x, of_weight, of_bias, of_total = needed
        rows = grad.flatten(0, -2)
        return (
            linear(grad, weight.t()) if of_x else None,
            weight_gradient(rows, x.flatten(0, -2)) if of_weight else None,
            rows.sum(0) if of_bias else None,
            grad if of_total else None,
        )
