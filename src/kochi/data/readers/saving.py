"""Readers as JSON files."""

import json
import os
from pathlib import Path
from typing import Any

from kochi.errors import UserError


def write_kind(path: Path, kind: str, values: dict[str, Any]) -> None:
    """Write plain values, all or nothing, with the kind of reader that they make.

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


def read_kind(path: Path, kind: str) -> dict[str, Any]:
    """Read what `write_kind` wrote, without the kind.

    Raises:
        UserError: The file is missing, or is not of that kind.
    """
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        found = saved.pop("kind")
        if found != kind:
            raise ValueError(f"it is of kind {found}, expected {kind}")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; copy the folder again") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not what kochi saved of {kind} ({error}); copy the file again"
        ) from None
    return saved
