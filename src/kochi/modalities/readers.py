"""Make or load the readers of both sides of a run."""

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

    A reader of anything but text is not fitted yet; see `fit_and_save`.

    Raises:
        UserError: The training data are faulty.
    """
    modality = modality_of(data)
    both = modality.both_readers(folder)
    if both is not None:
        return both
    target = target_tokenizer(data, folder)
    return modality.reader(), target


def target_tokenizer(data: BaseData, folder: Path) -> Tokenizer:
    """Load the tokenizer of the targets, or train and save it.

    Raises:
        UserError: The training data are faulty.
    """
    if (folder / TARGET).exists():
        return Tokenizer.load(folder / TARGET)
    texts = (pair.references[0] for pair in read_pairs(data, "train", bad_rows(data)))
    target = train_tokenizer(data.target, texts)
    target.save(folder / TARGET)
    return target


def fit_and_save(source: Reader[Any], corpus: Corpus, folder: Path) -> None:
    """Fit a reader to a corpus and save it, unless it was saved when it was made."""
    if not (folder / SOURCE).exists():
        source.fitted(corpus.source(row) for row in range(len(corpus))).save(folder / SOURCE)


def load_reader(data: BaseData, file: File) -> Reader[Any]:
    """Load the saved reader of a run's sources.

    Raises:
        UserError: The file is missing or damaged.
    """
    return modality_of(data).load_reader(file)


def check_augmentation(data: BaseData, training: config.Training) -> None:
    """Check that the configured augmentation fits the kind of sources.

    Raises:
        UserError: It does not.
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
