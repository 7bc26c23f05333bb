"""What is to be answered, as the command line names it."""

import io
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kochi.commands.lines import chunks

if TYPE_CHECKING:
    from kochi.data.readers.base import Reader


def read_sources(
    reader: "Reader[Any]", files: list[Path], stream: io.BufferedReader | io.BytesIO, most: int
) -> Iterator[list[Any]]:
    """Give sources in lists of at most ``most``.

    For a reader of text they are the lines of the file; for others the files themselves (an .npz
    file stands for all its arrays). "-" stands for the lines of ``stream``: text or names of files.

    Raises:
        UserError: There is nothing to read, or a line is empty or is not text.
    """
    if reader.unit == "tokens" or str(files[0]) == "-":
        for lines in chunks(files[0], stream, most):
            yield lines if reader.unit == "tokens" else list(chain(*map(_expand, map(Path, lines))))
        return
    waiting = chain.from_iterable(map(_expand, files))
    while chunk := list(islice(waiting, most)):
        yield chunk


def _expand(file: Path) -> Iterator[Any]:
    if file.suffix != ".npz":
        yield file
        return
    from kochi.data.readers.features import keys_of
    from kochi.data.readers.rows import FeatureRow

    for key in keys_of(file):
        yield FeatureRow(file, key)
