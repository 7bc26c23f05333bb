"""Make the readers of a run's two sides, or load them."""

from pathlib import Path
from typing import Any

from kochi import config
from kochi.contents import File
from kochi.data.corpus import Corpus
from kochi.data.left_out import bad_rows
from kochi.data.readers.base import Reader
from kochi.data.tokenizer import Tokenizer, train_tokenizer
from kochi.errors import UserError
from kochi.modalities import MODALITIES, modality_of
from kochi.modalities.pairs import read_pairs
from kochi.modalities.tables import BaseData

SOURCE, TARGET = "source.json", "target.json"


def make_readers(data: BaseData, folder: Path) -> tuple[Reader[Any], Tokenizer]:
    """Make the readers of the training data; tokenizers are loaded, or trained and saved.

    A reader of something else than text is not fitted yet; see `fit_and_save`.

    Raises:
        UserError: Something is wrong with the training data.
    """
    modality = modality_of(data)
    both = modality.both_readers(folder)
    if both is not None:
        return both
    target = target_tokenizer(data, folder)
    return modality.reader(), target


def target_tokenizer(data: BaseData, folder: Path) -> Tokenizer:
    """Load the tokenizer of the targets, or train it and save it.

    Raises:
        UserError: Something is wrong with the training data.
    """
    if (folder / TARGET).exists():
        return Tokenizer.load(folder / TARGET)
    texts = (pair.references[0] for pair in read_pairs(data, "train", bad_rows(data)))
    target = train_tokenizer(data.target, texts)
    target.save(folder / TARGET)
    return target


def fit_and_save(source: Reader[Any], corpus: Corpus, folder: Path) -> None:
    """Let a reader measure what it must know, and save it, unless it was saved when it was made."""
    if not (folder / SOURCE).exists():
        source.fitted(corpus.source(row) for row in range(len(corpus))).save(folder / SOURCE)


def load_reader(data: BaseData, file: File) -> Reader[Any]:
    """Load the reader of a run's sources from what was saved.

    Raises:
        UserError: The file is missing or damaged.
    """
    return modality_of(data).load_reader(file)


def check_augmentation(data: BaseData, training: config.Training) -> None:
    """Refuse augmentation for which the sources are of the wrong kind.

    Raises:
        UserError: That is so.
    """
    own = modality_of(data)
    for name in ("augmentation", "distortion"):
        if getattr(training, name) is not None and name not in own.augmentations:
            kinds = {MODALITIES.component(kind) for kind in MODALITIES.builtin}
            takers = sorted(kind.sources for kind in kinds if name in kind.augmentations)
            raise UserError(
                f"training.{name} is for {' and '.join(takers)}; remove it, as the sources here "
                f"are {own.sources}"
            )
