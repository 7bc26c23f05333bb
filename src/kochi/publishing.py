"""Paths in the run file of a model folder, which reveal nothing about the machine.

A model folder may be moved, copied and published. A path in its run file is therefore relative to
the folder of the file if the target is near (in the parent of the model folder or one level above,
such as the data of the same project); otherwise only the name is kept.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kochi import config
from kochi.modalities.tables import BaseData
from kochi.modalities.text.tables import HuggingFaceData
from kochi.tables import Table

NEAR = 2  # how many folders above the model folder a published path may begin


def publish(run: config.Run, folder: Path, below: str = ".") -> config.Run:
    """Return a run as it is written to a model folder, without its loggers.

    Args:
        run: The run; its paths are absolute, or relative to ``data.folder``.
        folder: The model folder.
        below: The subfolder that contains the run file.
    """
    data_folder = _near(run.data.folder, folder)
    start = folder / below

    def of_data(path: Path) -> Path:
        if not _is_elsewhere(path):
            return path
        place = run.data.folder / path
        if data_folder is None or _near(place, folder) is None:
            return Path(path.name)
        return _relative(place, run.data.folder)

    data = _walk(run.data.model_copy(update={"folder": Path()}), of_data)
    if isinstance(data, HuggingFaceData):
        files = {
            split: str(of_data(Path(file))) if _is_elsewhere(Path(file)) else file
            for split, file in (data.data_files or {}).items()
        }
        name = Path(data.name).name if _is_elsewhere(Path(data.name)) else data.name
        data = data.model_copy(update={"name": name, "data_files": files or None})
    data = data.model_copy(update={"folder": Path()})
    if data_folder is not None:
        data = data.model_copy(update={"folder": _relative(run.data.folder, start)})
    training = run.training
    if (before := training.start_from) is not None:
        near = _near(before, folder) is not None
        before = _relative(before, start) if near else Path(before.name)
        training = training.model_copy(update={"start_from": before})
    training = training.model_copy(update={"loggers": []})  # of whoever trains: servers, packages
    output = _relative(folder, start)
    return run.model_copy(update={"data": data, "training": training, "output": output})


def published_data(run: config.Run) -> BaseData:
    """Return the data table that the model folder of a run refers to."""
    return config.resolve(publish(run, run.output), run.output).data


def _is_elsewhere(path: Path) -> bool:
    return path.is_absolute() or ".." in path.parts


def _near(path: Path, folder: Path) -> Path | None:
    """Return a path if it lies near a folder, and all names on the way may be told."""
    path, folder, home = _real(path), _real(folder), Path.home()
    try:
        common = Path(os.path.commonpath([path, folder]))
    except ValueError:  # on another drive
        return None
    above = common == Path(common.anchor) or (home != common and home.is_relative_to(common))
    far = len(folder.relative_to(common).parts) > NEAR
    told = home.name in path.relative_to(common).parts
    return None if above or far or told else path


def _relative(path: Path, start: Path) -> Path:
    return Path(os.path.relpath(_real(path), _real(start)))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # unlike Path.resolve, links in a circle do not stop it


def _walk(value: Any, change: Callable[[Path], Path]) -> Any:
    """Change every path in a table."""
    if isinstance(value, Path):
        return change(value)
    if isinstance(value, list):
        return [_walk(one, change) for one in value]
    if isinstance(value, Table):
        return value.model_copy(
            update={name: _walk(getattr(value, name), change) for name in type(value).model_fields}
        )
    return value
