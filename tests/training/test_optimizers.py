import torch
from torch import nn

from kochi import config
from kochi.inputs import TokenInput
from kochi.models.build import build_model
from kochi.training.optimizers import build_optimizer


def _names(model: nn.Module, decay: float) -> set[str]:
    training = config.Training(weight_decay=decay)
    groups = build_optimizer(model, training).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]
        for group in groups
        if group["weight_decay"] > 0
        for parameter in group["params"]
    }


def test_biases_norms_and_embeddings_are_not_decayed() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 3), nn.LSTM(3, 2))
    assert _names(model, 0.1) == {"2.weight", "3.weight_ih_l0", "3.weight_hh_l0"}
    assert _names(model, 0.0) == set()


def test_a_tied_output_layer_is_an_embedding() -> None:
    table = {"kind": "transformer", "size": 8, "feedforward_size": 8}
    model = build_model(config.TransformerModel.model_validate(table), TokenInput(11), 13)
    decayed = _names(model, 0.1)
    assert decayed
    assert not any("embedding" in name or "output_weight" in name for name in decayed)


def test_every_parameter_is_trained_once() -> None:
    for tie in ("none", "target", "all"):
        table = {"kind": "transformer", "size": 8, "feedforward_size": 8, "tie_embeddings": tie}
        model = build_model(config.TransformerModel.model_validate(table), TokenInput(11), 11)
        optimizer = build_optimizer(model, config.Training(weight_decay=0.1))
        trained = [id(p) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(trained) == sorted(id(p) for p in model.parameters())


def test_decay_shrinks_a_weight_and_leaves_a_bias() -> None:
    model = nn.Linear(2, 2)
    nn.init.ones_(model.weight)
    nn.init.ones_(model.bias)
    optimizer = build_optimizer(model, config.Training(weight_decay=0.5, learning_rate=0.1))
    (model(torch.zeros(1, 2)) * 0.0).sum().backward()
    optimizer.step()
    assert torch.allclose(model.weight, torch.full((2, 2), 0.95))  # 1 - 0.1 * 0.5
    assert torch.equal(model.bias, torch.ones(2))
