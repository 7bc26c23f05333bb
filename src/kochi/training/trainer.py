"""The optimizer steps of a run, one at a time."""

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from lightning_fabric import Fabric
from torch import Tensor

from kochi import config
from kochi.folder import weights_of
from kochi.training.checkpoints import STATE_KEY, write_checkpoint
from kochi.training.interrupts import Interrupts
from kochi.training.objective import Objective
from kochi.training.optimizers import build_optimizer
from kochi.training.schedules import Course
from kochi.training.seeds import derive, seed_generators
from kochi.training.sharding import gathered, load_optimizer, synchronise, whole
from kochi.training.state import RunState
from kochi.training.stream import Group, is_due

if TYPE_CHECKING:
    from kochi.data.batches import Batch
    from kochi.models.seq2seq import Seq2Seq

DROPOUT = 1  # purpose of the derived seed; see `seeds.derive`


class Trainer:
    """Train a model one group of batches at a time.

    The loss of a step is the summed cross-entropy of all batches of the group on all processes,
    divided by the number of their target tokens: accumulation and processes only change the order
    of sums.

    Args:
        fabric: Device, precision and processes, launched.
        model: The model.
        run: The run file.
        total_steps: Optimizer steps of the whole run.
        interrupts: Reports whether the run should stop.
        checkpoint: A checkpoint written by `save` to resume from; None to start.

    Attributes:
        state: The state of the run.
        learning_rate: The learning rate of the last step.
        outcome: Summed label-smoothed loss and summed negative log-likelihood of the last step
            (nats, all processes), and the norm of its gradient before clipping.
        stop_requested: Whether one of the processes should stop after the last step.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: "Seq2Seq",
        run: config.Run,
        total_steps: int,
        interrupts: Interrupts,
        checkpoint: dict[str, Any] | None = None,
    ) -> None:
        self.fabric, self.model, self.run = fabric, model, run
        self.total_steps, self.interrupts = total_steps, interrupts
        self.schedule = run.training.schedule.build()
        self.state = RunState()
        self.objective = Objective(model, run.training)
        if checkpoint is not None:
            self.state = RunState.from_dict(checkpoint[STATE_KEY])
            self.objective.load_state_dict(checkpoint["objective"])
        self._module = fabric.setup_module(self.objective)
        self._optimizer = build_optimizer(model, run.training)
        if checkpoint is not None:
            load_optimizer(self._optimizer, checkpoint["optimizer"])
        self._steps: Any = fabric.setup_optimizers(self._optimizer)
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self.learning_rate = 0.0
        self.outcome = torch.zeros(3)
        self.stop_requested = False
        self._module.train()

    def step(self, group: Group) -> None:
        """Do one optimizer step and update `outcome`, `state` and `stop_requested`."""
        step, fabric = self.state.step + 1, self.fabric
        self.learning_rate = self._learning_rate(step)
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = self.learning_rate
        seed_generators(derive(self.run.seed, DROPOUT, step, fabric.global_rank), fabric.device)
        sums: tuple[Any, Any] = (0.0, 0.0)
        for index, batch in enumerate(group.batches):
            with self._synchronise(index == len(group.batches) - 1):
                loss, nll = self._module(*self._tensors(batch))
                fabric.backward(loss * (fabric.world_size / group.num_tokens))
            sums = (sums[0] + loss.detach(), sums[1] + nll)
        self._share_baseline()
        norm = self._clip()
        self._steps.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._advance(group, step)
        self.outcome = self._over_processes(torch.stack((*sums, norm)))

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically, in the first process only."""
        content = {
            "objective": whole(self.objective.state_dict()),
            "optimizer": whole(self._optimizer.state_dict()),
            STATE_KEY: self.state.to_dict(),
        }
        if self.fabric.is_global_zero:
            write_checkpoint(content, path)
        self.fabric.barrier()

    def gathered(self) -> AbstractContextManager[None]:
        """Have the model whole in every process, to evaluate it; all processes must take part."""
        return gathered(self.objective)

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of a model folder; all processes must take part."""
        return whole(weights_of(self.model))

    def _tensors(self, batch: "Batch") -> tuple[Tensor, ...]:
        moved = batch if self.fabric.device.type == "cpu" else batch.to(self.fabric.device)
        return moved.source, moved.source_mask, moved.inputs, moved.outputs, moved.output_mask

    def _learning_rate(self, step: int) -> float:
        training = self.run.training
        course = Course(step, self.total_steps, self.state.evaluations, training.metric)
        return training.learning_rate * self.schedule.share(course)

    def _synchronise(self, last: bool) -> AbstractContextManager[Any]:
        several = self.fabric.world_size > 1
        if several and self.run.training.strategy == "fsdp":
            synchronise(self.objective, last)
            return contextlib.nullcontext()
        return self.fabric.no_backward_sync(self._module, enabled=several and not last)

    def _clip(self) -> Tensor:
        limit = self.run.training.gradient_clip or float("inf")
        return whole(torch.nn.utils.clip_grad_norm_(self._trained, limit, foreach=True))

    def _over_processes(self, outcome: Tensor) -> Tensor:
        """Sum the losses over all processes, and share whether one of them should stop."""
        self.stop_requested = self.interrupts.requested
        if self.fabric.world_size == 1:
            return outcome
        packed = outcome.clone()
        packed[2] = float(self.stop_requested)
        torch.distributed.all_reduce(packed)
        self.stop_requested = bool(packed[2] > 0)
        return torch.cat((packed[:2], outcome[2:]))

    def _share_baseline(self) -> None:
        """Average the baselines of all processes, so that a resumed run has the same one."""
        if self.fabric.world_size > 1 and not self.objective.baseline.isnan():
            torch.distributed.all_reduce(self.objective.baseline)
            self.objective.baseline /= self.fabric.world_size

    def _advance(self, group: Group, step: int) -> None:
        due = is_due(self.run.training.evaluate_every, step, group.ends_epoch)
        self.state.step = step
        self.state.epoch = group.epoch
        self.state.position = group.position
        self.state.tokens += group.num_tokens
        self.state.evaluation_pending = due or group.ends_run
