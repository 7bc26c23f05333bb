"""Checkpoints: written whole or not at all, and read without running code."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from kochi.errors import UserError
from kochi.folder import write_atomic
from kochi.quiet import Quiet

_torch_about_strange_files = Quiet(module="torch")


class AtomicCheckpointIO(CheckpointIO):
    """Let Lightning write checkpoints atomically and read them as data only."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint; until the new one is whole on the disk, the old one stays."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomic(Path(path), buffer.getvalue())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; only tensors and plain data are accepted, whatever the caller says."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint on the CPU.

    Raises:
        UserError: The file is damaged, or holds something else than data.
    """
    try:
        with _torch_about_strange_files():  # the error is about them, too
            return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError):
        size = os.path.getsize(path)
        raise UserError(
            f"{path}: not a whole checkpoint of kochi ({size} bytes); start again with --overwrite"
        ) from None
