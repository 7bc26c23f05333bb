"""Finish a run: average the selected weights, evaluate them, and write the model folder."""

import os
import platform
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

import kochi
from kochi import config, folder
from kochi.data.corpus import Corpus
from kochi.models.build import build_model
from kochi.publishing import publish
from kochi.schema import packages_of
from kochi.training import monitor
from kochi.training.checkpoints import weights_bytes
from kochi.training.evaluation import SEARCH, Evaluator
from kochi.training.layout import Layout
from kochi.training.prepare import Prepared, mark_finished
from kochi.training.state import Evaluation, RunState


def average(weights: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor, summed in float64; a single one is returned unchanged.

    >>> average([{"a": torch.tensor([1.0])}, {"a": torch.tensor([2.0])}])["a"].tolist()
    [1.5]
    """
    if len(weights) == 1:
        return weights[0]
    means = {}
    for name, first in weights[0].items():
        total = first.double()
        for other in weights[1:]:
            total = total + other[name].double()
        means[name] = (total / len(weights)).to(first.dtype)
    return means


def finish(
    run: config.Run, state: RunState, prepared: Prepared, evaluator: Evaluator | None
) -> dict[str, Any]:
    """Write the model folder of a run whose steps are done, and return its metrics.

    Raises:
        OSError: The disk is full or cannot be written; the run can be resumed.
        UserError: Weights that were evaluated are damaged.
    """
    layout = Layout(run.output)
    os.stat(layout.training)  # gone, it must not come to an error about weights
    chosen = monitor.chosen(state.evaluations, run.training)
    weights = average([_weights_of(layout, evaluation) for evaluation in chosen])
    measured = _measure(run, weights, chosen, prepared, evaluator)
    metrics = _metrics(run, state, chosen, weights, measured, evaluator, prepared.corpus)
    folder.save_folder(
        run.output,
        run,
        weights,
        prepared.source,
        prepared.target,
        metrics,
        _card(run, prepared, metrics),
    )
    mark_finished(run)
    return metrics


def _weights_of(layout: Layout, evaluation: Evaluation) -> dict[str, Tensor]:
    content = weights_bytes(layout, evaluation)
    return folder.unpack_weights(content, layout.weights_at(evaluation.step))


def summary(metrics: dict[str, Any]) -> str:
    """Return one line with the weights of the model and their dev scores."""
    steps, dev = metrics["averaged_steps"], metrics["dev"]
    what = f"weights of step {steps[0]}"
    if len(steps) > 1:
        what = f"average of the weights of steps {', '.join(map(str, steps))}"
    loss = dev["loss_nats_per_token"]
    measured = "" if loss is None else f": dev loss {loss:.3f}"
    score = ""
    if dev["value"] is not None:
        score = f", {dev['search']} {dev['metric']} {dev['value']:.2f}"
    return what + measured + score


def nothing_right(metrics: dict[str, Any]) -> str | None:
    """Return a warning if the dev metric was never above 0, so that the loss decided; else None."""
    from kochi.metrics import higher_is_better

    name, value = metrics["dev"]["metric"], metrics["best"]["value"]
    if value != 0.0 or not higher_is_better(name):
        return None
    return (
        f"warning: on dev {name} was 0 throughout, so that the loss chose the weights; train "
        "longer, or choose a training.metric that counts what is nearly right, such as chrf or cer"
    )


def _measure(
    run: config.Run,
    weights: dict[str, Tensor],
    chosen: list[Evaluation],
    prepared: Prepared,
    evaluator: Evaluator | None,
) -> tuple[float | None, float | None]:
    if len(chosen) == 1 or evaluator is None:
        return chosen[0].loss, chosen[0].metric
    use_gpu = run.training.accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if use_gpu else "cpu")
    model = build_model(
        run.model,
        prepared.source.inputs,
        prepared.target.size,
        ctc=run.training.ctc_weight > 0,
    )
    folder.load_weights(model, weights, str(run.output))
    measured = evaluator(model.to(device), device)
    return measured.loss, measured.metric


def _metrics(
    run: config.Run,
    state: RunState,
    chosen: list[Evaluation],
    weights: dict[str, Tensor],
    measured: tuple[float | None, float | None],
    evaluator: Evaluator | None,
    corpus: Corpus,
) -> dict[str, Any]:
    loss, metric = measured
    name, about = run.training.metric, {}
    if evaluator is not None:
        about = {"rows": evaluator.num_rows, "sources": len(evaluator.sources)}
    if evaluator is not None and metric is not None:
        about |= {"search": SEARCH, "signature": evaluator.judge.signature(name)}
    best = monitor.best(state.evaluations, name)[0]
    return {
        "dev": {"metric": name, "value": metric, "loss_nats_per_token": loss, **about},
        "best": {"step": best.step, "value": best.metric, "loss_nats_per_token": best.loss},
        "averaged_steps": [e.step for e in chosen],
        "longest": {
            "source": int(corpus.source_lengths.max()),
            "target": int(corpus.target_lengths.max()),
        },
        "seed": run.seed,
        "steps": state.step,
        "epochs": state.epoch + 1,
        "target_tokens": state.tokens,
        "seconds": round(state.seconds, 1),
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "versions": {
            "kochi": kochi.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning-fabric": version("lightning-fabric"),
        },
        "machines": state.machines,
    }


def _reads(prepared: Prepared) -> str:
    found, target = prepared.source.inputs, prepared.target.size
    return f"reads {found}; vocabulary: {target} target tokens"


def _card(run: config.Run, prepared: Prepared, metrics: dict[str, Any]) -> str:
    dev = metrics["dev"]
    loss = dev["loss_nats_per_token"]
    measured = "no dev set was given" if loss is None else f"{loss:.4f} nats per target token"
    score = ""
    if dev["value"] is not None:
        score = f"- dev {dev['metric']} ({dev['search']}): {dev['value']:.2f} %\n"
    packages = packages_of(publish(run, run.output))
    trust = f", trust={list(packages)}" if packages else ""
    options = "".join(f" --trust {name}" for name in packages)
    code = "Nothing in this folder can run code."
    if packages:
        needed = ", ".join(f"{name} {version}".rstrip() for name, version in packages.items())
        code = f"The model runs code of installed packages: {needed}."
    return f"""# A kochi model ({run.model.kind})

- parameters: {metrics["parameters"]:,}
- {_reads(prepared)}
- trained on {len(prepared.corpus):,} pairs ({prepared.corpus.skipped:,} longer ones left out)
- steps: {metrics["steps"]:,} ({metrics["target_tokens"]:,} target tokens, seed {run.seed})
{score}- dev loss: {measured}

`run.toml` says how it was trained, `metrics.json` what was measured and on what machine: there,
with the same number of threads and the same versions, training gives the same weights, bit for bit.

```python
import kochi

model = kochi.load("path/to/this/folder"{trust})
print(model.predict(["..."])[0].text)
```

Or from a terminal: `kochi predict path/to/this/folder FILE{options}`. {code}
"""
