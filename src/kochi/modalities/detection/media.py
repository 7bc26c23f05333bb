"""Find sources that lie beside their texts, in a file or in a folder."""

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
    """Return what finds sources, by the kind of their data: of built-in and installed modalities.

    A package that cannot be imported finds nothing.
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
    """Look at a manifest, at those of a folder, or at the folder itself; None where text is all.

    Raises:
        UserError: A folder holds several manifests that could be meant, a manifest names files that
            are nowhere to be found, or has no text to them.
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
    """Return the tables of a folder, without those that are the dev or test split of another."""
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
        return None  # whoever reads pairs of text says what is wrong
    if sample is None:
        return None
    return next(filter(None, (one.in_table(sample, choices) for one in known)), None)
