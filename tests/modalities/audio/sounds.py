"""Sound that tests make themselves."""

from pathlib import Path

import numpy as np
import soundfile


def sine(seconds: float, rate: int, hz: float = 440.0, peak: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (peak * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def chirp(seconds: float, rate: int, from_hz: float, to_hz: float) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (from_hz * time + (to_hz - from_hz) * time**2 / (2 * seconds))
    return (0.5 * np.sin(phase)).astype(np.float32)


def noise(seconds: float, rate: int, peak: float = 0.3) -> np.ndarray:
    drawn = np.random.default_rng(1).uniform(-peak, peak, round(seconds * rate))
    return drawn.astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path
