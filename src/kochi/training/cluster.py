"""Training in processes that torchrun or SLURM started, on one machine or on several.

Each process runs the same command. The first one prepares the data and writes; the others wait for
it. All see the same output folder.
"""

import os
from dataclasses import dataclass
from datetime import timedelta

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from kochi import config
from kochi.errors import UserError
from kochi.training.meeting import PlainStrategy

PATIENCE = timedelta(hours=12)  # while the first process reads the data


@dataclass(frozen=True)
class Cluster:
    """The cluster that this process was started in.

    Attributes:
        launcher: Name of the launcher, for messages.
        environment: The cluster environment for Fabric.
        rank: Rank of this process.
        local_world: Number of processes on this machine.
        nodes: Number of machines.
    """

    launcher: str
    environment: ClusterEnvironment
    rank: int
    local_world: int
    nodes: int

    @property
    def world(self) -> int:
        """Total number of processes."""
        return self.local_world * self.nodes


def this_cluster() -> Cluster | None:
    """Return the cluster that this process was started in; None for a single process.

    Raises:
        UserError: The number of processes per machine is unknown, or differs between machines.
    """
    if TorchElasticEnvironment.detect():
        return _cluster("torchrun", TorchElasticEnvironment(), int(os.environ["LOCAL_WORLD_SIZE"]))
    if SLURMEnvironment.detect() and os.environ["SLURM_NTASKS"] != "1":
        if "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise UserError(
                "SLURM does not report the number of processes per machine; start them with "
                "--ntasks-per-node"
            )
        local_world = int(os.environ["SLURM_NTASKS_PER_NODE"])
        return _cluster("SLURM", SLURMEnvironment(auto_requeue=False), local_world)
    return None


def _cluster(launcher: str, environment: ClusterEnvironment, local_world: int) -> Cluster | None:
    world = environment.world_size()
    if world == 1:
        return None
    if world % local_world:
        raise UserError(
            f"{launcher} started {world} processes, {local_world} of them here; start the same "
            "number on each machine"
        )
    nodes = world // local_world
    return Cluster(launcher, environment, environment.global_rank(), local_world, nodes)


def check_devices(cluster: Cluster | None, training: config.Training) -> None:
    """Check that the number of devices equals the number of processes.

    Raises:
        UserError: The numbers differ.
    """
    if cluster is not None and training.devices not in (1, cluster.local_world):
        raise UserError(
            f"training.devices = {training.devices}, but {cluster.launcher} started "
            f"{cluster.local_world} processes on this machine; leave it at 1"
        )


class ClusterStrategy(PlainStrategy):
    """Data-parallel training in processes that a launcher has started.

    Args:
        sharded: As in `PlainStrategy`.
    """

    def __init__(self, sharded: bool = False) -> None:
        super().__init__(sharded, timeout=PATIENCE)
