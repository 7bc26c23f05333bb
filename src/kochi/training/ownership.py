"""Check that kochi wrote everything in a folder, so that a training may replace it.

A file of a model folder counts if its SHA-256 is in the folder's manifest: a README.md that
somebody wrote or edited does not. A ``training`` folder counts if it contains a file with the seal
of `kochi.training.sealed`, and then its files with names that kochi uses. Folders without files are
ignored.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from kochi import folder
from kochi.errors import UserError
from kochi.training.layout import DISCARDED, TRAINING, Layout
from kochi.training.sealed import is_sealed

_PARTIAL = re.escape(folder.PARTIAL)
_MODEL_PARTIALS = re.compile(
    rf"(?:{'|'.join(map(re.escape, folder.FILES))}){_PARTIAL}"
    rf"|{re.escape(folder.MANIFEST)}(?:{_PARTIAL}){{1,2}}"
    rf"|reader{_PARTIAL}(?:\.\d+\.partial)?"
)
_OF_SYSTEMS = {".DS_Store", "desktop.ini", "Thumbs.db"}  # written by file managers
_BEGUN = re.compile(r"(run\.toml|manifest\.json)\.partial")  # an aborted start may leave only these
_DATA = r"(?:source|target|files|manifest)\.json(?:(?:\.\d+)?\.partial)?"
_CORPUS = (
    r"corpus(?:\.\d+\.partial)?/"
    r"(?:corpus\.json|(?:source|target)\.(?:tokens|samples|frames|pixels|offsets))"
)
_TRAINING = re.compile(
    r"(?:run\.toml|finished\.json|(?:last|previous|damaged)\.ckpt"
    r"|(?:train|evaluations|examples)\.csv)(?:\.partial)?"
    r"|process-\d+\.log"
    r"|weights/step-\d{8,}(?:\.copy)?\.safetensors(?:\.partial)?"
    rf"|data(?:\.partial|\.discarded)?/(?:{_DATA}|{_CORPUS})"
    r"|tensorboard/events\.out\.tfevents\.[^/]+"
    r"|loggers/.+"
)


_LOGGERS = "loggers/"  # services put links to their latest files there


def check_ownership(output: Path) -> None:
    """Reject an output folder that contains anything that kochi did not write.

    Raises:
        UserError: It does; the first such file is named.
    """
    found = next(_foreign(output), None)
    if found is not None:
        path, why = found
        raise UserError(
            f"{path}: {why}, and it is in the output folder of this run; nothing was changed: "
            "move it elsewhere, or choose another output"
        )


def _foreign(output: Path) -> Iterator[tuple[Path, str]]:
    written = folder.written_files(output)
    ours = _is_training(output / TRAINING)
    for entry in sorted(output.iterdir()):
        name = entry.name
        if name in written or name in _OF_SYSTEMS or (ours and _MODEL_PARTIALS.fullmatch(name)):
            continue
        if entry.is_symlink():
            yield entry, "is a link, which kochi did not make"
        elif entry.is_dir():
            yield from _foreign_below(entry, name, ours)
        elif name in folder.FILES and folder.is_whole(output):
            yield (
                entry,
                "was changed after kochi wrote it (its SHA-256 is not that of the manifest)",
            )
        else:
            yield entry, "was not written by kochi"


def _foreign_below(top: Path, name: str, ours: bool) -> Iterator[tuple[Path, str]]:
    for path in _files(top):
        inner = path.relative_to(top).as_posix()
        known = name == DISCARDED or (name == TRAINING and ours)
        if path.is_symlink() and not (known and inner.startswith(_LOGGERS)):
            yield path, "is a link, which kochi did not make"
        elif (known and _TRAINING.fullmatch(inner)) or (
            name == TRAINING and _BEGUN.fullmatch(inner)
        ):
            continue
        elif path.name not in _OF_SYSTEMS:
            version = "this version of " if _TRAINING.fullmatch(inner) else ""
            yield path, f"was not written by {version}kochi"


def _files(top: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(top):
        folders.sort()
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        yield from (Path(parent) / name for name in sorted([*files, *links]))


def _is_training(parent: Path) -> bool:
    """Return whether a folder contains a file with kochi's seal; small files are read first."""
    layout = Layout(parent.parent)
    sealed = (layout.run, layout.data_manifest, layout.finished, layout.checkpoint, layout.previous)
    return parent.is_dir() and not parent.is_symlink() and any(map(is_sealed, sealed))
