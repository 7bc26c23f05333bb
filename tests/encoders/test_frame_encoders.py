"""Encoders of frames: lengths, times, padding, gradients, what looks where."""

import math
from typing import Any

import pytest
import torch

from kochi import config
from kochi.errors import UserError
from kochi.inputs import FrameInput
from kochi.layers.directions import RecurrentLayer
from kochi.models.build import build_encoder, build_model

SIZE, HOP, FIRST = 7, 0.01, 0.0125
RECURRENT = {"hidden_size": 5, "layers": 3, "dropout": 0.0}
WINDOW = {"kind": "sliding_window", "left": 3, "right": 0}
ATTENTION = {"score": "scaled_dot", "num_heads": 2}
SELF = {"channels": 3, "size": 12, "layers": 2, "dropout": 0.0, "self_attention": ATTENTION}
TABLES = {
    "pyramid": {"kind": "pyramid", **RECURRENT},
    "pyramid of eight": {"kind": "pyramid", **RECURRENT, "layers": 5, "halvings": 3},
    "pyramid of one": {"kind": "pyramid", **RECURRENT, "halvings": 0, "cell": "gru"},
    "one-directional pyramid": {"kind": "pyramid", **RECURRENT, "bidirectional": False},
    "conv_rnn": {"kind": "conv_rnn", **RECURRENT, "channels": 3},
    "conv_transformer": {"kind": "conv_transformer", **SELF, "feedforward_size": 11},
    "post-norm": {"kind": "conv_transformer", **SELF, "norm": "post", "positions": "rotary"},
    "conformer": {"kind": "conformer", **SELF, "feedforward_size": 11, "conv_width": 5},
    "shaw": {
        "kind": "conformer",
        **SELF,
        "conv_width": 3,
        "self_attention": {**ATTENTION, "relative": {"kind": "shaw", "max_distance": 3}},
    },
}
CAUSAL = {
    "conv_rnn": {"kind": "conv_rnn", **RECURRENT, "channels": 3, "bidirectional": False},
    "conv_transformer": {
        "kind": "conv_transformer",
        **SELF,
        "causal": True,
        "self_attention": {**ATTENTION, "scope": WINDOW},
    },
    "conformer": {
        "kind": "conformer",
        **SELF,
        "causal": True,
        "conv_width": 4,
        "self_attention": {**ATTENTION, "scope": "causal", "relative": "rotary"},
    },
}


def run_of(model: dict):
    return config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": model}, "run.toml")


def build(table: dict | None, **model) -> Any:
    torch.manual_seed(1)
    tree = {"kind": "rnn", **model} | ({} if table is None else {"encoder": table})
    return build_encoder(run_of(tree).model, FrameInput(SIZE, HOP, FIRST), None).double().eval()


@pytest.fixture(params=TABLES.values(), ids=list(TABLES))
def encoder(request):
    return build(request.param)


