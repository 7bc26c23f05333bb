"""Models from run files: sizes, ties and refusals."""

import pytest
import torch

from kochi import config
from kochi.errors import UserError
from kochi.models.build import build_model
from kochi.models.inputs import TokenInput


def build(table: dict, source=11, target=13):
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "run.toml")
    return build_model(run.model, TokenInput(source), target)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_published_transformer_tiny_has_its_size():
    """Wu et al. 2021 give 2.55 M parameters at a joint vocabulary of about 9,700 pieces."""
    model = build({"kind": "transformer", "tie_embeddings": "all"}, 9_700, 9_700)
    layers = count(model) - 9_700 * 128 - 9_700
    attention, feedforward, norm = 4 * (128 * 128 + 128), 2 * 128 * 256 + 128 + 256, 256
    assert (
        layers
        == 4 * (attention + feedforward + 2 * norm)
        + norm
        + 4 * (2 * attention + feedforward + 3 * norm)
        + norm
    )


@pytest.mark.parametrize("kind", ["plain", "rnn", "transformer"])
def test_tied_embeddings_are_one_tensor(kind):
    table = {"kind": kind, "tie_embeddings": "all"}
    model = build(table, 11, 11)
    assert model.encoder.embedding is model.decoder.embedding
    assert model.decoder.output_weight is model.decoder.embedding.weight
    untied = build({"kind": kind, "tie_embeddings": "none"}, 11, 11)
    assert untied.decoder.output_weight is not untied.decoder.embedding.weight
    assert count(untied) > count(model)


def test_the_seed_decides_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build({"kind": "rnn"}).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "transformer", "size": 10}, "num_heads: 4 does not divide query_size=10"),
        ({"kind": "rnn", "attention": {"score": "dot"}}, "dot"),
        (
            {
                "kind": "transformer",
                "positions": "rotary",
                "self_attention": {"score": "additive", "num_heads": 2},
            },
            "rotary",
        ),
        ({"kind": "transformer", "size": 15, "attention": {"num_heads": 3}}, "even|divide"),
    ],
)
def test_what_cannot_combine_is_refused_with_the_reason(table, message):
    with pytest.raises(ValueError, match=message):
        build(table)


def test_input_feeding_belongs_to_luong():
    with pytest.raises(UserError, match="input_feeding belongs to order = 'luong'"):
        build({"kind": "rnn", "input_feeding": True})
