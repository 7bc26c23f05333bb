"""Mistakes in components of other packages are one line that names the component."""

import pytest

CODE = '''
import torch
from torch import nn
from kochi.attention import Score
from kochi.encoders import Encoder
from kochi.inputs import TokenInput
from kochi.memory import Memory


class Narrow(Score):
    """Returns the scores of one sentence, which would broadcast over the batch."""

    def forward(self, query, keys):
        return query.new_zeros(1, *query.shape[1:3], keys.shape[2])


class Picky(Score):
    def __init__(self, *, rank: int = 0) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank: got {rank}, expected at least 1")

    def forward(self, query, keys):
        return query @ keys.transpose(2, 3)


class Typed(Score):
    def __init__(self, *, rank=1):
        super().__init__()

    def forward(self, query, keys):
        return query @ keys.transpose(2, 3)


class Sizeless(Encoder):
    reads = TokenInput

    def __init__(self, source, embedding):
        super().__init__()
        self.embedding = embedding

    def forward(self, source, mask):
        values = self.embedding(source)
        return Memory(values, mask, values.mean(1))


class Lazy(Sizeless):
    def __init__(self, source, embedding):
        super().__init__(source, embedding)
        self.memory_size = self.summary_size = 32
        self.linear = nn.LazyLinear(32)


class Longer(Sizeless):
    """Has one vector more than its mask has positions."""

    def __init__(self, source, embedding):
        super().__init__(source, embedding)
        self.memory_size = self.summary_size = 24

    def forward(self, source, mask):
        values = self.embedding(source)
        return Memory(torch.cat([values, values[:, :1]], 1), mask, values.mean(1))
'''


@pytest.mark.usefixtures("shapes_unchecked")  # which would find some of them in tests only
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("attention.score", "Narrow", "score Narrow: returned the shape ["),
        ("attention.score", "Picky", "cannot be built: ValueError: rank: got 0, expected at least"),
        ("attention.score", "Typed", "Typed: the option 'rank' has no type; annotate it, as in"),
        ("encoder", "Sizeless", "has no memory_size; set it in the constructor"),
        ("encoder", "Lazy", "has a lazy layer, whose size is unknown; give it its size"),
        ("encoder", "Longer", "encoder Longer: returned values of shape ["),
    ],
)
def test_a_mistake_is_one_line(kochi, task, install, key, value, message):
    install("kochi-wrong", CODE)
    change = f"model.{key}={{ kind = 'kochi_wrong:{value}', rank = 0 }}"
    if value not in ("Picky", "Typed"):
        change = f"model.{key}=kochi_wrong:{value}"
    result = kochi("train", task, "--set", "training.max_steps=1", "--set", change)
    assert result.code == 2, result.err
    assert message in result.err.splitlines()[-1], result.err
    assert value in result.err.splitlines()[-1]
    assert "Traceback" not in result.err