def frames(*lengths: int):
    """Return frames of which none is like another, and their mask."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    numbers = torch.arange(mask.numel() * SIZE, dtype=torch.double)
    return (numbers * 0.7).sin().view(*mask.shape, SIZE), mask


@pytest.mark.parametrize("longest", [1, 2, 3, 4, 5, 8, 9, 23])
def test_the_memory_has_the_length_that_is_promised(encoder, longest):
    lengths = torch.tensor([longest, (longest + 1) // 2, 1])
    memory = encoder(*frames(*lengths.tolist()))
    expected = [math.ceil(length / encoder.subsampling) for length in lengths.tolist()]
    assert memory.mask.sum(1).tolist() == expected
    assert encoder.memory_lengths(lengths).tolist() == expected
    assert memory.values.shape == (3, expected[0], encoder.memory_size)
    assert memory.mask.shape == (3, expected[0])
    assert memory.summary.shape == (3, encoder.summary_size)
    assert memory.layout == encoder.layout


def test_padding_changes_nothing_even_if_it_is_not_a_number(encoder):
    lengths = (23, 14, 1)
    source, mask = frames(*lengths)
    memory = encoder(source.masked_fill(~mask.unsqueeze(-1), torch.nan), mask)
    for row, length in enumerate(lengths):
        alone = encoder(source[row : row + 1, :length], mask[row : row + 1, :length])
        kept = alone.mask.shape[1]
        torch.testing.assert_close(alone.values[0], memory.values[row, :kept])
        torch.testing.assert_close(alone.summary[0], memory.summary[row])
        assert not memory.mask[row, kept:].any()


def test_gradients_reach_every_weight_and_only_frames(encoder):
    source, mask = frames(23, 14, 1)
    source.requires_grad_()
    memory = encoder(source, mask)
    values = memory.values * memory.mask.unsqueeze(-1)
    weights = torch.arange(values.numel(), dtype=torch.double).view_as(values).cos()
    ((values * weights).sum() + memory.summary.square().sum()).backward()
    assert source.grad is not None
    reached = source.grad.abs().sum(-1) > 0
    assert torch.equal(reached, mask)
    for name, weight in encoder.named_parameters():
        assert weight.grad.abs().sum() > 0, name


def test_gradients_are_those_of_finite_differences(encoder):
    source, mask = frames(6, 3)

    def read(source):
        memory = encoder(source, mask)
        return memory.values * memory.mask.unsqueeze(-1), memory.summary

    assert torch.autograd.gradcheck(read, source.requires_grad_(), fast_mode=True)


def test_an_empty_row_is_quiet(encoder):
    source, mask = frames(5, 3)
    mask[1] = False
    memory = encoder(source, mask)
    assert not memory.mask[1].any()
    (memory.values.sum() + memory.summary.sum()).backward()
    assert all(weight.grad.isfinite().all() for weight in encoder.parameters())


def test_the_order_of_frames_matters(encoder):
    source, mask = frames(8)
    turned = encoder(source.flip(1), mask).values
    assert not torch.allclose(turned, encoder(source, mask).values, atol=1e-3)
    assert not torch.allclose(turned.flip(1), encoder(source, mask).values, atol=1e-3)


@pytest.mark.parametrize("table", CAUSAL.values(), ids=list(CAUSAL))
def test_a_causal_encoder_looks_at_no_later_frame(table):
    encoder, reach = build(table), 4
    source, mask = frames(17)
    before = encoder(source, mask).values
    for position in range(before.shape[1] - 1):
        other = source.clone()
        other[:, position * reach + 1 :] += 1.0
        after = encoder(other, mask).values
        torch.testing.assert_close(after[:, : position + 1], before[:, : position + 1])
        assert not torch.allclose(after[:, position + 1 :], before[:, position + 1 :])


def test_a_one_directional_pyramid_waits_for_its_own_frames_only():
    encoder = build(TABLES["one-directional pyramid"])
    source, mask = frames(17)
    other = source.clone()
    other[:, 8:] += 1.0
    one, two = encoder(source, mask).values, encoder(other, mask).values
    torch.testing.assert_close(one[:, :2], two[:, :2])
    assert not torch.allclose(one[:, 2], two[:, 2])


@pytest.mark.parametrize(
    ("name", "factor", "first"),
    [
        ("pyramid", 4, FIRST + 1.5 * HOP),  # the mean of frames 0 to 3
        ("pyramid of eight", 8, FIRST + 3.5 * HOP),
        ("pyramid of one", 1, FIRST),
        ("conv_rnn", 4, FIRST),  # filters are centred
        ("conformer", 4, FIRST),
    ],
)
def test_positions_know_when_they_happen(name, factor, first):
    encoder = build(TABLES[name])
    assert encoder.subsampling == factor
    assert encoder.layout.hop_seconds == pytest.approx(factor * HOP)
    assert encoder.layout.centre_seconds(0) == pytest.approx(first)


@pytest.mark.parametrize("name", ["conv_rnn", "conv_transformer"])
def test_convolutions_are_centred_where_the_layout_says(name):
    """Position i looks at frames 4 i - 3 to 4 i + 3."""
    convolutions = build(TABLES[name]).convolutions
    source, mask = frames(17)
    source.requires_grad_()
    values, _ = convolutions(source, mask)
    (grad,) = torch.autograd.grad(values[0, 2].abs().sum(), source)
    assert (grad[0].abs().sum(-1) > 0).nonzero().flatten().tolist() == list(range(5, 12))


def test_the_pyramid_by_its_formula():
    """h_i^1 reads [h_2i^0; h_(2i+1)^0]."""
    encoder = build({"kind": "pyramid", **RECURRENT, "layers": 2, "halvings": 1})
    source, mask = frames(6)
    order = torch.arange(6).flip(0).unsqueeze(0)
    plain, halving = encoder.layers
    assert isinstance(plain, RecurrentLayer)
    below = plain(source, order)
    pairs = torch.stack([torch.cat([below[0, i], below[0, i + 1]]) for i in (0, 2, 4)])
    expected = halving(pairs.unsqueeze(0), torch.tensor([[2, 1, 0]]))
    torch.testing.assert_close(encoder(source, mask).values, expected)


def test_the_conformer_layer_by_its_formula():
    layer = build(TABLES["conformer"]).layers[0]
    torch.manual_seed(1)
    x, mask = torch.randn(1, 9, 12, dtype=torch.double), torch.ones(1, 9, dtype=torch.bool)
    norms = [r.norm for r in (layer.first_residual, layer.attention_residual)]
    norms += [r.norm for r in (layer.convolution_residual, layer.second_residual)]
    first = x + 0.5 * layer.first(norms[0](x))
    normed = norms[1](first)
    second = first + layer.attention(normed, layer.attention.project(normed, mask)).context
    conv = layer.convolution
    value, gate = conv.inner(norms[2](second)).chunk(2, -1)
    gated = torch.nn.functional.pad(value * gate.sigmoid(), (0, 0, 2, 2))
    found = torch.stack(
        [
            (gated[0, t : t + 5] * conv.depthwise.weight[:, 0].T).sum(0) + conv.depthwise.bias
            for t in range(9)
        ]
    )
    normed = conv.norm(found)
    third = second + conv.outer(normed * normed.sigmoid())
    expected = layer.norm(third + 0.5 * layer.second(norms[3](third)))
    torch.testing.assert_close(layer(x, mask), expected)


@pytest.mark.parametrize("kind", ["plain", "rnn", "transformer"])
@pytest.mark.parametrize("name", ["default", *TABLES])
def test_every_model_takes_every_encoder(kind, name):
    torch.manual_seed(1)
    table = {} if name == "default" else {"encoder": TABLES[name]}
    sizes = {"size": 8} if kind == "transformer" else {"hidden_size": 8, "embedding_size": 6}
    run = run_of({"kind": kind, **sizes, **table})
    model = build_model(run.model, FrameInput(SIZE, HOP), 11, ctc=True).double().eval()
    source, mask = frames(9, 5)
    features = model(source, mask, torch.tensor([[2, 4, 5], [2, 6, 0]]))
    assert features.shape[:2] == (2, 3)
    memory = model.encode(source, mask)
    assert model.ctc is not None
    assert model.ctc(memory.values).shape == (*memory.mask.shape, 11)


def test_without_a_table_the_encoder_is_as_the_model():
    pyramid = build(None, hidden_size=3, cell="gru", dropout=0.0)
    assert (pyramid.memory_size, pyramid.subsampling, len(pyramid.layers)) == (6, 4, 3)
    assert pyramid.layers[0].directions[0].num_vectors == 1
    transformer = build(None, kind="transformer", size=8, encoder_layers=2)
    assert (transformer.memory_size, len(transformer.layers)) == (8, 2)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "rnn", "tie_embeddings": "all"}, "tie_embeddings = 'all' needs source tokens"),
        ({"kind": "rnn", "reverse_source": True}, "reverse_source is for tokens"),
        (
            {"kind": "rnn", "encoder": {"kind": "conformer", "conv_width": 4}},
            "width of the convolution: got 4, expected an odd number",
        ),
        (
            {
                "kind": "rnn",
                "encoder": {"kind": "conformer", "self_attention": {"score": "location_aware"}},
            },
            "self_attention: LocationAware depends on earlier alignments or samples",
        ),
        (
            {
                "kind": "rnn",
                "encoder": {
                    "kind": "conv_transformer",
                    "self_attention": {"score": "scaled_dot", "scope": "local_p"},
                },
            },
            "self_attention: a scope that predicts its window",
        ),
    ],
)
def test_what_cannot_be_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        build_model(run_of(model).model, FrameInput(SIZE, HOP), 11)


def test_a_pyramid_needs_layers_that_halve():
    with pytest.raises(ValueError, match="halvings = 3 needs at least 4 layers"):
        build({"kind": "pyramid", "halvings": 3})


def test_an_unknown_key_of_an_encoder_is_named():
    with pytest.raises(
        UserError, match=r"model\.encoder: .*'halving', .*; did you mean 'halvings'\?"
    ):
        run_of({"kind": "rnn", "encoder": {"kind": "pyramid", "halving": 3}})


FED = {
    "conv_rnn": CAUSAL["conv_rnn"],
    "pyramid": TABLES["one-directional pyramid"],
    "gru pyramid of eight": {
        "kind": "pyramid",
        **RECURRENT,
        "layers": 5,
        "halvings": 3,
        "cell": "gru",
        "bidirectional": False,
    },
}


@pytest.mark.parametrize("cuts", [(23,), (1,) * 23, (3, 0, 11, 9), (0, 22, 1)])
@pytest.mark.parametrize("table", FED.values(), ids=list(FED))
def test_fed_piece_by_piece_leaves_the_memory_of_the_whole(table, cuts):
    encoder = build(table)
    source, mask = frames(23)
    pieces, fed = [], None
    for number, piece in enumerate(source.split(cuts, dim=1)):
        values, fed = encoder.feed(piece, fed, number == len(cuts) - 1)
        pieces.append(values)
    torch.testing.assert_close(torch.cat(pieces, 1), encoder(source, mask).values)


def test_positions_come_as_soon_as_their_frames():
    encoder = build(FED["conv_rnn"])
    values, fed = encoder.feed(frames(5)[0], None, False)  # frames 0 to 4: positions 0 and 1
    assert values.shape[1] == 2
    assert encoder.feed(frames(3)[0], fed, False)[0].shape[1] == 0


@pytest.mark.parametrize("name", ["pyramid", "conv_rnn", "conformer"])
def test_encoders_that_wait_for_the_end_say_so(name):
    with pytest.raises(ValueError, match="the encoder needs the whole recording"):
        build(TABLES[name]).feed(frames(4)[0], None, True)
