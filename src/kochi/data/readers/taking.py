"""Python objects that readers accept as sources: paths, bytes, open files, arrays, images."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from torch import Tensor

from kochi.contents import Contents, File

if TYPE_CHECKING:
    from PIL import Image

NUMBERS = "fiub"  # kinds of numpy types


def file_of(source: Any) -> File | None:
    """Return the file of a path, bytes or a binary stream; None for other objects.

    A stream is read to its end.
    """
    if isinstance(source, Path | Contents):
        return source
    if isinstance(source, str | os.PathLike):
        return Path(os.fsdecode(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return Contents(bytes(source))
    if hasattr(source, "read"):
        content = source.read()
        if isinstance(content, bytes):
            name = getattr(source, "name", None)
            return Contents(content, name if isinstance(name, str) else type(source).__name__)
    return None


def array_of(source: Any) -> np.ndarray | None:
    """Return an array or tensor of numbers as an array on the CPU; None for other objects."""
    if isinstance(source, Tensor):
        values = source.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    if isinstance(source, np.ndarray) and source.dtype.kind in NUMBERS:
        return source
    return None


def is_file(source: Any) -> bool:
    """Return whether `file_of` accepts a source (a stream is not read)."""
    known = str | os.PathLike | Contents | bytes | bytearray | memoryview
    return isinstance(source, known) or hasattr(source, "read")


def is_array(source: Any) -> bool:
    """Return whether `array_of` accepts a source."""
    if isinstance(source, np.ndarray):
        return source.dtype.kind in NUMBERS
    return isinstance(source, Tensor)


def is_image(source: Any) -> "TypeGuard[Image.Image]":
    """Return whether a source is a Pillow image."""
    pillow = sys.modules.get("PIL.Image")  # if there is an image, Pillow has been imported
    kind = getattr(pillow, "Image", None)  # also None while another thread imports it
    return kind is not None and isinstance(source, kind)


def found(source: Any) -> str:
    """Describe an object that is not a source, for messages."""
    if isinstance(source, np.ndarray | Tensor):
        return f"{type(source).__name__} of shape {tuple(source.shape)} and type {source.dtype}"
    return type(source).__name__


def is_several(sources: Any) -> bool:
    """Return whether an object is a collection or stream of sources."""
    return hasattr(sources, "__iter__") and not isinstance(sources, Mapping)
