"""A toy of speech that a small model learns in seconds, with the decoder's loss and that of CTC."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from kochi import config
from kochi.decoding import CtcPrefixScore, search
from kochi.inputs import FrameInput
from kochi.memory import Frames
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq
from kochi.training.ctc import ctc_loss
from kochi.training.losses import cross_entropy
from tests.conftest import unchecked

SIZE, HOP, FIRST_TOKEN, VOCABULARY = 7, 0.01, 4, 11
PAD, BOS, EOS = 0, 2, 3
CTC_WEIGHT = 0.3
SPEAKERS = torch.Generator().manual_seed(1)
PROTOTYPES = torch.randn(VOCABULARY, SIZE, generator=SPEAKERS)


@dataclass(frozen=True)
class Spoken:
    """Some sentences: each token its prototype for some frames, with noise.

    Attributes:
        source: The frames.
        mask: True at the frames.
        targets: The tokens, the end mark behind them.
        middles: In which frame the middle of each token is.
    """

    source: Tensor
    mask: Tensor
    targets: Tensor
    middles: list[list[float]]


def speak(sentences: int, seed: int) -> Spoken:
    draws = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=draws))

    frames, targets, middles = [], [], []
    for _ in range(sentences):
        ordinary = torch.randperm(VOCABULARY - FIRST_TOKEN, generator=draws) + FIRST_TOKEN
        tokens = ordinary[: draw(2, 5)].tolist()
        durations = [draw(4, 9) for _ in tokens]
        ends = torch.tensor(durations).cumsum(0).tolist()
        said = torch.tensor([t for t, d in zip(tokens, durations, strict=True) for _ in range(d)])
        frames.append(PROTOTYPES[said] + 0.3 * torch.randn(len(said), SIZE, generator=draws))
        targets.append(torch.tensor([*tokens, EOS]))
        middles.append([end - d / 2 for end, d in zip(ends, durations, strict=True)])
    mask = torch.nn.utils.rnn.pad_sequence(
        [torch.ones(len(one), dtype=torch.bool) for one in frames], batch_first=True
    )
    source = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    return Spoken(source, mask, torch.nn.utils.rnn.pad_sequence(targets, batch_first=True), middles)


def inputs_of(targets: Tensor) -> Tensor:
    return torch.cat([torch.full_like(targets[:, :1], BOS), targets[:, :-1]], 1)


def loss_of(model: Seq2Seq, batch: Spoken) -> Tensor:
    memory, mask = model.encode(batch.source, batch.mask), batch.targets != PAD
    features = model.decoder(memory, inputs_of(batch.targets))
    decoder = model.decoder
    loss, _ = cross_entropy(
        features, decoder.output_weight, decoder.output_bias, batch.targets, mask
    )
    words = mask & (batch.targets != EOS)
    assert model.ctc is not None
    ctc, skipped = ctc_loss(model.ctc, memory.values, memory.mask, batch.targets, words)
    assert skipped == 0
    return ((1 - CTC_WEIGHT) * loss + CTC_WEIGHT * ctc) / mask.sum()


ATTENTION = {"score": {"kind": "location_aware", "filters": 4, "width": 7}}
RNN = {"kind": "rnn", "hidden_size": 24, "embedding_size": 12, "dropout": 0.0}
SELF_ATTENTION = {"score": "scaled_dot", "relative": "rotary", "num_heads": 2}
ENCODERS = {
    "pyramid": {"kind": "pyramid", "hidden_size": 24, "layers": 2, "halvings": 1, "dropout": 0.0},
    "conformer": {
        "kind": "conformer",
        "size": 24,
        "layers": 1,
        "channels": 8,
        "feedforward_size": 48,
        "conv_width": 3,
        "dropout": 0.0,
        "self_attention": SELF_ATTENTION,
    },
}


@pytest.fixture(scope="module", params=ENCODERS)
def learned(request) -> Seq2Seq:
    """Return a model after some seconds of training."""
    table = {**RNN, "attention": ATTENTION, "encoder": ENCODERS[request.param]}
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "run.toml")
    torch.manual_seed(1)
    model = build_model(run.model, FrameInput(SIZE, HOP), VOCABULARY, ctc=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with unchecked():
        for step in range(120):
            optimizer.zero_grad()
            loss_of(model, speak(16, seed=100 + step)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return model.eval()


@pytest.mark.parametrize(("ctc_weight", "least"), [(0.0, 30), (0.3, 40), (1.0, 40)])
def test_it_says_what_was_spoken(learned, ctc_weight, least):
    heard = speak(50, seed=7)
    with torch.no_grad():
        memory = learned.encode(heard.source, heard.mask)
    joint = CtcPrefixScore(learned.ctc, ctc_weight) if ctc_weight else None
    found = search(learned.decoder, memory, max_length=8, beam=4, joint=joint)
    wanted = [[t for t in row if t not in (PAD, EOS)] for row in heard.targets.tolist()]
    right = sum(best.tokens == row for (best, *_), row in zip(found, wanted, strict=True))
    assert right >= least  # of 50


def test_it_looks_where_each_token_is_spoken(learned):
    heard = speak(50, seed=7)
    with torch.no_grad():
        memory = learned.encode(heard.source, heard.mask)
        alignment = learned.decoder.alignment(memory, inputs_of(heard.targets))
    assert isinstance(memory.layout, Frames)
    near, total = 0, 0
    for row, middles in enumerate(heard.middles):
        for place, middle in zip(alignment[row].argmax(-1).tolist(), middles, strict=False):
            frame = memory.layout.centre_seconds(place) / HOP
            near += abs(frame - middle) <= 8
            total += 1
    assert near >= 0.8 * total
