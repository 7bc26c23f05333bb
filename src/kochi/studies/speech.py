"""A synthetic spoken language: words of two vowels each, by voices of different pitch.

A vowel is a harmonic tone with two resonances (formants), a word glides from one vowel to another,
and words are separated by short pauses. Voices differ in pitch and in the length of their vocal
tract, words in duration and loudness. There are few words, and all follow each other equally often,
so that only the position distinguishes one occurrence of a word from the next.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16

RATE_HZ = 8000
# First and second formant of five vowels, rounded from men's speech.
VOWELS_HZ = {
    "a": (730.0, 1090.0),
    "e": (530.0, 1840.0),
    "i": (270.0, 2290.0),
    "o": (570.0, 840.0),
    "u": (300.0, 870.0),
}
WORDS = ("ai", "ia", "ou", "uo", "ei", "ae", "iu", "oa")
BANDWIDTH_HZ = 130.0
PITCH_HZ = (90.0, 220.0)  # of voices
TRACT = (0.9, 1.15)  # factor of a voice's formants
WORD_SECONDS = (0.16, 0.30)
PAUSE_SECONDS = (0.03, 0.08)
LOUDNESS = (0.15, 0.5)  # of full scale
NOISE = 0.004  # of full scale
COUNT = (2, 6)  # words per utterance


@dataclass(frozen=True)
class Voice:
    """A speaker.

    Attributes:
        pitch_hz: Fundamental frequency.
        tract: Factor of the formants: above 1 for a shorter vocal tract.
    """

    pitch_hz: float
    tract: float

    @staticmethod
    def draw(draws: np.random.Generator) -> "Voice":
        """Draw a random voice."""
        return Voice(draws.uniform(*PITCH_HZ), draws.uniform(*TRACT))


def say(
    words: tuple[str, ...], voice: Voice, draws: np.random.Generator
) -> Int16[np.ndarray, " samples"]:
    """Synthesise words, at `RATE_HZ`.

    Args:
        words: Words from `WORDS`; each letter is a vowel.
        voice: The speaker.
        draws: Random generator for durations, loudness, phases and noise.
    """
    parts = [_pause(draws)]
    for word in words:
        parts += [_word(word, voice, draws), _pause(draws)]
    sound = np.concatenate(parts)
    sound = sound + draws.normal(0.0, NOISE, len(sound))
    return np.round(32767 * sound.clip(-1.0, 1.0)).astype(np.int16)


def _pause(draws: np.random.Generator) -> Float[np.ndarray, " samples"]:
    return np.zeros(round(draws.uniform(*PAUSE_SECONDS) * RATE_HZ))


def _word(word: str, voice: Voice, draws: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Glide from vowel to vowel: a sum of harmonics with amplitudes given by the resonances."""
    count = round(draws.uniform(*WORD_SECONDS) * RATE_HZ)
    course = np.linspace(0.0, len(word) - 1.0, count)
    vowels = np.array([VOWELS_HZ[letter] for letter in word]) * voice.tract
    formants = np.stack([np.interp(course, range(len(word)), one) for one in vowels.T])
    harmonics = np.arange(1, int(RATE_HZ / 2 / voice.pitch_hz)) * voice.pitch_hz
    away = (harmonics[:, None, None] - formants) / BANDWIDTH_HZ  # [harmonic, formant, sample]
    levels = (1.0 / (1.0 + away**2)).sum(1)
    time = np.arange(count) / RATE_HZ
    phases = draws.uniform(0.0, 2.0 * np.pi, (len(harmonics), 1))
    tone = (levels * np.sin(2.0 * np.pi * harmonics[:, None] * time + phases)).sum(0)
    rise = np.minimum(1.0, np.minimum(time, time[::-1]) / 0.02)
    return draws.uniform(*LOUDNESS) * rise * tone / np.abs(tone).max()


def write_speech(folder: Path, sizes: dict[str, int], seed: int = 1) -> None:
    """Write utterances as wav files with a manifest per split: NAME.tsv, the audio in NAME/.

    Each utterance has a voice of its own.

    Args:
        folder: The output folder, created if it is missing.
        sizes: Number of utterances of each split.
        seed: Seed of the random generator.
    """
    import soundfile

    draws = np.random.default_rng(seed)
    for split, size in sizes.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        rows = ["audio\ttext"]
        for number in range(size):
            count = int(draws.integers(COUNT[0], COUNT[1] + 1))
            words = tuple(WORDS[place] for place in draws.integers(len(WORDS), size=count))
            name = f"{split}/{number}.wav"
            soundfile.write(folder / name, say(words, Voice.draw(draws), draws), RATE_HZ)
            rows.append(f"{name}\t{' '.join(words)}")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
