"""Encoders of pictures: sizes, padding, gradients, what looks where."""

import math
from typing import Any

import pytest
import torch

from kochi import config
from kochi.inputs import FrameInput, PictureInput
from kochi.models.build import build_encoder, build_model

INPUT = PictureInput(3, 24, 40)
ATTENTION = {"score": "scaled_dot", "num_heads": 2}
TABLES = {
    "cnn": {"kind": "cnn", "channels": [4, 8], "dropout": 0.0},
    "deep cnn": {"kind": "cnn", "channels": [4, 4, 8], "blocks": 2, "dropout": 0.0},
    "cnn of patches": {"kind": "cnn", "channels": [8], "patch": 4, "dropout": 0.0},
    "cnn without positions": {
        "kind": "cnn",
        "channels": [4, 6],
        "positions": "none",
        "dropout": 0.0,
    },
    "cnn_rows": {"kind": "cnn_rows", "channels": [4, 8], "hidden_size": 6, "dropout": 0.0},
    "cnn_rows with gru": {
        "kind": "cnn_rows",
        "channels": [4, 4],
        "hidden_size": 4,
        "cell": "gru",
        "layers": 2,
        "max_rows": 3,
        "dropout": 0.0,
    },
    "vit": {
        "kind": "vit",
        "patch": 5,
        "size": 8,
        "feedforward_size": 11,
        "layers": 2,
        "dropout": 0.0,
        "self_attention": ATTENTION,
    },
    "post-norm vit": {
        "kind": "vit",
        "patch": 4,
        "size": 8,
        "layers": 1,
        "norm": "post",
        "dropout": 0.0,
        "self_attention": ATTENTION,
    },
}


def run_of(model: dict):
    return config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": model}, "run.toml")


def build(table: dict | None, **model) -> Any:
    torch.manual_seed(1)
    tree = {"kind": "rnn", **model} | ({} if table is None else {"encoder": table})
    return build_encoder(run_of(tree).model, INPUT, None).double().eval()


@pytest.fixture(params=TABLES.values(), ids=list(TABLES))
def encoder(request):
    return build(request.param)


def pictures(*sizes: tuple[int, int]):
    """Return pictures of which no pixel is like another, and their mask."""
    height, width = (max(sides) for sides in zip(*sizes, strict=True))
    mask = torch.zeros(len(sizes), height, width, dtype=torch.bool)
    for row, (high, wide) in enumerate(sizes):
        mask[row, :high, :wide] = True
    numbers = torch.arange(3 * mask.numel(), dtype=torch.double)
    return (numbers * 0.7).sin().view(len(sizes), 3, height, width), mask


@pytest.mark.parametrize("size", [(4, 4), (1, 1), (16, 16), (17, 23), (24, 40), (5, 40)])
def test_the_memory_has_the_cells_that_the_layout_promises(encoder, size):
    memory = encoder(*pictures(size, (4, 7)))
    cell = encoder.layout.cell_height
    for row, (height, width) in enumerate([size, (4, 7)]):
        rows, columns = encoder.layout.shape(height, width)
        assert (rows, columns) == (math.ceil(height / cell), math.ceil(width / cell))
        assert memory.mask[row].tolist() == [
            position < rows * columns for position in range(memory.mask.shape[1])
        ]
    assert memory.values.shape == (*memory.mask.shape, encoder.memory_size)
    assert memory.summary.shape == (2, encoder.summary_size)


def test_padding_changes_nothing_even_if_it_is_not_a_number(encoder):
    sizes = (24, 13), (7, 40), (20, 40), (1, 3)
    source, mask = pictures(*sizes)
    memory = encoder(source.masked_fill(~mask.unsqueeze(1), torch.nan), mask)
    for row, (height, width) in enumerate(sizes):
        one = slice(row, row + 1)
        alone = encoder(source[one, :, :height, :width], mask[one, :height, :width])
        kept = alone.mask.shape[1]
        assert alone.mask.all()
        torch.testing.assert_close(alone.values[0], memory.values[row, :kept])
        torch.testing.assert_close(alone.summary[0], memory.summary[row])
        assert not memory.mask[row, kept:].any()


def test_gradients_reach_every_weight_and_only_pixels(encoder):
    source, mask = pictures((24, 13), (7, 40))
    source.requires_grad_()
    memory = encoder(source, mask)
    values = memory.values * memory.mask.unsqueeze(-1)
    weights = torch.arange(values.numel(), dtype=torch.double).view_as(values).cos()
    ((values * weights).sum() + memory.summary.square().sum()).backward()
    assert source.grad is not None
    assert torch.equal(source.grad.abs().sum(1) > 0, mask)
    for name, weight in encoder.named_parameters():
        assert weight.grad.abs().sum() > 0, name


def test_gradients_are_those_of_finite_differences(encoder):
    source, mask = pictures((6, 5), (3, 9))

    def read(source):
        memory = encoder(source, mask)
        return memory.values * memory.mask.unsqueeze(-1), memory.summary

    assert torch.autograd.gradcheck(read, source.requires_grad_(), fast_mode=True)


def test_an_empty_picture_is_quiet(encoder):
    source, mask = pictures((9, 9), (5, 5))
    mask[1] = False
    memory = encoder(source, mask)
    assert not memory.mask[1].any()
    (memory.values.sum() + memory.summary.sum()).backward()
    assert all(weight.grad.isfinite().all() for weight in encoder.parameters())


