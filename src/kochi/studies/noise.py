"""The cell that measures the variance of a gradient if the attended position is sampled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from typing_extensions import override

from kochi import config
from kochi.data.batches import Batch, EvaluationBatches
from kochi.data.pair import Pair
from kochi.errors import Diverged
from kochi.folder import ModelFolder, load_folder
from kochi.layers.dropout import Dropout
from kochi.modalities.pairs import read_pairs
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq
from kochi.schema import packages_of
from kochi.studies.cells import Cell, Result, Store
from kochi.studies.trained import Trained
from kochi.training.output_loss import output_loss
from kochi.training.reinforce import next_baseline, reinforce
from kochi.training.seeds import derive, seed_generators

DRAWS, PAIRS = 128, 32


@dataclass(frozen=True)
class GradientNoise(Cell):
    """Compute the gradient of one batch many times and measure its variance.

    The weights are those of a trained model, so that all selections are compared at the same point;
    dropout is off. The result contains ``variance``: the mean squared distance of a gradient from
    the mean gradient, divided by the squared norm of the mean, for the parameters of the attention.
    Both are unbiased estimates, but for a bound: if the mean cannot be distinguished from 0, its
    squared norm is taken to be its expectation by chance, so that ``variance`` is at most the
    number of draws. ``trained`` is that of the trained model.

    Args:
        trained: The model whose weights are used.
        model: The same model with the selection to be measured.
    """

    trained: Trained
    model: dict[str, Any]

    @property
    @override
    def after(self) -> tuple[Cell, ...]:
        """Return the model that must be trained first."""
        return (self.trained,)

    def key(self) -> dict[str, Any]:
        """Return what is measured."""
        return {"weights": self.trained.key(), "model": self.model, "draws": DRAWS}

    def measure(self, folder: Path) -> Result:
        """Load the trained model, then draw gradients."""
        try:
            content = load_folder(self.trained.train(folder), packages_of(self.trained.run()))
        except Diverged as error:
            return {"diverged": str(error), "trained": False}
        run = self.trained.task.with_model(self.model, self.trained.seed)
        model = build_model(run.model, content.source.inputs, content.target.size)
        model.load_state_dict(content.model().state_dict())
        for module in model.train().modules():
            if isinstance(module, Dropout):
                module.rate = 0.0
        pairs = list(read_pairs(*self.trained.task.test_data(None)))
        size = min(PAIRS, max(1, len(pairs) // 2))
        batch, other = (_batch(content, chosen) for chosen in (pairs[:size], pairs[-size:]))
        drawn, baseline = [], torch.tensor(torch.nan)
        for draw in range(DRAWS):
            seed_generators(derive(self.trained.seed, draw), torch.device("cpu"))
            if draw == 0:  # from other pairs: the batch's own rewards would depend on the samples
                baseline = _baseline(model, other, run.training)
            drawn.append(_gradient(model, batch, baseline, run.training))
        found = Store(folder).find(self.trained) or {}
        trained = found.get("trained", False)
        return {"variance": relative_variance(torch.stack(drawn)), "trained": trained}


def relative_variance(gradients: torch.Tensor) -> float:
    """Return the variance of sampled gradients divided by the squared norm of their mean.

    Args:
        gradients: One row per draw.

    >>> relative_variance(torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
    0.0
    """
    rows, mean = gradients.double(), gradients.double().mean(0)
    variance = float((rows - mean).square().sum() / (len(rows) - 1))
    length = float(mean.square().sum())
    signal = max(length - variance / len(rows), variance / len(rows))
    return variance / signal if signal > 0.0 else 0.0


def _batch(content: ModelFolder, pairs: list[Pair]) -> Batch:
    sources = content.source.encode_batch([pair.source for pair in pairs])
    targets = content.target.encode_batch([pair.references[0] for pair in pairs])
    return next(iter(EvaluationBatches(sources, targets, 1 << 16, content.source)))[1]


def _baseline(model: Seq2Seq, batch: Batch, training: config.Training) -> torch.Tensor:
    with torch.no_grad():
        output = model.decoder.write(model.encode(batch.source, batch.source_mask), batch.inputs)
        _, nll = output_loss(model.decoder, output.features, batch.outputs, batch.output_mask)
    before, decay = torch.tensor(torch.nan), training.reinforce.baseline_decay
    return next_baseline(before, nll, batch.output_mask, decay)


def _gradient(
    model: Seq2Seq, batch: Batch, baseline: torch.Tensor, training: config.Training
) -> torch.Tensor:
    output = model.decoder.write(model.encode(batch.source, batch.source_mask), batch.inputs)
    mask = batch.output_mask
    loss, nll = output_loss(model.decoder, output.features, batch.outputs, mask)
    if output.samples is not None:
        loss = loss + reinforce(output.samples, nll, mask, baseline, training.reinforce)
    parameters = [p for name, p in model.named_parameters() if ".attention." in name]
    return torch.cat([one.flatten() for one in torch.autograd.grad(loss, parameters)])
