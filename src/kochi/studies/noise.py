"""The cell that measures how much a gradient varies where looking is left to chance."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from typing_extensions import override

from kochi import config
from kochi.data.batches import Batch, EvaluationBatches
from kochi.data.pairs import read_pairs
from kochi.folder import load_folder, model_input
from kochi.layers.dropout import Dropout
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq
from kochi.studies.cells import Cell, Result
from kochi.studies.trained import Trained
from kochi.training.looking import next_baseline, reinforce
from kochi.training.output_loss import output_loss
from kochi.training.seeds import derive, seed_generators

DRAWS, GROUPS, PAIRS = 32, 4, 32


@dataclass(frozen=True)
class GradientNoise(Cell):
    """Take the gradient of one batch many times and see how much it varies.

    The weights are those of a trained model, so that all selections are asked at the same point;
    dropout is off. The result holds ``variance``: the mean squared distance of a gradient from the
    mean one, over the squared length of the mean one, for the parameters of the attention; one
    number for each of some groups of draws.

    Args:
        trained: The model whose weights are taken.
        model: The same model with the selection that is asked.
    """

    trained: Trained
    model: dict[str, Any]

    @property
    @override
    def after(self) -> tuple[Cell, ...]:
        """The model must be trained."""
        return (self.trained,)

    def key(self) -> dict[str, Any]:
        """Return what is measured."""
        return {"weights": self.trained.key(), "model": self.model, "draws": DRAWS}

    def measure(self, folder: Path) -> Result:
        """Find the trained model, then draw gradients."""
        content = load_folder(self.trained.train(folder))
        run = self.trained.task.with_model(self.model, self.trained.seed)
        model = build_model(run.model, model_input(content.source), content.target.size)
        model.load_state_dict(content.model().state_dict())
        for module in model.train().modules():
            if isinstance(module, Dropout):
                module.rate = 0.0
        pairs = list(read_pairs(*self.trained.task.test_data(None)))[:PAIRS]
        sources = content.source.encode_batch([pair.source for pair in pairs])
        targets = content.target.encode_batch([pair.references[0] for pair in pairs])
        _, batch = next(iter(EvaluationBatches(sources, targets, 1 << 16, content.source)))
        drawn = []
        for draw in range(DRAWS):
            seed_generators(derive(self.trained.seed, draw), torch.device("cpu"))
            drawn.append(_gradient(model, batch, run.training))
        gradients = torch.stack(drawn).double()
        mean = gradients.mean(0)
        spread = (gradients - mean).square().sum(1) * DRAWS / (DRAWS - 1)
        groups = spread.unflatten(0, (GROUPS, -1)).mean(1) / mean.square().sum()
        return {"variance": groups.tolist()}


def _gradient(model: Seq2Seq, batch: Batch, training: config.Training) -> torch.Tensor:
    written = model.decoder.write(model.encode(batch.source, batch.source_mask), batch.inputs)
    mask = batch.output_mask
    loss, nll = output_loss(model.decoder, written.features, batch.outputs, mask)
    if written.looks is not None:
        decay = training.reinforce.baseline_decay
        baseline = next_baseline(torch.tensor(torch.nan), nll, mask, decay)
        loss = loss + reinforce(written.looks, nll, mask, baseline, training.reinforce)
    parameters = [p for name, p in model.named_parameters() if ".attention." in name]
    return torch.cat([one.flatten() for one in torch.autograd.grad(loss, parameters)])
