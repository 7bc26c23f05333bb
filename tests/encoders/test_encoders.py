"""Encoders: padding changes nothing, directions are what they say, empty rows are quiet."""

import pytest
import torch

from kochi.encoders.recurrent import RecurrentEncoder
from kochi.encoders.transformer import TransformerEncoder
from kochi.layers.directions import RecurrentLayer
from kochi.layers.embedding import Embedding
from kochi.tables import HeadsAttention

VOCABULARY, SIZE, HIDDEN = 11, 6, 4


def recurrent(**changes):
    options = {
        "cell": "lstm",
        "hidden_size": HIDDEN,
        "layers": 2,
        "bidirectional": True,
        "reverse_source": False,
        "dropout": 0.0,
    }
    torch.manual_seed(1)
    return RecurrentEncoder(Embedding(VOCABULARY, SIZE), **(options | changes)).double()


def transformer():
    torch.manual_seed(1)
    options = {"feedforward_size": 7, "layers": 1, "dropout": 0.0, "positions": "rotary"}
    heads = HeadsAttention(num_heads=1)
    return TransformerEncoder(Embedding(VOCABULARY, SIZE), **options, self_attention=heads).double()


@pytest.fixture(
    params=[
        recurrent,
        lambda: recurrent(cell="gru", bidirectional=False),
        lambda: recurrent(bidirectional=False, reverse_source=True),
        transformer,
    ],
    ids=["bilstm", "gru", "reversed", "transformer"],
)
def encoder(request):
    return request.param()


def test_padding_changes_nothing(encoder):
    source = torch.tensor([[4, 7, 5, 9, 10], [6, 8, 4, 0, 0], [5, 0, 0, 0, 0]])
    mask = source != 0
    memory = encoder(source, mask)
    assert memory.values.shape == (3, 5, encoder.memory_size)
    assert memory.summary.shape == (3, encoder.summary_size)
    for row, length in enumerate((5, 3, 1)):
        alone = encoder(source[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone.values[0], memory.values[row, :length])
        torch.testing.assert_close(alone.summary[0], memory.summary[row])


def test_what_stands_in_the_padding_changes_nothing(encoder):
    source = torch.tensor([[4, 7, 5, 0, 0]])
    mask = source != 0
    other = torch.where(mask, source, 9)
    one, two = encoder(source, mask), encoder(other, mask)
    torch.testing.assert_close(one.values[:, :3], two.values[:, :3])
    torch.testing.assert_close(one.summary, two.summary)


def test_an_empty_row_gives_finite_gradients(encoder):
    source = torch.tensor([[4, 7, 5], [0, 0, 0]])
    memory = encoder(source, source != 0)
    (memory.values.sum() + memory.summary.sum()).backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


def test_two_directions_equal_the_library():
    encoder = recurrent(layers=1)
    source = torch.tensor([[4, 7, 5, 9]])
    values = encoder(source, source != 0).values
    library = torch.nn.LSTM(SIZE, HIDDEN, batch_first=True, bidirectional=True).double()
    layer = encoder.layers[0]
    assert isinstance(layer, RecurrentLayer)
    forward, backward = layer.directions
    with torch.no_grad():
        for stack, suffix in ((forward, ""), (backward, "_reverse")):
            for name, weight in stack.cells[0].named_parameters():
                getattr(library, name + suffix).copy_(weight)
    expected, (last, _) = library(encoder.embedding(source))
    torch.testing.assert_close(values, expected)
    summary = encoder(source, source != 0).summary
    torch.testing.assert_close(summary, torch.cat([last[0], last[1]], dim=-1))


def test_a_reversed_source_is_read_from_its_end():
    """The memory stays in the order of the source; the summary belongs to its first token."""
    plain = recurrent(bidirectional=False, layers=1)
    turned = recurrent(bidirectional=False, layers=1, reverse_source=True)
    source = torch.tensor([[4, 7, 5, 0], [6, 9, 8, 10]])
    backwards = torch.tensor([[5, 7, 4, 0], [10, 8, 9, 6]])
    expected = plain(backwards, backwards != 0)
    memory = turned(source, source != 0)
    torch.testing.assert_close(memory.summary, expected.summary)
    torch.testing.assert_close(memory.values[0, :3], expected.values[0, :3].flip(0))
    torch.testing.assert_close(memory.values[1], expected.values[1].flip(0))
