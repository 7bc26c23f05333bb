"""What `kochi init` asks of each modality."""

from abc import ABC, abstractmethod
from pathlib import Path

from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.listed import Listed
from kochi.modalities.detection.sample import Sample


class Detection(ABC):
    """Finds sources of one modality in what a user names, and writes a run file for them."""

    def in_layout(self, path: Path, choices: Choices) -> Listed | None:
        """Return what a file of a layout of its own lists; None where it is no such file.

        Raises:
            UserError: It is one, but something is missing.
        """
        return None

    def in_table(self, sample: Sample, choices: Choices) -> Listed | None:
        """Return the sources that a table lists; None where it lists none.

        Raises:
            UserError: It lists some, but no text to them, or they are nowhere to be found.
        """
        return None

    def in_folder(self, folder: Path) -> Listed | None:
        """Return the sources of a folder with a text beside each; None where there are none."""
        return None

    @abstractmethod
    def write(
        self, found: Listed, run_file: Path, output: str, seed: int, choices: Choices
    ) -> tuple[int, str, tuple[str, ...]]:
        """Write a run file; split off dev and test rows first where they are not there.

        Returns:
            The number of training rows, what was chosen, and remarks for the user.

        Raises:
            UserError: No source can be read.
        """
