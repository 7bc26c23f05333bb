"""Frames of sound as it comes: the numbers that `SoundReader` gives of the whole recording."""

import numpy as np
import torch
from jaxtyping import Float32, Int16
from torch import Tensor

from kochi.modalities.audio.deltas import append_deltas
from kochi.modalities.audio.mel import next_log_mel
from kochi.modalities.audio.reader import SoundReader

DELTA_REACH = 2  # frames on each side that a derivative looks at


class FrameStream:
    """Turn blocks of samples into frames with deltas, normalised as in training.

    With deltas the last frames wait for those that their derivatives look at: 2 for each order.

    Args:
        reader: A reader of sound.

    Raises:
        ValueError: Its frames are normalised by what is known at the end only.
    """

    def __init__(self, reader: SoundReader) -> None:
        if reader.normalisation == "utterance":
            raise ValueError(
                "data.front_end.normalisation = 'utterance' is known at the end only: train with "
                "'global'"
            )
        self.reader = reader
        self.ahead = DELTA_REACH * reader.deltas
        self._samples: Tensor | None = None
        self._frames = torch.zeros(0, reader.frame_size)  # those that a derivative still looks at
        self._given = 0  # how many of them were given out

    def push(
        self, samples: Int16[np.ndarray, " samples"], last: bool = False
    ) -> Float32[Tensor, "frames size"]:
        """Take samples in; return the frames that are now complete, and all at the last call."""
        block = torch.from_numpy(samples)
        frames, self._samples = next_log_mel(block, self._samples, self.reader.mel)
        self._frames = torch.cat([self._frames, frames])
        end = len(self._frames) - (0 if last else self.ahead)
        if end <= self._given:
            return torch.zeros(0, self.reader.inputs.size)
        found = append_deltas(self._frames, self.reader.deltas)[self._given : end]
        kept = max(0, end - self.ahead)
        self._frames, self._given = self._frames[kept:], end - kept
        moments = self.reader.moments
        return found if moments is None else moments.apply(found)
