"""Made-up speech: what it sounds like, and how utterances are joined."""

import numpy as np
import pytest
import soundfile

from kochi.data.manifest import read_rows
from kochi.studies.joined import FACTORS, join
from kochi.studies.speech import (
    COUNT,
    PAUSE_SECONDS,
    RATE_HZ,
    VOWELS_HZ,
    WORD_SECONDS,
    WORDS,
    Voice,
    say,
    write_speech,
)


def spectrum(samples):
    """Smooth over the harmonics; give frequencies and levels."""
    levels = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    width = int(200 / hz[1])
    return hz, np.convolve(levels, np.ones(width) / width, "same")


@pytest.mark.parametrize("vowel", VOWELS_HZ)
def test_a_vowel_is_loud_at_its_formants(vowel):
    """A word of twice the same vowel: louder around both formants than far from them."""
    samples = say((2 * vowel,), Voice(100.0, 1.0), np.random.default_rng(1))
    hz, levels = spectrum(samples.astype(np.float64))
    near = np.min([np.abs(hz - formant) for formant in VOWELS_HZ[vowel]], axis=0)
    for formant in VOWELS_HZ[vowel]:
        assert (
            levels[np.abs(hz - formant) < 60].mean() > 3 * levels[(near > 700) & (hz < 3500)].mean()
        )


def test_words_are_parted_by_pauses_and_last_as_long_as_they_should():
    words = ("ai", "uo", "ai")
    for seed in range(20):
        samples = say(words, Voice(150.0, 1.0), np.random.default_rng(seed))
        assert samples.dtype == np.int16 and np.abs(samples).max() < 32767
        low = 3 * WORD_SECONDS[0] + 4 * PAUSE_SECONDS[0]
        high = 3 * WORD_SECONDS[1] + 4 * PAUSE_SECONDS[1]
        assert low - 0.001 < len(samples) / RATE_HZ < high + 0.001
        pause = samples[: round(PAUSE_SECONDS[0] * RATE_HZ)].astype(float)
        assert pause.std() < 0.1 * samples.astype(float).std()


def test_the_same_seed_writes_the_same(tmp_path):
    sizes = {"train": 5, "test": 3}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_speech(tmp_path / name, sizes, seed)
    for split, size in sizes.items():
        rows = list(read_rows(tmp_path / "a" / f"{split}.tsv"))
        assert len(rows) == size
        for row in rows:
            words = row.text("text").split()
            assert set(words) <= set(WORDS) and COUNT[0] <= len(words) <= COUNT[1]
            one, same, other = (tmp_path / name / row.text("audio") for name in "abc")
            assert one.read_bytes() == same.read_bytes() != other.read_bytes()
            assert soundfile.info(one).samplerate == RATE_HZ


@pytest.mark.parametrize("factor", FACTORS)
def test_each_utterance_is_joined_at_most_once(factor):
    groups = join(23, factor)
    assert [len(group) for group in groups] == [factor] * (23 // factor)
    places = [place for group in groups for place in group]
    assert len(places) == len(set(places)) and set(places) <= set(range(23))
    assert groups == join(23, factor)
