"""Projections onto the simplex for autograd, ``torch.func`` and the compiler."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kochi.transforms import is_traced

Align = Callable[[Tensor, Tensor | None], Tensor]


def make_projection(align: Align, change: Callable[[Tensor, Tensor], Tensor]) -> Align:
    """Give a projection the derivative that follows from its result.

    A compiled call differentiates the operations of ``align`` instead: the compiler refuses an
    ``autograd.Function`` with a ``jvp``.

    Args:
        align: Compute the alignment of scores, with the mask.
        change: Multiply a change by the Jacobian at an alignment. It must be symmetric: then it
            serves backward and forward mode. Its own operations are differentiated for second
            derivatives.
    """

    class Projection(torch.autograd.Function):
        apply: ClassVar[Callable[..., Tensor]]  # torch gives it no types
        generate_vmap_rule = True

        @staticmethod
        def forward(scores: Tensor, visible: Tensor | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            return align(scores, visible)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            ctx.save_for_backward(output)
            ctx.save_for_forward(output)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return change(ctx.saved_tensors[0], gradient), None

        @staticmethod
        def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            return change(ctx.saved_tensors[0], tangent)

    def project(scores: Tensor, visible: Tensor | None) -> Tensor:
        return align(scores, visible) if is_traced() else Projection.apply(scores, visible)

    return project
