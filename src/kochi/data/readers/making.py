"""Make the readers of a run's two sides, or load them."""

from pathlib import Path
from typing import Any

from kochi import config
from kochi.contents import File
from kochi.data.corpus import Corpus
from kochi.data.left_out import bad_rows, nothing_left, usable
from kochi.data.pairs import read_pairs
from kochi.data.readers.base import Reader
from kochi.data.readers.features import FeatureReader
from kochi.data.readers.frames import FrameReader
from kochi.data.readers.picture import PictureReader
from kochi.data.readers.sound import SoundReader
from kochi.data.tokenizer import Tokenizer, prepare_tokenizers, train_tokenizer
from kochi.errors import UserError

SOURCE, TARGET = "source.json", "target.json"


def make_readers(data: config.Data, folder: Path) -> tuple[Reader[Any], Tokenizer]:
    """Make the readers of the training data; tokenizers are loaded, or trained and saved.

    A reader of something else than text is not fitted yet; see `fit_and_save`.

    Raises:
        UserError: Something is wrong with the training data.
    """
    if isinstance(data, config.TextData):
        return prepare_tokenizers(data, folder)
    texts = (pair.references[0] for pair in read_pairs(data, "train", bad_rows(data)))
    if (folder / TARGET).exists():
        target = Tokenizer.load(folder / TARGET)
    else:
        target = train_tokenizer(data.target, texts)
        target.save(folder / TARGET)
    if isinstance(data, config.FeaturesData):
        return _like_first(data), target
    if isinstance(data, config.PictureData):
        return PictureReader(front_end=data.front_end), target
    return SoundReader.like(data), target


def _like_first(data: config.FeaturesData) -> FeatureReader:
    """Return a reader of frames like those of the first row that can be read."""
    bad = bad_rows(data)
    pairs = read_pairs(data, "train", bad)
    found = next(usable(pairs, lambda pair: FeatureReader.like(pair.source, data), bad), None)
    if found is None:
        raise nothing_left(bad, "the training data hold no frames; expected at least one row")
    return found


def fit_and_save(source: Reader[Any], corpus: Corpus, folder: Path) -> None:
    """Let a reader measure what it must know, and save it; tokenizers are saved already."""
    if not isinstance(source, Tokenizer):
        source.fitted(corpus.source(row) for row in range(len(corpus))).save(folder / SOURCE)


def load_reader(data: config.Data, path: File) -> Reader[Any]:
    """Load the reader of a run's sources from what was saved.

    Raises:
        UserError: The file is missing or damaged.
    """
    if isinstance(data, config.FeaturesData):
        return _checked(FeatureReader.load(path), path)
    if isinstance(data, config.SoundData):
        return _checked(SoundReader.load(path), path)
    if isinstance(data, config.PictureData):
        return PictureReader.load(path)
    return Tokenizer.load(path)


def _checked(reader: FrameReader[Any], path: File) -> FrameReader[Any]:
    """Refuse a reader of frames whose mean is of frames of another size."""
    size = reader.inputs.size
    if reader.moments is not None and len(reader.moments.mean) != size:
        raise UserError(
            f"{path}: has {len(reader.moments.mean)} means, expected {size}, one for each number "
            "of a frame; copy the file again"
        )
    return reader


def check_augmentation(data: config.Data, training: config.Training) -> None:
    """Refuse augmentation for which the sources are of the wrong kind.

    Raises:
        UserError: That is so.
    """
    if training.distortion is not None and not isinstance(data, config.PictureData):
        raise UserError("training.distortion is for pictures; remove it where data are none")
    heard = isinstance(data, config.HeardData)
    if training.augmentation is not None and not heard:
        raise UserError(
            "training.augmentation is for sound and features; remove it for text and pictures"
        )
