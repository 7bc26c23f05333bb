"""Change the sample rate with soxr, all at once or in blocks.

Both give the same samples. The quality "HQ" of soxr has 20 bits, more than the 16 that are kept.
"""

import math

import numpy as np
from jaxtyping import Float32, Int16

FULL_SCALE = 32768


class Resampler:
    """Change the rate of a stream of blocks.

    Args:
        from_hz: Input rate; only the ratio of the two rates matters.
        to_hz: Output rate.
    """

    def __init__(self, from_hz: int | float, to_hz: int | float) -> None:
        self._stream = None
        if from_hz != to_hz:
            import soxr

            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def push(
        self, block: Float32[np.ndarray, " samples"], last: bool = False
    ) -> Float32[np.ndarray, " resampled"]:
        """Add a block; return the available output (perhaps none), at the last block all of it."""
        if self._stream is None:
            return block
        return self._stream.resample_chunk(np.ascontiguousarray(block), last=last)


def resample(
    samples: Float32[np.ndarray, " samples"], from_hz: int | float, to_hz: int | float
) -> Float32[np.ndarray, " resampled"]:
    """Change the rate of a whole signal.

    >>> resample(np.zeros(441, np.float32), 44_100, 16_000).shape
    (160,)
    """
    return Resampler(from_hz, to_hz).push(samples, last=True)


def resampled_length(num_samples: int, from_hz: int | float, to_hz: int | float) -> int:
    """Return the length of the result of `resample`: the exact number, rounded (halves up).

    >>> resampled_length(101, 2, 3)
    152
    """
    return math.floor(num_samples * to_hz / from_hz + 0.5)


def to_int16(samples: Float32[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """Round samples from -1 to 1 to 16 bits; larger values are clipped.

    >>> to_int16(np.array([-1.5, -0.5, 0.0, 1.0], np.float32)).tolist()
    [-32768, -16384, 0, 32767]
    """
    scaled = np.rint(samples * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def to_float(samples: Int16[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Scale 16-bit samples to -1 to 1; `to_int16` restores them."""
    return samples.astype(np.float32) / np.float32(FULL_SCALE)
