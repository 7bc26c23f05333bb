"""Audio augmentation in training: speed perturbation and SpecAugment.

All random numbers come from the given generator, so that a batch is a function of its position in
training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, Int16
from torch import Tensor

from kochi.modalities.audio.resampling import resample, to_float, to_int16

SLOWEST, FASTEST = 0.1, 10.0


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Options of SpecAugment, with the letters of the paper.

    The defaults are the policy "Switchboard strong" of the paper's table 1, without time warping,
    which the paper finds to matter least.

    Attributes:
        time_masks: Number of masks over frames per utterance; m_T.
        time_width: Maximum width of these masks, in frames; T.
        time_share: Maximum fraction of an utterance's frames in one mask; p.
        bin_masks: Number of masks over mel bins per utterance; m_F.
        bin_width: Maximum width of these masks, in bins; F.

    Raises:
        ValueError: A number is negative, or ``time_share`` is above 1.
    """

    time_masks: int = 2
    time_width: int = 70
    time_share: float = 0.2
    bin_masks: int = 2
    bin_width: int = 27

    def __post_init__(self) -> None:
        if min(self.time_masks, self.time_width, self.bin_masks, self.bin_width) < 0:
            raise ValueError(f"counts and widths of masks must be at least 0, got {self}")
        if not 0 <= self.time_share <= 1:
            raise ValueError(f"time_share must be from 0 to 1, got {self.time_share}")


def mask_spectrograms(
    frames: Float[Tensor, "batch frames size"],
    lengths: Int[Tensor, " batch"],
    masks: Masks,
    draws: np.random.Generator,
    streams: int = 1,
) -> Float[Tensor, "batch frames size"]:
    """Mask random frames and bins of each utterance (SpecAugment).

    The width of a mask is drawn uniformly from 0 to its maximum, then its start among those where
    it fits. Park et al. 2019, "SpecAugment", section 2, https://arxiv.org/abs/1904.08779. In the
    paper masks stop one before the end; here the last frame and bin can also be masked.

    Args:
        frames: Normalised frames: masked values become 0, their mean.
        lengths: The number of frames of each row; padding is neither masked nor counted.
        masks: The options.
        draws: Random generator, from which four streams per row are drawn, by lengths and options
            alone, so that padding has no effect.
        streams: Number of copies of the bins in a frame (1 + order of the deltas): a bin is masked
            together with its deltas.

    Raises:
        ValueError: ``streams`` does not divide the size of a frame.
    """
    size = frames.shape[-1]
    if streams < 1 or size % streams:
        raise ValueError(f"frames of {size} numbers cannot be {streams} times the same bins")
    bins = size // streams
    masked = frames.clone()
    by_bin = masked.unflatten(-1, (streams, bins))
    for row, length in enumerate(lengths.tolist()):
        widest = min(masks.time_width, int(masks.time_share * length))
        for first, end in draw_spans(length, widest, masks.time_masks, draws):
            masked[row, first:end] = 0
        for first, end in draw_spans(bins, masks.bin_width, masks.bin_masks, draws):
            by_bin[row, :length, :, first:end] = 0
    return masked


def draw_spans(
    length: int, widest: int, count: int, draws: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw spans [first, end) within a length: width from 0 to the maximum, then the start."""
    spans = []
    for _ in range(count):
        width = int(draws.integers(0, min(widest, length), endpoint=True))
        first = int(draws.integers(0, length - width, endpoint=True))
        spans.append((first, first + width))
    return spans


def change_speed(
    samples: Int16[np.ndarray, " samples"], factor: float
) -> Int16[np.ndarray, " changed"]:
    """Play samples faster or slower: x(factor * t). Tempo and pitch change together.

    Ko et al. 2015, "Audio augmentation for speech recognition", Interspeech, who take 0.9, 1.0 and
    1.1, https://www.danielpovey.com/files/2015_interspeech_augmentation.pdf.

    Args:
        samples: 16-bit samples.
        factor: Above 1 is faster; the length becomes ``len(samples) / factor``, rounded.

    Raises:
        ValueError: A factor outside 0.1 to 10.

    >>> [len(change_speed(np.zeros(1000, np.int16), factor)) for factor in (0.8, 1.0, 1.25)]
    [1250, 1000, 800]
    """
    check_speeds([factor])
    if factor == 1:
        return samples
    return to_int16(resample(to_float(samples), factor, 1.0))


def perturb_speed(
    samples: Int16[np.ndarray, " samples"], speeds: Sequence[float], draws: np.random.Generator
) -> Int16[np.ndarray, " changed"]:
    """Play samples at a speed drawn uniformly from ``speeds``.

    Raises:
        ValueError: No speeds, or one outside 0.1 to 10.
    """
    check_speeds(speeds)
    return change_speed(samples, speeds[int(draws.integers(len(speeds)))])


def change_tempo(
    frames: Float32[np.ndarray, "frames size"], factor: float
) -> Float32[np.ndarray, "changed size"]:
    """Stretch or compress frames in time by linear interpolation: x(factor * t).

    For features without audio: the tempo changes, the pitch does not.

    Args:
        frames: At least one frame.
        factor: Above 1 is faster; the length becomes ``len(frames) / factor``, rounded, at least 1.

    Raises:
        ValueError: A factor outside 0.1 to 10.

    >>> change_tempo(np.array([[0.0], [1.0], [2.0]], np.float32), 0.5)[:, 0].tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    """
    check_speeds([factor])
    count = max(1, round(len(frames) / factor))
    positions = np.minimum(np.arange(count) * factor, len(frames) - 1)
    before = np.floor(positions).astype(np.int64)
    after = np.minimum(before + 1, len(frames) - 1)
    share = (positions - before).astype(np.float32)[:, None]
    return frames[before] * (1 - share) + frames[after] * share


def perturb_tempo(
    frames: Float32[np.ndarray, "frames size"], speeds: Sequence[float], draws: np.random.Generator
) -> Float32[np.ndarray, "changed size"]:
    """Change the tempo of frames by a factor drawn uniformly from ``speeds``.

    Raises:
        ValueError: No speeds, or one outside 0.1 to 10.
    """
    check_speeds(speeds)
    return change_tempo(frames, speeds[int(draws.integers(len(speeds)))])


def check_speeds(speeds: Sequence[float]) -> None:
    """Check that speeds are plausible.

    Raises:
        ValueError: No speeds, or one outside 0.1 to 10.
    """
    if not speeds or not all(SLOWEST <= speed <= FASTEST for speed in speeds):
        raise ValueError(
            f"expected speeds from {SLOWEST:g} to {FASTEST:g}, at least one; got {list(speeds)}"
        )
