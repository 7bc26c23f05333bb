"""Whether something else than plain eager PyTorch runs through a call."""

import torch
from torch import Tensor, nn


def is_traced() -> bool:
    """Return whether a call is being compiled, exported or traced.

    A traced call must not read values of tensors or depend on sizes.
    """
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def is_transformed() -> bool:
    """Return whether a transform of ``torch.func`` (grad, vmap, jvp, ...) runs through a call.

    Transforms cannot look into an ``autograd.Function`` that was not written for them.
    """
    # What torch itself asks at each call of an autograd.Function; there is no public name for it.
    return not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()


def is_readable(tensor: Tensor) -> bool:
    """Return whether the values of a tensor can be read to decide what to do.

    They cannot where a call is traced or transformed, on the device "meta", and where a subclass
    stands for many tensors or for none.

    >>> is_readable(torch.zeros(1)), is_readable(torch.zeros(1, device="meta"))
    (True, False)
    """
    plain = type(tensor) in (Tensor, nn.Parameter) and tensor.device.type != "meta"
    return plain and not is_traced() and not is_transformed()
