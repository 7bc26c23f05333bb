"""Readers saved as JSON files."""

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from kochi.contents import File
from kochi.errors import UserError
from kochi.reading import parse_json, parsing, read_file
from kochi.tables import Table

LARGEST = 1 << 25  # bytes
Saved = TypeVar("Saved", bound=Table)


def write_kind(path: Path, kind: str, values: dict[str, Any]) -> None:
    """Write plain values atomically, with the kind of reader that they configure.

    Raises:
        UserError: The file cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        text = json.dumps({"kind": kind, **values}, indent=1)
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None


def read_kind(path: File, kind: str, table: type[Saved]) -> Saved:
    """Read what `write_kind` wrote.

    Args:
        path: The file.
        kind: Kind of the reader.
        table: Schema of the values.

    Raises:
        UserError: The file is missing, or is of another kind.
    """
    content = read_file(path, "a reader", LARGEST, missing="no such file; copy the folder again")
    saved = parse_json(content, f"{path}: not what kochi saved of {kind}")
    with parsing(f"{path}: not what kochi saved of {kind}", f"a reader of {kind}"):
        return table.model_validate(saved)
