"""Initial values of weights and tables.

On the meta device, where model folders are checked (`kochi.models.outline`), tensors have no
values. There `torch.randn`, `torch.arange` and others would import the compiler, which takes a
second.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def is_outlined() -> bool:
    """Return whether modules are being built on the meta device."""
    return torch.get_default_device().type == "meta"


def normal(*shape: int, deviation: float) -> Float[Tensor, "..."]:
    """Draw from a normal distribution: ``torch.randn(shape) * deviation``, bit for bit."""
    weight = torch.empty(shape)
    return weight if is_outlined() else weight.normal_().mul_(deviation)