@pytest.mark.parametrize("name", [name for name in TABLES if "without" not in name])
def test_cells_know_where_they_are(name):
    """Of a picture of one colour, no two cells are alike, rows and columns told apart."""
    encoder = build(TABLES[name])
    cell = encoder.layout.cell_height
    source = torch.ones(1, 3, 5 * cell, 5 * cell, dtype=torch.double)
    values = encoder(source, torch.ones(1, 5 * cell, 5 * cell, dtype=torch.bool)).values[0]
    assert (torch.cdist(values, values) + torch.eye(25)).min() > 1e-3


@pytest.mark.parametrize("name", ["cnn", "deep cnn", "cnn of patches"])
def test_cells_are_centred_on_the_pixels_that_the_layout_says(name):
    encoder = build(TABLES[name])
    cell, middle = encoder.layout.cell_height, 12
    side = cell * (2 * middle + 1)
    source = torch.rand(1, 3, side, side, dtype=torch.double, requires_grad=True)
    memory = encoder(source, torch.ones(1, side, side, dtype=torch.bool))
    position = middle * (2 * middle + 1) + middle
    weights = torch.arange(encoder.memory_size, dtype=torch.double).cos()
    (grad,) = torch.autograd.grad((memory.values[0, position] * weights).sum(), source)
    seen = grad[0].abs().sum(0) > 0
    for rows in (seen.any(1), seen.any(0)):
        positions = rows.nonzero().flatten()
        assert positions[0] + positions[-1] == side - 1  # as far to either side of the middle
    assert seen[middle * cell : (middle + 1) * cell, middle * cell : (middle + 1) * cell].all()


def test_the_rows_by_their_formula():
    """Each row is read by itself, from a first state of its own; Deng et al. 2017, section 4."""
    encoder = build(TABLES["cnn_rows"] | {"positions": "none"})
    source, mask = pictures((12, 16))
    grid, _ = encoder.network(source, mask)
    [layer] = encoder.layers
    found = []
    for row in range(3):
        there, back = (encoder.row_states[0, way, :, row : row + 1] for way in (0, 1))
        forward = layer.directions[0].sequence(grid[:, row], (there,))
        backward = layer.directions[1].sequence(grid[:, row].flip(1), (back,)).flip(1)
        found.append(torch.cat([forward, backward], -1))
    torch.testing.assert_close(encoder(source, mask).values, torch.cat(found, 1))


def test_the_residual_block_by_its_formula():
    encoder = build(TABLES["cnn"])
    block = encoder.network.stages[0][0]
    x = torch.rand(1, 3, 4, 4, dtype=torch.double)

    def convolve(layer, values):
        found = torch.zeros(1, 3, 4, 4, dtype=torch.double) + layer.bias
        for row, column, down, across in torch.cartesian_prod(*map(torch.arange, (3, 4, 3, 3))):
            at = row + down - 1, column + across - 1
            if 0 <= at[0] < 3 and 0 <= at[1] < 4:
                found[0, row, column] += layer.weight[:, :, down, across] @ values[0, at[0], at[1]]
        return found

    inner = convolve(block.layers[0], block.norms[0](x, None).relu())
    expected = x + convolve(block.layers[1], block.norms[1](inner, None).relu())
    torch.testing.assert_close(block(x, None), expected)


@pytest.mark.parametrize("kind", ["plain", "rnn", "transformer"])
@pytest.mark.parametrize("name", ["default", *TABLES])
def test_every_model_takes_every_encoder(kind, name):
    torch.manual_seed(1)
    table = {} if name == "default" else {"encoder": TABLES[name]}
    sizes = {"size": 8} if kind == "transformer" else {"hidden_size": 8, "embedding_size": 6}
    model = build_model(run_of({"kind": kind, **sizes, **table}).model, INPUT, 11).double().eval()
    source, mask = pictures((24, 13), (7, 40))
    features = model(source, mask, torch.tensor([[2, 4, 5], [2, 6, 0]]))
    assert features.shape[:2] == (2, 3)


@pytest.mark.parametrize(
    ("model", "source", "message"),
    [
        ({"kind": "rnn", "tie_embeddings": "all"}, INPUT, "the source is pictures"),
        ({"kind": "rnn", "reverse_source": True}, INPUT, "reverse_source is for tokens"),
        ({"kind": "rnn", "encoder": {"kind": "pyramid"}}, INPUT, "'pyramid' reads frames"),
        ({"kind": "rnn", "encoder": {"kind": "vit"}}, FrameInput(7, 0.01), "'vit' reads pictures"),
        (
            {"kind": "rnn", "encoder": {"kind": "cnn", "channels": [6, 10]}},
            INPUT,
            "a multiple of 4, got 10",
        ),
        (
            {
                "kind": "rnn",
                "encoder": {"kind": "vit", "self_attention": {"score": "location_aware"}},
            },
            INPUT,
            "self_attention: LocationAware depends on earlier alignments or samples",
        ),
    ],
)
def test_what_cannot_be_is_refused(model, source, message):
    with pytest.raises(ValueError, match=message):
        build_model(run_of(model).model, source, 11)
