"""Manifests: their rows, and the location of the files that the run file does not name."""

import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from kochi.contents import File
from kochi.data.left_out import Bad
from kochi.data.manifest import Row, read_rows
from kochi.data.pair import Split
from kochi.data.tables import form_of
from kochi.errors import UserError
from kochi.modalities import modality_of
from kochi.modalities.tables import ManifestData


def manifest_rows(data: ManifestData, manifest: Path, split: Split, bad: Bad) -> Iterator[Row]:
    """Stream the rows of a split; see `kochi.data.manifest.read_rows`."""
    return read_rows(manifest, form_of(data), data.split_column, split, bad)


def normal(file: File) -> Hashable:
    """Return a key that is equal for all paths of the same file."""
    return os.path.normpath(file) if isinstance(file, Path) else file


def for_manifest(data: Any, manifest: Path) -> Any:
    """Return the data table for reading another manifest.

    Its files are searched for relative to it as those of training are relative to their manifest
    (in ``image_folder`` or ``audio_folder``), then in its own folder, and last among those of
    training. The first row decides; if no folder has its files, errors refer to the folder of the
    manifest. Optional columns are dropped if the first row lacks them.

    Args:
        data: The table of the run file.
        manifest: A file, or a folder, for which the table is returned unchanged.

    Raises:
        UserError: The manifest cannot be read or has no rows.
    """
    if not manifest.is_file():
        return data
    row = next(read_rows(manifest, form_of(data)))
    data = modality_of(data).without_missing(row)
    plain: dict[str, Any] = {"folder": manifest.parent}
    if data.sources_folder is not None:
        plain[data.sources_folder] = None
    beside = data.model_copy(update={"folder": manifest.parent})
    places = (beside, data.model_copy(update=plain), data)
    return next((place for place in places if _has_files(place, row)), beside)


def with_test_manifest(data: Any, manifest: Path) -> Any:
    """Return the data table with all rows of a manifest as its test data."""
    found = for_manifest(data, manifest)
    return found.model_copy(update={"test": manifest, "split_column": None})


def _has_files(data: ManifestData, row: Row) -> bool:
    try:
        return all(path.is_file() for path in modality_of(data).row_files(row))
    except UserError:
        return False  # the reader of the row reports the error
