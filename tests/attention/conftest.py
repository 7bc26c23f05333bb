"""Shared by the tests of attention: one memory, one query, one way to take every gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(7)


@pytest.fixture
def gradients() -> Callable[..., list[Tensor]]:
    """Return the gradient of a weighted sum of an output, for each of the inputs."""

    def take(output: Tensor, inputs: list[Tensor]) -> list[Tensor]:
        weights = torch.arange(output.numel(), dtype=output.dtype).view(output.shape).cos()
        return list(torch.autograd.grad((output * weights).sum(), inputs))

    return take
