import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kochi import config
from kochi.data.batches import TokenBatches
from kochi.models.build import build_model
from kochi.training.prepare import load_data
from kochi.training.progress import Progress
from kochi.training.run import INIT, train
from kochi.training.seeds import derive, seed_generators
from kochi.training.stream import StepStream


def _first_row(output: Path) -> dict[str, float]:
    with (output / "training" / "train.csv").open() as file:
        return {name: float(value) for name, value in next(csv.DictReader(file)).items()}


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_is_the_mean_over_the_tokens_of_all_its_batches(
    make_run: Callable[..., config.Run], accumulate: int
) -> None:
    run = make_run(
        model={"dropout": 0.0},
        accumulate=accumulate,
        label_smoothing=0.1,
        max_steps=1,
        schedule={"kind": "constant", "warmup_steps": 2},
    )
    row = _first_row(train(run, progress=Progress(silent=True), log_every=1))
    prepared = load_data(run)
    seed_generators(derive(run.seed, INIT), torch.device("cpu"))
    model = build_model(run.model, prepared.source.inputs, prepared.target.size)
    batches = TokenBatches(prepared.corpus, run.training.batch_tokens, run.seed)
    group = next(iter(StepStream(batches, accumulate, 1)))
    assert len(group.batches) == accumulate
    losses, nlls = [], []
    for batch in group.batches:
        features = model(batch.source, batch.source_mask, batch.inputs)
        log_probs = model.decoder.logits(features).log_softmax(-1)[batch.output_mask]
        wanted = batch.outputs[batch.output_mask]
        nll = -log_probs.gather(1, wanted[:, None]).squeeze(1)
        losses.append(0.9 * nll - 0.1 * log_probs.mean(-1))
        nlls.append(nll)
    loss = torch.cat(losses).mean()
    loss.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    assert row["tokens"] == sum(len(nll) for nll in nlls) == group.num_tokens
    assert row["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert row["nll"] == pytest.approx(torch.cat(nlls).mean().item(), rel=1e-5)
    assert row["gradient_norm"] == pytest.approx(torch.cat(gradients).norm().item(), rel=1e-5)
    assert row["learning_rate"] == pytest.approx(0.005)  # half of the warm-up
