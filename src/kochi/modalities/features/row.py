"""Where the frames of a row of features are."""

from dataclasses import dataclass

from kochi.contents import File


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """Where the frames of one row are.

    Attributes:
        path: A .npy file, or an .npz file, on disk or held in memory.
        key: The array's name in the .npz file; None for .npy.
        where: File and line of the manifest that names it, for messages.
    """

    path: File
    key: str | None = None
    where: str = ""

    def __str__(self) -> str:
        return self.path.name if self.key is None else self.key

    @property
    def name(self) -> str:
        """What messages call the row."""
        what = str(self.path) if self.key is None else f"{self.path}: '{self.key}'"
        return f"{self.where}: {what}" if self.where else what
