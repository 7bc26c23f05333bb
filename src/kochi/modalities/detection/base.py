"""The interface between `kochi init` and each modality."""

from abc import ABC, abstractmethod
from pathlib import Path

from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.listed import Listed
from kochi.modalities.detection.sample import Sample


class Detection(ABC):
    """Detects sources of one modality in a user's data, and writes a run file for them."""

    def in_layout(self, path: Path, choices: Choices) -> Listed | None:
        """Return the sources listed by a file of a special layout; None if it is not such a file.

        Raises:
            UserError: It is such a file, but is incomplete.
        """
        return None

    def in_table(self, sample: Sample, choices: Choices) -> Listed | None:
        """Return the sources that a table lists; None if it lists none.

        Raises:
            UserError: It lists sources without texts, or their files cannot be found.
        """
        return None

    def in_folder(self, folder: Path) -> Listed | None:
        """Return the sources of a folder with a text beside each; None if there are none."""
        return None

    @abstractmethod
    def write(
        self, found: Listed, run_file: Path, output: str, seed: int, choices: Choices
    ) -> tuple[int, str, tuple[str, ...]]:
        """Write a run file; split off dev and test rows first if they are missing.

        Returns:
            The number of training rows, a summary of the chosen settings, and remarks for the user.

        Raises:
            UserError: No source can be read.
        """
