"""Processes of a training meet on this machine only, and exchange no pickles."""

import ast
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

import kochi
from kochi import config
from kochi.inference.processes import Processes
from kochi.training.meeting import gather
from kochi.training.progress import Progress
from kochi.training.run import train

LOOPBACK = ("127.0.0.1", "::1")
SEVERAL = {"training.devices": 2, "training.max_steps": 4, "training.evaluate_every": 2}


class Sockets(Progress):
    """Note the sockets of this process and of its children, a list for each step."""

    def __init__(self) -> None:
        super().__init__(silent=True)
        self.listening: list[str] = []  # addresses
        self.unix: list[object] = []
        self.processes = 0

    def is_due(self) -> bool:
        me = psutil.Process()
        both = [me, *me.children(recursive=True)]
        self.processes = max(self.processes, len(both))
        for process in both:
            for one in process.net_connections("inet"):
                if one.laddr and not one.raddr:
                    self.listening.append(one.laddr[0])
            self.unix += [one.laddr for one in process.net_connections("unix") if one.laddr]
        return False


def test_two_processes_listen_on_loopback_only(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A user's own settings must not open anything either.
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth0")
    monkeypatch.setenv("MASTER_ADDR", "0.0.0.0")
    changes = [f"{name}={value}" for name, value in SEVERAL.items()]
    sockets = Sockets()

    def refuse(*_: object) -> None:
        raise AssertionError("an object is pickled for another process")

    for name in ("_object_to_tensor", "_tensor_to_object"):
        monkeypatch.setattr(torch.distributed.distributed_c10d, name, refuse)
    train(config.read_run(task, changes), progress=sockets)
    assert sockets.processes >= 2
    assert len(sockets.listening) >= 2, "no step saw the sockets by which the processes talk"
    assert set(sockets.listening) <= set(LOOPBACK)
    assert sockets.unix == []


def prepare() -> Callable[[torch.Tensor], torch.Tensor]:
    return torch.clone


def test_processes_that_answer_are_reached_over_anonymous_pipes() -> None:
    """By itself `multiprocessing` listens on a socket when it sends tensors."""
    with Processes(1, prepare) as pool:
        [found] = pool.map([torch.ones(3)])
        assert found.tolist() == [1.0, 1.0, 1.0]
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            assert [one.laddr for one in process.net_connections("unix") if one.laddr] == []
            assert process.net_connections("inet") == []


def test_no_collective_of_objects_is_called() -> None:
    """Torch's collectives for objects unpickle what comes over a socket."""
    source = Path(kochi.__file__).parent
    called = {
        node.attr
        for file in source.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    objects = {name for name in dir(torch.distributed) if "object" in name}
    assert {"all_gather_object", "broadcast_object_list"} <= objects
    assert not called & (objects | {"TCPStore"})


def test_a_process_alone_exchanges_nothing() -> None:
    value = object()
    assert gather(value, 1, torch.device("cpu")) == [value]
