"""Predictions for features."""

from dataclasses import dataclass

from kochi.modalities.frames_prediction import FramesPrediction


@dataclass(frozen=True)
class FeaturesPrediction(FramesPrediction):
    """A prediction for features, with the times of its tokens and words."""
