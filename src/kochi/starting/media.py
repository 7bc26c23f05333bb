"""Find recordings, features or pictures with their texts, in a file or in a folder."""

from pathlib import Path

from kochi.errors import UserError
from kochi.starting.choices import Choices
from kochi.starting.find import listed_files
from kochi.starting.hear import sounds_of_folder, sounds_of_table
from kochi.starting.layouts import layout_of
from kochi.starting.listed import Listed
from kochi.starting.names import splits_beside
from kochi.starting.sample import take_sample
from kochi.starting.see import pictures_of_folder, pictures_of_table


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
    return sounds_of_folder(path) or pictures_of_folder(path)


def _training(folder: Path) -> list[Path]:
    """Return the tables of a folder, without those that are the dev or test split of another."""
    files = list(listed_files(folder))
    others = {p for f in files for s, p in splits_beside(f).items() if s != "train"}
    return [file for file in files if file not in others]


def _of_file(path: Path, choices: Choices) -> Listed | None:
    laid_out = layout_of(path, choices)
    if laid_out is not None:
        return laid_out
    try:
        sample = take_sample(path, choices)
    except UserError:
        return None  # whoever reads pairs of text says what is wrong
    if sample is None:
        return None
    return sounds_of_table(sample, choices) or pictures_of_table(sample, choices)
