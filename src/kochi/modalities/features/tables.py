"""Data table of precomputed features."""

from pathlib import Path
from typing import Literal

from kochi.modalities.tables import Frames, HeardData, Hop
from kochi.tables import NotNegative, Table


class GivenFrames(Frames):
    """Precomputed frames: ``first_seconds`` is the time of the middle of the first one."""

    hop_seconds: Hop = 0.010
    first_seconds: NotNegative = 0.0125


class FeatureFiles(Table):
    """A manifest, and the .npz file with the frames of its rows."""

    manifest: Path
    arrays: Path | None = None


class FeaturesData(HeardData):
    """Precomputed feature frames, one array ``[frames, size]`` per row.

    A cell of ``key_column`` is the key of a row in ``arrays``, or, without ``arrays``, the path of
    a .npy file.
    """

    kind: Literal["features"]  # pyright: ignore[reportIncompatibleVariableOverride]
    train: FeatureFiles
    dev: FeatureFiles | None = None
    test: FeatureFiles | None = None
    key_column: str = "id"
    front_end: GivenFrames = GivenFrames()
