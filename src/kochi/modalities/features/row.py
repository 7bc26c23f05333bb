"""The location of the frames of a row of features."""

from dataclasses import dataclass

from kochi.contents import File


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """The location of the frames of a row.

    Attributes:
        path: A .npy or .npz file, on disk or in memory.
        key: The name of the array in the .npz file; None for .npy.
        where: File and line of the manifest that names it, for messages.
    """

    path: File
    key: str | None = None
    where: str = ""

    def __str__(self) -> str:
        return self.path.name if self.key is None else self.key

    @property
    def name(self) -> str:
        """The name of the row in messages."""
        what = str(self.path) if self.key is None else f"{self.path}: '{self.key}'"
        return f"{self.where}: {what}" if self.where else what
