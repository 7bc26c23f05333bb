"""Training in processes that torchrun started: on two machines, which the test makes of one."""

import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from kochi import config
from kochi.errors import UserError
from kochi.training.checkpoints import read_state
from kochi.training.cluster import check_devices, this_cluster
from kochi.training.progress import Progress
from kochi.training.run import train

MakeRun = Callable[..., config.Run]
SILENT = Progress(silent=True)
OPTIONS: dict[str, Any] = {
    "model": {"dropout": 0.0},
    "accumulate": 2,
    "epochs": 9,
    "max_steps": 10,
    "evaluate_every": 5,
    "checkpoint_every": 2,
    "metric": "per",
}


class Machine:
    """What a command is started with, and the name by which the others reach it."""

    def __init__(self, prefix: list[str], interface: str, address: str) -> None:
        self.prefix, self.interface, self.address = prefix, interface, address


@pytest.fixture
def machines() -> Iterator[list[Machine]]:
    """Make two network namespaces with a cable between them; without the right to, use loopback."""
    names = [f"kochi{os.getpid()}{side}" for side in "ab"]
    made = _cable(names)
    if made:
        yield [
            Machine(["ip", "netns", "exec", name], f"k{side}", f"10.213.77.{number}")
            for number, (name, side) in enumerate(zip(names, "ab", strict=True), 1)
        ]
    else:
        yield [Machine([], "lo", "127.0.0.1")] * 2
    for name in names if shutil.which("ip") else ():
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _cable(names: list[str]) -> bool:
    if os.getuid() or not shutil.which("ip"):
        return False
    first, second = names
    lines = [
        *(f"netns add {name}" for name in names),
        f"link add ka netns {first} type veth peer name kb netns {second}",
        *(
            f"-n {name} {what}"
            for number, (name, side) in enumerate(zip(names, "ab", strict=True), 1)
            for what in (
                f"addr add 10.213.77.{number}/24 dev k{side}",
                f"link set k{side} up",
                "link set lo up",
            )
        ),
    ]
    done = (subprocess.run(["ip", *line.split()], capture_output=True) for line in lines)
    return all(one.returncode == 0 for one in done)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


def _start(
    machines: list[Machine], run: config.Run, other: config.Run | None = None
) -> "list[subprocess.Popen[str]]":
    """Start a run on two machines; the second one may have another run file."""
    runs = [run, other or run]
    files = [one.output.parent / f"{one.output.name}.toml" for one in runs]
    for one, file in zip(runs, files, strict=True):
        config.write_run(one, file)
    port = _free_port()
    return [
        subprocess.Popen(
            [
                *machine.prefix,
                *(
                    sys.executable,
                    "-m",
                    "torch.distributed.run",
                    "--nnodes=2",
                    "--nproc-per-node=1",
                ),
                *(f"--node-rank={rank}", f"--master-addr={machines[0].address}"),
                *(f"--master-port={port}", "--max-restarts=0", "-m", "kochi", "train"),
                str(files[rank]),
            ],
            env=os.environ | {"GLOO_SOCKET_IFNAME": machine.interface},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, machine in enumerate(machines)
    ]


def _rows(run: config.Run, name: str) -> list[dict[str, str]]:
    with (run.output / "training" / name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_two_machines_give_the_curve_of_one_process(
    make_run: MakeRun, machines: list[Machine]
) -> None:
    one, two = make_run("one", **OPTIONS), make_run("two", **OPTIONS)
    train(one, progress=SILENT, log_every=10)
    started = _start(machines, two)
    ends = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], ends
    assert "wrote" in ends[0][0] and ends[1][0] == ""
    assert "dev loss" in ends[0][1] and "dev loss" not in ends[1][1]  # said once, not by each
    for name, columns in {
        "train.csv": ("tokens", "loss", "nll", "gradient_norm"),
        "evaluations.csv": ("loss", "metric"),
    }.items():
        rows = [_rows(run, name) for run in (one, two)]
        assert rows[0]
        for first, second in zip(*rows, strict=True):
            for column in columns:
                assert float(second[column]) == pytest.approx(float(first[column]), rel=1e-5)


@pytest.mark.slow
def test_a_killed_worker_is_one_line_on_each_machine_and_resume_goes_on(
    make_run: MakeRun, machines: list[Machine]
) -> None:
    options = OPTIONS | {"max_steps": 100_000, "epochs": 100_000, "evaluate_every": 100_000}
    run = make_run("killed", **options)
    started = _start(machines, run)
    checkpoint = run.output / "training" / "last.ckpt"
    _wait_for(checkpoint.exists)
    [worker] = [
        child
        for child in psutil.Process(started[1].pid).children(recursive=True)
        if "train" in child.cmdline() and "torch.distributed.run" not in child.cmdline()
    ]
    worker.kill()
    ends = [process.communicate() for process in started]
    assert all(process.returncode for process in started)
    lines = [line for line in ends[0][1].splitlines() if line.startswith("kochi: ")]
    assert len(lines) == 1 and "another process of this training is gone" in lines[0], ends[0][1]
    assert "--resume" in lines[0]
    assert all("src/kochi" not in err for _, err in ends)  # no traceback but torchrun's own

    step = read_state(checkpoint).step
    longer = run.training.model_copy(update={"max_steps": step + 10})
    train(run.model_copy(update={"training": longer}), resume=True, progress=SILENT, log_every=10)
    assert read_state(checkpoint).step == step + 10


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_one_machine_saves_on_all(
    make_run: MakeRun, machines: list[Machine], number: signal.Signals
) -> None:
    options = OPTIONS | {"max_steps": 100_000, "epochs": 100_000, "evaluate_every": 100_000}
    run = make_run("stopped", **options)
    started = _start(machines, run)
    _wait_for((run.output / "training" / "previous.ckpt").exists)
    started[1].send_signal(number)
    ends = [process.communicate() for process in started]
    assert "kochi: stopped after step" in ends[0][1], ends
    said = re.search(r"stopped after step (\d+)", ends[0][1])
    assert said and read_state(run.output / "training" / "last.ckpt").step == int(said[1])


@pytest.mark.slow
def test_an_output_folder_that_is_not_shared_is_named(
    make_run: MakeRun, machines: list[Machine]
) -> None:
    """Each machine with a disk of its own, as somebody asked in ms-swift's #3485."""
    run = make_run("mine", **OPTIONS)
    other = run.model_copy(update={"output": run.output.parent / "theirs"})
    started = _start(machines, run, other)
    ends = [process.communicate() for process in started]
    assert all(process.returncode for process in started)
    assert "all processes must see the output folder of the first one" in ends[1][1], ends


def _wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_number_of_devices_beside_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "3"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    cluster = this_cluster()
    assert cluster is not None
    assert (cluster.rank, cluster.world, cluster.local_world, cluster.nodes) == (3, 4, 2, 2)
    check_devices(cluster, config.Training(devices=2))
    with pytest.raises(UserError, match="devices = 3, but torchrun started 2 processes"):
        check_devices(cluster, config.Training(devices=3))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(UserError, match="started 4 processes, 3 of them here"):
        this_cluster()


def test_without_a_launcher_there_is_no_cluster() -> None:
    assert this_cluster() is None


def test_slurm_says_who_is_who(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "SLURM_NTASKS": "4",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "2",
        "SLURM_PROCID": "1",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "0",
        "SLURM_JOB_NAME": "train",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    cluster = this_cluster()
    assert cluster is not None and cluster.launcher == "SLURM"
    assert (cluster.rank, cluster.world, cluster.local_world) == (1, 4, 2)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(UserError, match="--ntasks-per-node"):
        this_cluster()
