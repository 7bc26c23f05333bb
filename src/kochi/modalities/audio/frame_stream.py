"""Frames of streamed audio, equal to those of `SoundReader` for the whole recording."""

import numpy as np
import torch
from jaxtyping import Float32, Int16
from torch import Tensor

from kochi.modalities.audio.deltas import append_deltas
from kochi.modalities.audio.mel import next_log_mel
from kochi.modalities.audio.reader import SoundReader

DELTA_REACH = 2  # frames on each side that a derivative uses


class FrameStream:
    """Turn blocks of samples into frames with deltas, normalised as in training.

    With deltas, the last frames are delayed until the frames that their derivatives use have
    arrived: 2 for each order.

    Args:
        reader: A reader of audio.

    Raises:
        ValueError: Normalisation needs the whole utterance.
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
        self._frames = torch.zeros(0, reader.frame_size)  # those that a derivative still needs
        self._given = 0  # how many of them were returned

    def push(
        self, samples: Int16[np.ndarray, " samples"], last: bool = False
    ) -> Float32[Tensor, "frames size"]:
        """Add samples; return the frames that are now complete, at the last call all of them."""
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
