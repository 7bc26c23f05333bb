"""The files of a run."""

from dataclasses import dataclass
from pathlib import Path

TRAINING = "training"
DISCARDED = "training.discarded"
PREVIOUS = "previous.ckpt"


@dataclass(frozen=True)
class Layout:
    """The paths of a run inside its output folder, which becomes the model folder."""

    output: Path

    @property
    def training(self) -> Path:
        """Folder of everything that only training needs."""
        return self.output / TRAINING

    @property
    def discarded(self) -> Path:
        """A previous training folder that is being deleted."""
        return self.output / DISCARDED

    @property
    def run(self) -> Path:
        """The resolved run file; it exists once a run was started."""
        return self.training / "run.toml"

    @property
    def finished(self) -> Path:
        """Written when the model folder is complete."""
        return self.training / "finished.json"

    @property
    def data(self) -> Path:
        """Tokenizers and corpus, prepared once."""
        return self.training / "data"

    @property
    def data_manifest(self) -> Path:
        """Sizes and SHA-256 of all files of the data."""
        return self.data / "manifest.json"

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint: weights, optimizer, position."""
        return self.training / "last.ckpt"

    @property
    def previous(self) -> Path:
        """The checkpoint before the last one."""
        return self.training / PREVIOUS

    @property
    def damaged(self) -> Path:
        """A damaged checkpoint, set aside."""
        return self.training / "damaged.ckpt"

    @property
    def weights(self) -> Path:
        """Weights of evaluated steps."""
        return self.training / "weights"

    def weights_at(self, step: int) -> Path:
        """The weights that were evaluated at a step."""
        return self.weights / f"step-{step:08}.safetensors"

    def copy_at(self, step: int) -> Path:
        """A second copy of the same weights."""
        return self.weights / f"step-{step:08}.copy.safetensors"
