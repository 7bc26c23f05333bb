"""Process groups of a training on this machine, which exchange plain data only.

The processes find each other through a file in a folder that only this user can read. Torch's
usual store, TCPStore, listens on all interfaces, regardless of its address. Gloo and NCCL are
bound to the loopback interface. Data from a socket are never unpickled: objects are sent as JSON,
as torch's own collectives for objects use pickle
(https://pytorch.org/docs/stable/distributed.html).
"""

import json
import os
import socket
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from typing_extensions import override

from kochi.training.sharding import shard

Value = TypeVar("Value")


class PlainStrategy(DDPStrategy):
    """Fabric's data-parallel strategy, without exchange of pickled objects.

    Args:
        sharded: Whether each process stores only a part of the model; see `sharding`.
        options: Options of Fabric's strategy.
    """

    def __init__(self, sharded: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._sharded = sharded

    @override
    def setup_module(self, module: nn.Module) -> Any:
        """Return the module wrapped for training on all processes."""
        return shard(module, self.root_device) if self._sharded else super().setup_module(module)

    def broadcast(self, obj: Value, src: int = 0) -> Value:
        """Return the JSON value of rank ``src``."""
        if not torch.distributed.is_initialized():
            return obj
        return gather(obj, torch.distributed.get_world_size(), self.root_device)[src]


class LocalStrategy(PlainStrategy):
    """Data-parallel training in the processes of one machine.

    Args:
        store: File through which the processes meet; it does not exist yet.
        world: Number of processes.
        sharded: As in `PlainStrategy`.
    """

    def __init__(self, store: Path, world: int, sharded: bool = False) -> None:
        super().__init__(sharded)
        self._meeting = store
        self._world = world

    def _setup_distributed(self) -> None:
        """Join the other processes."""
        self._set_world_ranks()
        _bind_to_loopback()
        if self.global_rank:  # as late as possible: rank 0 then waits for a running process
            ready_file(self._meeting, self.global_rank).touch()
        store = torch.distributed.FileStore(  # pyright: ignore[reportPrivateImportUsage]
            str(self._meeting), self._world
        )
        torch.distributed.init_process_group(
            self._get_process_group_backend(),
            store=store,
            rank=self.global_rank,
            world_size=self._world,
            device_id=None if self.root_device.type == "cpu" else self.root_device,
        )


def ready_file(store: Path, rank: int) -> Path:
    """Return the file that a process creates when it is about to join the others.

    Args:
        store: The file through which they meet.
        rank: Rank of the process.
    """
    return store.with_name(f"process-{rank}.ready")


def gather(value: Value, world: int, device: torch.device) -> list[Value]:
    """Return the JSON values of all processes, by rank.

    Args:
        value: The value of this process.
        world: Number of processes; nothing is sent if it is 1.
        device: A device that the process group's backend can send from.

    Raises:
        TypeError: The value cannot be written as JSON.
    """
    if world == 1:
        return [value]
    content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(device)
    sizes = [int(size) for size in _gather(torch.tensor([len(content)], device=device), world)]
    padded = content.new_zeros(max(sizes))
    padded[: len(content)] = content
    parts = zip(_gather(padded, world), sizes, strict=True)
    return [json.loads(bytes(part[:size].tolist())) for part, size in parts]


def _gather(tensor: Tensor, world: int) -> list[Tensor]:
    found = [torch.empty_like(tensor) for _ in range(world)]
    torch.distributed.all_gather(found, tensor)
    return found


def _bind_to_loopback() -> None:
    """Let gloo and NCCL listen on the loopback interface only, overriding the user's settings.

    `kochi.training.settings` restores the environment.
    """
    names = [name for _, name in socket.if_nameindex()]
    loopback = next((name for name in ("lo", "lo0") if name in names), None)
    if loopback is None:
        raise RuntimeError(f"no loopback interface among {', '.join(names)}; use one device")
    os.environ["GLOO_SOCKET_IFNAME"] = loopback
    os.environ["NCCL_SOCKET_IFNAME"] = loopback
    os.environ["NCCL_RAS_ENABLE"] = "0"  # an NCCL service that also opens a port
