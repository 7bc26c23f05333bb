"""The tokenizers of both sides of a run's text pairs."""

from collections.abc import Iterable
from pathlib import Path

from kochi.data.left_out import bad_rows
from kochi.data.tags import Tags, without_tags
from kochi.data.tokenizer import Tokenizer, train_tokenizer
from kochi.errors import UserError
from kochi.modalities.pairs import read_pairs
from kochi.modalities.tables import Tokens
from kochi.modalities.text.tables import TextSources


def prepare_tokenizers(data: TextSources, folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """Load ``source.json`` and ``target.json`` from a folder, or train and save them there.

    Raises:
        UserError: The training data or a saved tokenizer are faulty, or the saved tokenizers do not
            match the run file.
    """
    _check_shared(data)
    paths = folder / "source.json", folder / "target.json"
    if all(path.exists() for path in paths):
        source, target = Tokenizer.load(paths[0]), Tokenizer.load(paths[1])
        _check_fits(source, data.source, paths[0], data.tagged)
        _check_fits(target, data.target, paths[1])
        return source, target
    if data.shared_vocabulary:
        source = target = train_tokenizer(data.source, _texts(data, source=True, target=True))
    else:
        source = train_source(data)
        target = train_tokenizer(data.target, _texts(data, target=True))
    folder.mkdir(parents=True, exist_ok=True)
    source.save(paths[0])
    target.save(paths[1])
    return source, target


def train_source(data: TextSources) -> Tokenizer:
    """Train the tokenizer of the sources, and collect their tags."""
    sources = _texts(data, source=True)
    if not data.tagged:
        return train_tokenizer(data.source, sources)
    tokenizer = train_tokenizer(data.source, map(without_tags, sources))
    tokenizer.tags = Tags.learn(_texts(data, source=True), data.tags_separator)
    return tokenizer


def _texts(data: TextSources, source: bool = False, target: bool = False) -> Iterable[str]:
    for pair in read_pairs(data, "train", bad_rows(data)):
        if source:
            yield pair.source
        if target:
            yield pair.references[0]


def _check_shared(data: TextSources) -> None:
    if data.shared_vocabulary and data.source != data.target:
        raise UserError(
            "data.shared_vocabulary = true needs the same data.source and data.target settings; "
            f"found {data.source} and {data.target}"
        )


def _check_fits(tokenizer: Tokenizer, wanted: Tokens, path: Path, tagged: bool = False) -> None:
    if not tokenizer.fits(wanted, tagged):
        tags = "tags" if tokenizer.tags is not None else "no tags"
        raise UserError(
            f"{path}: found a tokenizer with {tokenizer.kind} tokens, vocabulary of "
            f"{tokenizer.size}, lowercase {tokenizer.lowercase}, normalization "
            f"{tokenizer.normalization}, {tags}; the run file asks for {wanted}"
            f"{' and tags' * tagged}; remove the file or choose another output folder"
        )
