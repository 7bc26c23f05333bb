"""Fully sharded training: each process keeps a part of parameters, gradients and optimizer state.

FSDP after Zhao et al. 2023, https://arxiv.org/abs/2304.11277, by torch's ``fully_shard``. The model
is one group: its parameters are gathered for a step, or an evaluation, and then dropped again.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import torch.distributed
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(module: nn.Module, device: torch.device) -> nn.Module:
    """Shard a module over all processes, in place."""
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    return cast("nn.Module", fully_shard(module, mesh=mesh))


@contextlib.contextmanager
def gathered(module: nn.Module) -> Iterator[None]:
    """Gather the parameters of a module, if they are sharded; all processes must take part."""
    if not isinstance(module, FSDPModule):
        yield
        return
    module.unshard()
    try:
        yield
    finally:
        module.reshard()


def synchronise(module: nn.Module, wanted: bool) -> None:
    """Set whether the next backward pass sums the gradients of all processes."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(wanted)


def whole(value: Any) -> Any:
    """Return a state with all its tensors gathered; all processes must take part."""
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, dict):
        return {key: whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [whole(one) for one in value]
    return value


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimizer state returned by `whole`; tensors are sharded like their parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def placed(index: int, value: Any) -> Any:
        parameter = parameters[index]
        if not isinstance(parameter, DTensor) or not isinstance(value, Tensor) or not value.ndim:
            return value
        value = value.to(parameter.device)
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)

    moments = {
        index: {name: placed(index, value) for name, value in of_one.items()}
        for index, of_one in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": moments})
