"""What a model predicts for frames of features."""

from dataclasses import dataclass

from kochi.modalities.frames_prediction import FramesPrediction


@dataclass(frozen=True)
class FeaturesPrediction(FramesPrediction):
    """What a model predicts for features, with the times of its tokens and words."""
