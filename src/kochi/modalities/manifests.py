"""Manifests: their rows, and where the files of one are that the run file does not name."""

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
    """Return what is the same for a file, however its path is written."""
    return os.path.normpath(file) if isinstance(file, Path) else file


def for_manifest(data: Any, manifest: Path) -> Any:
    """Return the data table with which a manifest is to be read.

    Its files are looked for beside it, where those of training are beside theirs (in
    ``image_folder`` or ``audio_folder``), else in its own folder, and only then among those of
    training. The first row says which it is; where none has its files, they are missed beside the
    manifest. Optional columns are not asked for where the first row has none.

    Args:
        data: The table of the run file.
        manifest: A file, or a folder, of which nothing is to be found out.

    Raises:
        UserError: The manifest cannot be read or holds no rows.
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
    """Return the data table whose test data are all rows of a manifest."""
    found = for_manifest(data, manifest)
    return found.model_copy(update={"test": manifest, "split_column": None})


def _has_files(data: ManifestData, row: Row) -> bool:
    try:
        return all(path.is_file() for path in modality_of(data).row_files(row))
    except UserError:
        return False  # whoever reads the row says what is wrong
