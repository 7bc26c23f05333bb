"""Listening writes what reading the whole recording would write."""

from pathlib import Path

import numpy as np
import pytest
import torch

import kochi
from kochi.config import read_run
from kochi.errors import UserError
from kochi.modalities.audio.streaming import Listener
from kochi.training import train
from tests.hearing import ENCODERS, RATE_HZ, STREAMING, samples_of, write_sounds

SAID = ("abc", "ccb", "a", "bab")


def read(folder: Path, *changes: str):
    return read_run(write_sounds(folder), [*STREAMING, *changes])


OTHERS = [name for name in ENCODERS if name != "conv_rnn"]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in OTHERS]


@pytest.fixture(scope="module", params=["conv_rnn", *SLOW])
def model(request, made_once):
    """A model that can listen; it has learned to hear tones."""
    if request.param == "conv_rnn":
        return kochi.load(request.getfixturevalue("streamer"), device="cpu")
    change = f"model.encoder={ENCODERS[request.param]}"
    folder = made_once(request.param, lambda folder: train(read(folder, change)))
    return kochi.load(folder / "model", device="cpu")


def listen(model, samples, *sizes):
    """Hear samples in blocks of these sizes, over and over."""
    listener, position, number, found = Listener(model), 0, 0, []
    while position < len(samples):
        size = sizes[number % len(sizes)]
        found += listener.push(samples[position : position + size])
        position, number = position + size, number + 1
    return found + listener.push(samples[:0], last=True)


def first_utterance(heard):
    return [one for one in heard if one.utterance == 0]


@pytest.mark.parametrize("sizes", [(800,), (1, 333, 40), (7,), (10_000,)])
@pytest.mark.parametrize("said", SAID)
def test_what_is_heard_is_what_is_read(model, said, sizes):
    samples = samples_of(said)
    [whole] = model.predict([samples], beam=1, need_alignment=True)
    heard = first_utterance(listen(model, samples, *sizes))
    assert "".join(one.text for one in heard) == whole.text == said
    tokens = [one for one in heard if not one.ends]
    hop, begin = whole.layout.hop_seconds, whole.layout.first_seconds
    looked = [row.argmax().item() if row.any() else None for row in whole.alignment]
    positions = [
        None if one.look_seconds is None else round((one.look_seconds - begin) / hop)
        for one in tokens
    ]
    assert positions == looked
    total = sum(one.log_probability for one in heard)
    assert total == pytest.approx(whole.n_best[0].log_probability, abs=1e-3)


def test_an_untrained_model_hears_what_it_reads(model, tmp_path):
    """Wherever its walk stops, and however it goes off the end."""
    torch.manual_seed(3)
    for weight in model.model.decoder.parameters():
        saved = weight.data.clone()
        weight.data.add_(torch.randn_like(weight) * 0.5)
        samples = samples_of("abcabc")
        [whole] = model.predict([samples], beam=1)
        heard = first_utterance(listen(model, samples, 500))
        assert "".join(one.text for one in heard) == whole.text
        weight.data.copy_(saved)


def test_tokens_come_before_the_sound_has_ended(model):
    samples = samples_of("abc")
    heard = listen(model, samples, 80)
    end = len(samples) / RATE_HZ
    assert heard[0].text == "a" and heard[0].heard_seconds < 0.6 * end
    for one in heard:
        assert one.look_seconds is None or one.look_seconds <= one.heard_seconds <= end + 1e-9
    times = [one.heard_seconds for one in heard]
    assert times == sorted(times)


def test_memory_stays_small_however_long_the_sound(model):
    listener, rest, positions = Listener(model), 0, 0
    for _ in range(60):
        listener.push(samples_of("abc"))
        writing = listener._writing
        rest = max(rest, len(writing.rest))
        projected = writing._search.state.projected
        positions = max(positions, projected.keys.shape[2])
    assert rest < 600 and positions < 250  # of some 1440 frames and 360 positions


def test_where_the_sound_ends_nothing_is_said_twice(model):
    heard = listen(model, samples_of("abc"), 400)
    assert "".join(one.text for one in heard) == "abc"
    assert [one.ends for one in heard] == [False, False, False, True]


def test_utterances_are_numbered_and_end_once(model):
    pause = np.zeros(4 * RATE_HZ, np.int16)
    heard = listen(model, np.concatenate([samples_of("ab"), pause, samples_of("ca"), pause]), 400)
    assert [one.utterance for one in heard] == sorted(one.utterance for one in heard)
    numbers = {one.utterance for one in heard}
    assert numbers == set(range(max(numbers) + 1))
    looks = [one.look_seconds for one in heard if one.look_seconds is not None]
    assert looks == sorted(set(looks))  # no position is read twice
    ends = [one.utterance for one in heard if one.ends]
    assert ends == sorted(set(ends))


def test_too_little_sound(model):
    with pytest.raises(UserError, match="the sound is shorter than a frame"):
        listen(model, np.zeros(50, np.int16), 50)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        slow("model.first_state=summary", "model.first_state = 'summary' needs the whole source"),
        ("model.attention.selection=soft", "only 'monotonic' and 'chunkwise' support str"),
        slow("model.attention.num_heads=2", "num_heads: streaming needs one head"),
        slow("model.attention.scope=coverage", "needs scope 'global' and no relative term"),
        slow("model.attention.score=location", "'location' needs a source of known length"),
        ("data.front_end.normalisation=utterance", "'utterance' is known at the end only"),
        ("model.encoder.bidirectional=true", "the encoder needs the whole recording"),
        ("model.kind=plain", "only 'rnn' supports streaming"),
    ],
)
def test_models_that_cannot_listen_say_why(tmp_path, change, expected):
    changes = [f"model.encoder={ENCODERS['pyramid']}", "training.max_steps=1", change]
    if change == "model.kind=plain":
        path = write_sounds(tmp_path)
        run = read_run(path, ["training.max_steps=1", 'model={ kind = "plain", hidden_size = 8 }'])
    else:
        run = read(tmp_path, *changes)
    train(run)
    with pytest.raises(UserError, match=r"this model cannot listen: ") as error:
        Listener(kochi.load(tmp_path / "model", device="cpu"))
    assert expected in str(error.value)


def test_a_model_of_text_cannot_listen(tiny):
    with pytest.raises(UserError, match="only a model of sound can listen"):
        Listener(kochi.load(tiny, device="cpu"))
