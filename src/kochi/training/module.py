"""One optimizer step, as a LightningModule."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
import torch.distributed
from torch import Tensor

from kochi import config
from kochi.attention.scopes.coverage import coverage_loss
from kochi.data.tokenizer import EOS
from kochi.training.ctc import ctc_loss
from kochi.training.doubly_stochastic import doubly_stochastic_penalty
from kochi.training.interrupts import Interrupts
from kochi.training.optimizers import build_optimizer
from kochi.training.output_loss import output_loss
from kochi.training.reinforce import next_baseline, reinforce
from kochi.training.schedules import Course
from kochi.training.seeds import derive, seed_generators
from kochi.training.state import RunState
from kochi.training.stream import Group, is_due

if TYPE_CHECKING:
    from kochi.data.batches import Batch
    from kochi.memory import Memory
    from kochi.models.seq2seq import Seq2Seq

STATE_KEY = "kochi"
DROPOUT = 1  # which use of the seed; see `seeds.derive`


class TrainingModule(pl.LightningModule):
    """Train a model one group of batches at a time.

    The loss of a step is the summed cross-entropy of all batches of the group on all processes,
    divided by the number of their target tokens: accumulation and processes change nothing but
    the order of sums.

    Args:
        model: The model.
        run: The run file.
        total_steps: Optimizer steps of the whole run.
        interrupts: Say whether somebody wants the run to stop.

    Attributes:
        state: Where the run stands.
        learning_rate: That of the last step.
        outcome: Summed label-smoothed loss and summed negative log-likelihood of the last step
            (nats, all processes), and the norm of its gradient before clipping.
        stop_requested: One of the processes is to stop after the last step.
        num_without_path: How many sentences (of this process, since it started) had fewer places
            than CTC needs for their tokens.
    """

    def __init__(
        self, model: "Seq2Seq", run: config.Run, total_steps: int, interrupts: Interrupts
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.baseline: Tensor
        self.register_buffer("baseline", torch.tensor(torch.nan))
        self.run = run
        self.schedule = run.training.schedule.build()
        self.total_steps = total_steps
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self.state = RunState()
        self.interrupts = interrupts
        self.learning_rate = 0.0
        self.outcome = torch.zeros(3)
        self.stop_requested = False
        self.num_without_path = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        return build_optimizer(self.model, self.run.training)

    def transfer_batch_to_device(
        self, batch: Group, device: torch.device, dataloader_idx: int
    ) -> Group:
        """Move a group to the device."""
        return batch if device.type == "cpu" else batch.to(device)

    def training_step(self, group: Group) -> None:
        """Do one optimizer step; `outcome`, `state` and `stop_requested` say how it went."""
        step = self.state.step + 1
        optimizer: Any = self.optimizers()
        self.learning_rate = self._learning_rate(step)
        for parameters in optimizer.param_groups:
            parameters["lr"] = self.learning_rate
        seed_generators(derive(self.run.seed, DROPOUT, step, self.global_rank), self.device)
        sums: tuple[Any, Any] = (0.0, 0.0)
        for index, batch in enumerate(group.batches):
            with self._synchronise(index == len(group.batches) - 1):
                loss, nll = self._loss(batch)
                self.manual_backward(loss * (self.trainer.world_size / group.num_tokens))
            sums = (sums[0] + loss.detach(), sums[1] + nll)
        self._share_baseline()
        norm = self._clip()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self._advance(group, step)
        self.outcome = self._over_processes(torch.stack((*sums, norm)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add where the run stands; without Lightning's own count each start is a fresh one to it.

        (Restarted in the middle, it may skip the rest of what it takes for the only epoch.)
        """
        del checkpoint["loops"]
        checkpoint[STATE_KEY] = self.state.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up where the run stood."""
        self.state = RunState.from_dict(checkpoint[STATE_KEY])

    def _learning_rate(self, step: int) -> float:
        training = self.run.training
        course = Course(step, self.total_steps, self.state.evaluations, training.metric)
        return training.learning_rate * self.schedule.share(course)

    def _loss(self, batch: "Batch") -> tuple[Tensor, Tensor]:
        """Return what is trained, and the plain negative log-likelihood; summed, in nats."""
        decoder, training = self.model.decoder, self.run.training
        memory = self.model.encode(batch.source, batch.source_mask)
        looked = training.coverage_weight > 0 or training.doubly_stochastic_weight > 0
        written = decoder.write(memory, batch.inputs, need_alignment=looked)
        mask = batch.output_mask
        loss, nll = output_loss(
            decoder, written.features, batch.outputs, mask, training.label_smoothing
        )
        if written.looks is not None:
            options = training.reinforce
            following = next_baseline(self.baseline, nll, mask, options.baseline_decay)
            # A baseline must not depend on what it is taken from: that of the batches before. Only
            # the very first batch has none.
            baseline = torch.where(self.baseline.isnan(), following, self.baseline)
            loss = loss + reinforce(written.looks, nll, mask, baseline, options)
            self.baseline = following
        if training.coverage_weight and written.alignment is not None:
            coverage = coverage_loss(written.alignment.unsqueeze(1), mask).sum()
            loss = loss + training.coverage_weight * coverage
        if training.doubly_stochastic_weight and written.alignment is not None:
            penalty = doubly_stochastic_penalty(written.alignment, mask, memory.mask).sum()
            loss = loss + training.doubly_stochastic_weight * penalty
        if self.model.ctc is not None:
            loss = self._with_ctc(loss, memory, batch, self.model.ctc)
        return loss, nll.sum()

    def _with_ctc(
        self, loss: Tensor, memory: "Memory", batch: "Batch", layer: torch.nn.Linear
    ) -> Tensor:
        """Mix in the loss of CTC; sentences too short for it keep the decoder's alone."""
        words = batch.output_mask & (batch.outputs != EOS)
        ctc = ctc_loss(layer, memory.values, memory.mask, batch.outputs, words)
        self.num_without_path += ctc.num_skipped
        weight = self.run.training.ctc_weight
        return (1.0 - weight) * loss + weight * ctc.loss

    def _synchronise(self, last: bool) -> AbstractContextManager[Any]:
        strategy: Any = self.trainer.strategy
        if last or self.trainer.world_size == 1:
            return nullcontext()
        return strategy.block_backward_sync()

    def _clip(self) -> Tensor:
        limit = self.run.training.gradient_clip or float("inf")
        return torch.nn.utils.clip_grad_norm_(self._trained, limit, foreach=True)

    def _over_processes(self, outcome: Tensor) -> Tensor:
        """Add the losses of all processes, and let all of them know whether one is to stop."""
        self.stop_requested = self.interrupts.requested
        if self.trainer.world_size == 1:
            return outcome
        packed = outcome.clone()
        packed[2] = float(self.stop_requested)
        torch.distributed.all_reduce(packed)
        self.stop_requested = bool(packed[2] > 0)
        return torch.cat((packed[:2], outcome[2:]))

    def _share_baseline(self) -> None:
        """Give all processes the mean of their baselines, so that a resumed run has it, too."""
        if self.trainer.world_size > 1 and not self.baseline.isnan():
            torch.distributed.all_reduce(self.baseline)
            self.baseline /= self.trainer.world_size

    def _advance(self, group: Group, step: int) -> None:
        due = is_due(self.run.training.evaluate_every, step, group.ends_epoch)
        self.state.step = step
        self.state.epoch = group.epoch
        self.state.position = group.position
        self.state.tokens += group.num_tokens
        self.state.evaluation_pending = due or group.ends_run
