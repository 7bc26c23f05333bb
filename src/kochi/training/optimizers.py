"""AdamW with weight decay on weight matrices only."""

from collections.abc import Iterator

import torch
from torch import nn

from kochi import config


def build_optimizer(model: nn.Module, training: config.Training) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101, algorithm 2).

    Biases, norms and embeddings (also where tied to the output layer) are not decayed.
    """
    decayed = list(_decayed(model)) if training.weight_decay else []
    chosen = {id(parameter) for parameter in decayed}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=training.learning_rate,
        betas=training.betas,
        eps=1e-9,
        fused=True,
    )


def _decayed(model: nn.Module) -> Iterator[nn.Parameter]:
    embeddings = {
        id(parameter)
        for module in model.modules()
        if "embedding" in type(module).__name__.lower()
        for parameter in module.parameters(recurse=False)
    }
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.ndim > 1 and id(parameter) not in embeddings:
            yield parameter
