"""What a model predicts for a recording."""

from dataclasses import dataclass

from kochi.modalities.frames_prediction import FramesPrediction


@dataclass(frozen=True)
class AudioPrediction(FramesPrediction):
    """What a model predicts for a recording, with the times of its tokens and words."""
