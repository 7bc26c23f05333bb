"""Models from run files: sizes, ties and refusals."""

import pytest
import torch

from kochi import config
from kochi.attention.scopes import SlidingWindow
from kochi.errors import UserError
from kochi.inputs import TokenInput
from kochi.models.build import build_model


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


def test_one_line_of_an_attention_changes_nothing_else():
    window = {"kind": "sliding_window"}
    table = {"kind": "transformer", "self_attention": {"scope": window}, "attention": {}}
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "run.toml")
    assert isinstance(run.model, config.TransformerModel)
    default = config.TransformerModel(kind="transformer")
    assert run.model.attention == default.attention
    expected = default.self_attention.model_dump() | {"scope": window["kind"]}
    assert run.model.self_attention.model_dump() == expected
    assert (default.attention.score.kind, default.attention.num_heads) == ("scaled_dot", 4)


def test_scopes_reach_the_encoder_as_they_are_and_the_decoder_beside_causal(tmp_path):
    window = {"kind": "sliding_window", "left": 3, "right": 2}
    table = {"kind": "transformer", "self_attention": {"scope": ["global", window]}}
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "run.toml")
    config.write_run(run, tmp_path / "run.toml")
    read = config.read_run(tmp_path / "run.toml")
    assert read.model == run.model
    model = build_model(read.model, TokenInput(11), 13)
    found = {
        name: (scope.left, scope.right)
        for name, scope in model.named_modules()
        if isinstance(scope, SlidingWindow)
    }
    layers = range(4)
    assert found == {
        **{f"encoder.layers.{n}.attention.scope": (3, 2) for n in layers},
        **{f"decoder.layers.{n}.self_attention.scope": (3, 0) for n in layers},
    }
    change = 'model.self_attention.scope=["causal", "local_m"]'
    changed = config.read_run(tmp_path / "run.toml", [change])
    assert isinstance(changed.model, config.TransformerModel)
    scopes = changed.model.self_attention.scope
    assert isinstance(scopes, list)
    assert [scope.table for scope in scopes] == ["causal", "local_m"]


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ("local_p", "self_attention: a scope that predicts its window, .* while the target is"),
        (["sliding_window", "local_p"], "use scopes that depend on positions"),
        ("coverage", "self_attention: Coverage depends on earlier alignments"),
        ([], "scope: got an empty list"),
        (["local_p", "coverage"], "LocalP and Coverage cannot be joined"),
    ],
)
def test_scopes_that_self_attention_refuses(scope, message):
    with pytest.raises(ValueError, match=message):
        build({"kind": "transformer", "self_attention": {"scope": scope, "num_heads": 4}})


def test_input_feeding_belongs_to_luong():
    with pytest.raises(UserError, match="input_feeding is an option of order = 'luong'"):
        build({"kind": "rnn", "input_feeding": True})


def test_a_table_for_frames_is_refused_for_tokens():
    with pytest.raises(ValueError, match="encoder: 'conformer' reads frames"):
        build({"kind": "transformer", "encoder": {"kind": "conformer"}})


def test_a_layer_for_ctc_is_drawn_after_all_other_weights():
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": {"kind": "rnn"}}, "r")
    torch.manual_seed(1)
    plain = build_model(run.model, TokenInput(11), 13)
    torch.manual_seed(1)
    model = build_model(run.model, TokenInput(11), 13, ctc=True)
    weights = model.state_dict()
    assert weights.keys() - plain.state_dict().keys() == {"ctc.weight", "ctc.bias"}
    assert all(torch.equal(weight, weights[name]) for name, weight in plain.state_dict().items())


def test_an_encoder_without_kind_is_told_which_there_are():
    message = "model.encoder: kind is missing; it must be one of 'recurrent', 'transformer'"
    with pytest.raises(UserError, match=message):
        build({"kind": "rnn", "encoder": {"halvings": 1}})


def test_search_asks_ctc_only_where_it_was_trained():
    tree = {
        "data": {"kind": "tsv", "train": "x"},
        "model": {"kind": "rnn"},
        "search": {"ctc_weight": 0.3},
    }
    with pytest.raises(UserError, match="ctc_weight needs a model trained with CTC"):
        config.check_run(tree, "run.toml")
