import itertools
import math

import kaldi_native_fbank
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kochi.modalities.audio.mel import (
    MelOptions,
    log_mel,
    mel_filters,
    next_log_mel,
    num_frames,
    povey_window,
)
from tests.modalities.audio.sounds import chirp, noise, sine

SMALL = MelOptions(sample_rate_hz=1000, mel_bins=3)


def whole(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.rint(samples * 32767).astype(np.int16))


def kaldi_options(options: MelOptions) -> kaldi_native_fbank.FbankOptions:
    theirs = kaldi_native_fbank.FbankOptions()
    theirs.frame_opts.samp_freq = options.sample_rate_hz
    theirs.frame_opts.frame_length_ms = 1000 * options.window_seconds
    theirs.frame_opts.frame_shift_ms = 1000 * options.hop_seconds
    theirs.frame_opts.preemph_coeff = options.preemphasis
    theirs.frame_opts.dither = 0.0
    theirs.frame_opts.snip_edges = True
    theirs.mel_opts.num_bins = options.mel_bins
    theirs.mel_opts.low_freq = options.lowest_hz
    theirs.mel_opts.high_freq = options.top_hz
    return theirs


def kaldi(samples: torch.Tensor, options: MelOptions) -> torch.Tensor:
    judge = kaldi_native_fbank.OnlineFbank(kaldi_options(options))
    judge.accept_waveform(options.sample_rate_hz, samples.float().tolist())
    judge.input_finished()
    frames = [judge.get_frame(number) for number in range(judge.num_frames_ready)]
    return torch.from_numpy(np.stack(frames))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize("bins", [40, 80])
