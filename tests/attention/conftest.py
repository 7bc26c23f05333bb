"""Shared by the tests of attention: one memory, one query, one way to take every gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(7)


@pytest.fixture
def gradients() -> Callable[..., list[Tensor]]:
    """Return the gradient of a weighted sum of an output, for each of the inputs."""

    def take(output: Tensor, inputs: list[Tensor]) -> list[Tensor]:
        weights = torch.arange(output.numel(), dtype=output.dtype).view(output.shape).cos()
        weighted = output * weights.to(output.device)
        return list(torch.autograd.grad(weighted.sum(), inputs))

    return take


@pytest.fixture
def check_gradients() -> Callable[..., None]:
    """`check_gradients(module, run, *inputs)`: gradcheck of inputs and of all parameters."""

    def check(module: nn.Module, run: Callable[..., Tensor], *inputs: Tensor) -> None:
        names = [name for name, _ in module.named_parameters()]

        def call(*tensors: Tensor) -> Tensor:
            values = dict(zip(names, tensors[len(inputs) :], strict=True))
            with torch.nn.utils.stateless._reparametrize_module(module, values):
                return run(*tensors[: len(inputs)])

        parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]
        asked = [tensor.detach().clone().requires_grad_() for tensor in inputs]
        assert torch.autograd.gradcheck(call, (*asked, *parameters))

    return check
