"""Data table of features that somebody computed."""

from pathlib import Path
from typing import Literal

from kochi.modalities.tables import Frames, HeardData, Hop
from kochi.tables import NotNegative, Table


class GivenFrames(Frames):
    """Frames as they are found: ``first_seconds`` is the middle of the first one."""

    hop_seconds: Hop = 0.010
    first_seconds: NotNegative = 0.0125


class FeatureFiles(Table):
    """A manifest, and the .npz file that holds the frames of its rows."""

    manifest: Path
    arrays: Path | None = None


class FeaturesData(HeardData):
    """Frames of features that somebody computed: one array ``[frames, size]`` a row.

    A cell of ``key_column`` is a row's key in ``arrays``; without ``arrays`` it is the path of a
    .npy file.
    """

    kind: Literal["features"]  # pyright: ignore[reportIncompatibleVariableOverride]
    train: FeatureFiles
    dev: FeatureFiles | None = None
    test: FeatureFiles | None = None
    key_column: str = "id"
    front_end: GivenFrames = GivenFrames()
