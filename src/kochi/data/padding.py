"""Padding of rows with different lengths."""

import numpy as np
from jaxtyping import Bool, Float32, Int64, Integer

from kochi.special_tokens import EOS, PAD


def pad_tokens(
    tokens: Int64[np.ndarray, " tokens"], lengths: Integer[np.ndarray, " batch"]
) -> tuple[Int64[np.ndarray, "batch ended"], Bool[np.ndarray, "batch ended"]]:
    """Pad rows of tokens, each followed by ``EOS``.

    Args:
        tokens: The concatenated rows.
        lengths: The number of tokens of each row.

    Returns:
        The rows, padded by ``PAD``, and a mask that is True at tokens and ``EOS``.
    """
    positions = np.arange(int(lengths.max(initial=0)) + 1)
    padded = np.full((len(lengths), len(positions)), PAD, np.int64)
    padded[positions < lengths[:, None]] = tokens
    padded[np.arange(len(lengths)), lengths] = EOS
    return padded, positions <= lengths[:, None]


def pad_frames(
    frames: Float32[np.ndarray, "frames size"], lengths: Integer[np.ndarray, " batch"]
) -> tuple[Float32[np.ndarray, "batch longest size"], Bool[np.ndarray, "batch longest"]]:
    """Pad rows of frames with zeros.

    Args:
        frames: The concatenated rows.
        lengths: The number of frames of each row.

    Returns:
        The rows and a mask that is True at frames.
    """
    mask = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
    padded = np.zeros((*mask.shape, frames.shape[1]), np.float32)
    padded[mask] = frames
    return padded, mask
