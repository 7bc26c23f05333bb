"""Predictions for recordings."""

from dataclasses import dataclass

from kochi.modalities.frames_prediction import FramesPrediction


@dataclass(frozen=True)
class AudioPrediction(FramesPrediction):
    """A prediction for a recording, with the times of its tokens and words."""
