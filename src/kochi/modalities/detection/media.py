"""Find sources that accompany their texts, in a file or in a folder."""

from importlib import import_module
from pathlib import Path

from kochi.components import ComponentError
from kochi.errors import UserError
from kochi.modalities import MODALITIES
from kochi.modalities.detection.base import Detection
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.listed import Listed
from kochi.modalities.detection.names import splits_beside
from kochi.modalities.detection.sample import take_sample
from kochi.modalities.text.detection import listed_files


def detections() -> dict[str, Detection]:
    """Return the detections of all built-in and installed modalities, by the kind of their data.

    Packages that cannot be imported are skipped.
    """
    found = {}
    for kind in MODALITIES:
        try:
            path = MODALITIES.component(kind).detection
        except ComponentError:
            continue
        if path is not None:
            module, _, name = path.partition(":")
            found[kind] = getattr(import_module(module), name)()
    return found


def find_media(path: Path, choices: Choices) -> Listed | None:
    """Detect sources in a manifest, a folder of manifests or a folder; None if there is only text.

    Raises:
        UserError: A folder contains several possible manifests, or a manifest lists files that
            cannot be found, or has no text.
    """
    if not path.is_dir():
        return _of_file(path, choices)
    found = [listed for listed in (_of_file(p, choices) for p in _training(path)) if listed]
    if len(found) > 1:
        names = ", ".join(str(listed.splits["train"].name) for listed in found)
        raise UserError(f"{path}: holds several manifests ({names}); name one of them")
    if found:
        return found[0]
    tried = (detection.in_folder(path) for detection in detections().values())
    return next(filter(None, tried), None)


def _training(folder: Path) -> list[Path]:
    """Return the tables of a folder that are not the dev or test split of another one."""
    files = list(listed_files(folder))
    others = {p for f in files for s, p in splits_beside(f).items() if s != "train"}
    return [file for file in files if file not in others]


def _of_file(path: Path, choices: Choices) -> Listed | None:
    known = detections().values()
    laid_out = next(filter(None, (one.in_layout(path, choices) for one in known)), None)
    if laid_out is not None:
        return laid_out
    try:
        sample = take_sample(path, choices)
    except UserError:
        return None  # the reader of text pairs reports the error
    if sample is None:
        return None
    return next(filter(None, (one.in_table(sample, choices) for one in known)), None)
