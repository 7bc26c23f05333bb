"""A manifest that the run file does not name: where its files are, and what its rows have."""

from pathlib import Path
from typing import Any, TypeVar

from kochi import config
from kochi.contents import File
from kochi.data.manifest import Row, read_rows
from kochi.data.pictures import row_picture
from kochi.data.recordings import row_recording
from kochi.data.tables import form_of
from kochi.errors import UserError

Data = TypeVar("Data", bound=config.ManifestData)


def for_manifest(data: Data, manifest: Path) -> Data:
    """Return the data table with which a manifest is to be read.

    Its files are looked for beside it, where those of training are beside theirs (in
    ``image_folder`` or ``audio_folder``), else in its own folder, and only then among those of
    training. The first row says which it is; where none has its files, they are missed beside the
    manifest. Boxes are not asked for where the first row has none.

    Args:
        data: The table of the run file.
        manifest: A file, or a folder, of which nothing is to be found out.

    Raises:
        UserError: The manifest cannot be read or holds no rows.
    """
    if not manifest.is_file():
        return data
    row = next(read_rows(manifest, form_of(data)))
    plain: dict[str, Any] = {"folder": manifest.parent}
    if isinstance(data, config.PictureData):
        if data.boxes_column not in row.cells:
            data = data.model_copy(update={"boxes_column": None})
        plain["image_folder"] = None
    elif isinstance(data, config.SoundData):
        plain["audio_folder"] = None
    beside = data.model_copy(update={"folder": manifest.parent})
    places = (beside, data.model_copy(update=plain), data)
    return next((place for place in places if _has_files(place, row)), beside)


def _has_files(data: config.ManifestData, row: Row) -> bool:
    try:
        return all(path.is_file() for path in _files(data, row))
    except UserError:
        return False  # whoever reads the row says what is wrong


def _files(data: config.ManifestData, row: Row) -> list[File]:
    if isinstance(data, config.PictureData):
        return [row_picture(row, data).path]
    if isinstance(data, config.SoundData):
        return list(row_recording(row, data).paths)
    assert isinstance(data, config.FeaturesData)
    return [data.folder / row.text(data.key_column)]