def test_noise_is_as_kaldi_hears_it(rate, bins):
    options = MelOptions(sample_rate_hz=rate, mel_bins=bins)
    samples = whole(noise(0.7, rate))
    torch.testing.assert_close(
        log_mel(samples, options), kaldi(samples, options), atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("bins", [40, 80])
def test_tones_are_as_kaldi_hears_them(rate, bins):
    """Where a tone is not, float32 leaves only rounding: energies are held to the loudest."""
    options = MelOptions(sample_rate_hz=rate, mel_bins=bins)
    for tone in (sine(0.7, rate, peak=1.0), chirp(0.7, rate, 50.0, rate / 2)):
        samples = whole(tone)
        ours, theirs = log_mel(samples, options).exp(), kaldi(samples, options).exp()
        loudest = theirs.amax(-1, keepdim=True)
        torch.testing.assert_close(ours / loudest, theirs / loudest, atol=2e-6, rtol=1e-3)


def test_other_bands_hops_and_preemphasis_are_as_in_kaldi():
    options = MelOptions(
        sample_rate_hz=16_000,
        window_seconds=0.032,
        hop_seconds=0.0125,
        mel_bins=23,
        lowest_hz=133.0,
        highest_hz=6800.0,
        preemphasis=0.0,
    )
    samples = whole(noise(0.5, 16_000))
    torch.testing.assert_close(
        log_mel(samples, options), kaldi(samples, options), atol=2e-3, rtol=0
    )


def test_silence_gives_the_floor_of_kaldi():
    samples = torch.full((800,), 100, dtype=torch.int16)  # constant: nothing but an offset
    frames = log_mel(samples, MelOptions())
    torch.testing.assert_close(frames, torch.full((3, 80), math.log(2**-23)))
    torch.testing.assert_close(frames, kaldi(samples, MelOptions()))


def test_the_formula_as_a_loop():
    options = SMALL
    x = [float((7 * n * n) % 31 - 15) for n in range(37)]
    size, fft = options.window_length, options.fft_length
    assert (size, options.hop_length, fft) == (25, 10, 32)
    expected = []
    for start in range(0, len(x) - size + 1, options.hop_length):
        window = x[start : start + size]
        y = [value - sum(window) / size for value in window]
        z = [
            (y[n] - 0.97 * y[max(n - 1, 0)])
            * (0.5 - 0.5 * math.cos(2 * math.pi * n / (size - 1))) ** 0.85
            for n in range(size)
        ]
        power = [
            abs(sum(z[n] * np.exp(-2j * math.pi * k * n / fft) for n in range(size))) ** 2
            for k in range(fft // 2)
        ]
        low, high = (1127 * math.log(1 + hz / 700) for hz in (20, 500))
        row = []
        for band in range(3):
            left, centre, right = (low + (high - low) / 4 * (band + i) for i in range(3))
            energy = 0.0
            for k in range(fft // 2):
                m = 1127 * math.log(1 + k * 1000 / fft / 700)
                if left < m < right:
                    up, down = (m - left) / (centre - left), (right - m) / (right - centre)
                    energy += min(up, down) * power[k]
            row.append(math.log(max(energy, 2**-23)))
        expected.append(row)
    torch.testing.assert_close(
        log_mel(torch.tensor(x), options), torch.tensor(expected), rtol=1e-5, atol=1e-5
    )


@given(st.integers(0, 200))
def test_number_of_frames_is_the_number_computed(length):
    frames = log_mel(torch.zeros(length), SMALL)
    assert frames.shape == (num_frames(length, SMALL), 3)


def test_a_row_of_a_padded_batch_is_the_signal_alone_to_the_last_bit():
    options = MelOptions(sample_rate_hz=8000, mel_bins=40)
    signals = [whole(noise(seconds, 8000)) for seconds in (0.3, 0.025, 0.111)]
    batch = torch.nn.utils.rnn.pad_sequence(signals, batch_first=True)
    frames = log_mel(batch, options)
    for row, signal in enumerate(signals):
        real = num_frames(len(signal), options)
        assert torch.equal(frames[row, :real], log_mel(signal, options))


@pytest.mark.parametrize("rate", [8000, 16000])
@given(blocks=st.lists(st.integers(0, 1300), max_size=12))
def test_blocks_of_any_length_give_the_frames_of_the_whole_to_the_last_bit(rate, blocks):
    options = MelOptions(sample_rate_hz=rate, mel_bins=40)
    samples = whole(noise(0.3, rate))
    ends = [min(end, len(samples)) for end in np.cumsum([0, *blocks]).tolist()] + [len(samples)]
    rest, found = None, []
    for start, end in itertools.pairwise(ends):
        frames, rest = next_log_mel(samples[start:end], rest, options)
        found.append(frames)
        assert len(rest) < options.window_length
    assert torch.equal(torch.cat(found), log_mel(samples, options))


def test_windows_and_filters_by_hand():
    window = povey_window(MelOptions(sample_rate_hz=200, mel_bins=1))  # 5 samples
    torch.testing.assert_close(window, torch.tensor([0, 0.5**0.85, 1, 0.5**0.85, 0]))
    filters = mel_filters(MelOptions())
    assert filters.shape == (256, 80)
    inner = filters[5:240].sum(1)  # between two centres, falling and rising add up to 1
    torch.testing.assert_close(inner, torch.ones_like(inner))


def test_a_part_of_a_sample_is_left_out():
    options = MelOptions(sample_rate_hz=22050)
    assert (options.window_length, options.hop_length, options.fft_length) == (551, 220, 1024)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate_hz": 0}, "must be at least 1, got 0 and 80"),
        ({"mel_bins": 0}, "must be at least 1, got 16000 and 0"),
        ({"hop_seconds": 0.0}, "hop_seconds=0 at least 1 at 16000 Hz"),
        ({"window_seconds": 0.00001}, "must hold at least 2 samples"),
        ({"preemphasis": 1.5}, "preemphasis must be from 0 to 1, got 1.5"),
        ({"highest_hz": 9000.0}, "<= 8000 .half the sample rate.*highest_hz=9000"),
        ({"lowest_hz": 500.0, "highest_hz": 400.0}, "lowest_hz=500 and highest_hz=400"),
        ({"mel_bins": 300}, "mel_bins=300 is too many: band 3 holds no frequency"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MelOptions(**options)
