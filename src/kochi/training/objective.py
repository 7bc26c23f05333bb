"""The training objective: the loss of a batch."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from kochi import config
from kochi.attention.scopes.coverage import coverage_loss
from kochi.special_tokens import EOS
from kochi.training.ctc import ctc_loss
from kochi.training.doubly_stochastic import doubly_stochastic_penalty
from kochi.training.output_loss import output_loss
from kochi.training.reinforce import next_baseline, reinforce

if TYPE_CHECKING:
    from kochi.memory import Memory
    from kochi.models.seq2seq import Seq2Seq


class Objective(nn.Module):
    """The loss of a batch: the cross-entropy and all additional terms of the run file.

    Args:
        model: The model.
        training_options: The training table of the run file.

    Attributes:
        baseline: Moving average of the reward for the Monte-Carlo gradient; NaN before the first
            batch.
        num_without_path: Number of sentences (in this process, since it started) with fewer
            positions than CTC needs for their tokens.
    """

    def __init__(self, model: "Seq2Seq", training_options: config.Training) -> None:
        super().__init__()
        self.model = model
        self.training_options = training_options
        self.baseline: Tensor
        self.register_buffer("baseline", torch.tensor(torch.nan))
        self.num_without_path = 0

    def forward(
        self, source: Tensor, source_mask: Tensor, inputs: Tensor, outputs: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the training loss and the plain negative log-likelihood, summed, in nats.

        Args:
            source: The source; all arguments are parts of a `kochi.data.batches.Batch`.
            source_mask: True at the source, False at padding.
            inputs: Input tokens of the decoder.
            outputs: Expected output tokens.
            mask: True at these tokens.
        """
        decoder, training = self.model.decoder, self.training_options
        memory = self.model.encode(source, source_mask)
        need_alignment = training.coverage_weight > 0 or training.doubly_stochastic_weight > 0
        output = decoder.write(memory, inputs, need_alignment=need_alignment)
        loss, nll = output_loss(decoder, output.features, outputs, mask, training.label_smoothing)
        if output.samples is not None:
            options = training.reinforce
            following = next_baseline(self.baseline, nll, mask, options.baseline_decay)
            # A baseline must not depend on what it is taken from: that of the batches before. Only
            # the very first batch has none.
            baseline = torch.where(self.baseline.isnan(), following, self.baseline)
            loss = loss + reinforce(output.samples, nll, mask, baseline, options)
            self.baseline = following
        if training.coverage_weight and output.alignment is not None:
            coverage = coverage_loss(output.alignment.unsqueeze(1), mask).sum()
            loss = loss + training.coverage_weight * coverage
        if training.doubly_stochastic_weight and output.alignment is not None:
            penalty = doubly_stochastic_penalty(output.alignment, mask, memory.mask).sum()
            loss = loss + training.doubly_stochastic_weight * penalty
        if self.model.ctc is not None:
            loss = self._with_ctc(loss, memory, outputs, mask, self.model.ctc)
        return loss, nll.sum()

    def _with_ctc(
        self, loss: Tensor, memory: "Memory", outputs: Tensor, mask: Tensor, layer: nn.Linear
    ) -> Tensor:
        """Add the CTC loss; sentences too short for it only have the decoder's loss."""
        words = mask & (outputs != EOS)
        ctc = ctc_loss(layer, memory.values, memory.mask, outputs, words)
        self.num_without_path += ctc.num_skipped
        weight = self.training_options.ctc_weight
        return (1.0 - weight) * loss + weight * ctc.loss
