"""Text to token ids and back: characters, whitespace, or byte-pair encoding.

A wrapper around the Hugging Face ``tokenizers`` library. The special tokens contain spaces, which
no token of text does: text such as "<pad>" or "</s>" is therefore always text.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise, product
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import tokenizers
import torch
from jaxtyping import Bool, Int64, Integer
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from typing_extensions import override

from kochi.contents import File
from kochi.data.padding import pad_tokens
from kochi.data.readers.base import Reader
from kochi.data.readers.taking import is_file
from kochi.data.tags import Tags, without_tags
from kochi.errors import UserError
from kochi.inputs import TokenInput
from kochi.modalities.tables import Tokens
from kochi.normal_forms import Normalization, normalize
from kochi.reading import parse_json, parsing, read_file
from kochi.special_tokens import BOS, EOS, PAD, UNK

SPECIAL_TOKENS = ("<pad>", "<unk>", "<bos>", "<eos>")
_STORED_SPECIALS = ("< pad >", "< unk >", "< bos >", "< eos >")
WORD_MARK = "▁"
_DEFAULT_BPE_SIZE = 8000
_ALL = 2**31 - 1
LARGEST = 1 << 25  # bytes of a saved tokenizer; one with 250,000 tokens has 8 MB
COMPOSED = 4  # maximum number of characters that normalisation composes into one
_SURROGATE = re.compile("[\ud800-\udfff]")

Kind = Literal["characters", "whitespace", "bpe"]
Settings = tuple[Kind, bool, Normalization]
_NORMALIZERS = {
    "nfc": normalizers.NFC,
    "nfd": normalizers.NFD,
    "nfkc": normalizers.NFKC,
    "nfkd": normalizers.NFKD,
}


class Tokenizer(Reader[str]):
    """The reader of text: split it into token ids and join them again.

    Args:
        library: The underlying tokenizer of the ``tokenizers`` library; made by `train_tokenizer`
            or `Tokenizer.load`.
        kind: "characters", "whitespace" or "bpe".
        lowercase: Whether text is lower-cased first.
        normalization: The Unicode normal form that is applied first, or "none".
        tags: The tags of sources, if they have any; their ids follow those of the text.
    """

    unit: ClassVar[str] = "tokens"
    takes: ClassVar[str] = "text (str)"
    chunk_rows: ClassVar[int] = 10_000

    def __init__(
        self,
        library: tokenizers.Tokenizer,
        kind: Kind,
        lowercase: bool,
        normalization: Normalization = "none",
        tags: Tags | None = None,
    ):
        self._library = library
        self.kind: Kind = kind
        self.lowercase = lowercase
        self.normalization: Normalization = normalization
        self.tags = tags
        self._known: dict[str, bool] = {}
        self._longest = 0  # characters of a token; 0 until it is computed

    @property
    def size(self) -> int:
        """Number of tokens, the four special ones and tags included."""
        return self._text_size + (0 if self.tags is None else len(self.tags.names))

    @property
    def _text_size(self) -> int:
        return self._library.get_vocab_size(with_added_tokens=False)

    def fits(self, wanted: Tokens, tagged: bool = False) -> bool:
        """Return whether text is tokenized as a run file specifies, with tags or without."""
        size = wanted.vocabulary_size
        found = self.kind, self.lowercase, self.tags is not None
        same = found == (wanted.tokens, wanted.lowercase, tagged)
        if self.normalization != wanted.normalization:  # old model folders lack the normal form
            same = same and (self.normalization, wanted.normalization) == ("none", "nfc")
        return same and (size is None or self._text_size <= size)

    @property
    @override
    def dtype(self) -> "np.dtype[Any]":
        return np.dtype(np.uint16 if self.size <= 1 << 16 else np.uint32)

    @property
    @override
    def inputs(self) -> TokenInput:
        return TokenInput(self.size)

    @override
    def is_one(self, source: Any) -> bool:
        return is_file(source) and not hasattr(source, "read")  # an open file is iterated by line

    @override
    def taken(self, source: Any) -> str | None:
        return source if isinstance(source, str) else None

    @override
    def encode(self, source: str) -> list[int]:
        """Tokenize a text; no begin or end token is added. Unknown tokens become ``UNK`` (1).

        Raises:
            UserError: The tokenizer has tags, and the text has none.
        """
        text, tags = self._split(source)
        return [*tags, *self._library.encode(_valid(text), add_special_tokens=False).ids]

    @override
    def encode_batch(self, sources: Sequence[str]) -> list[list[int]]:
        """Tokenize many texts at once, on all cores."""
        split = [self._split(source) for source in sources]
        valid = [_valid(text) for text, _ in split]
        encodings = self._library.encode_batch_fast(valid, add_special_tokens=False)
        if self.tags is None:
            return [encoding.ids for encoding in encodings]
        return [[*tags, *found.ids] for (_, tags), found in zip(split, encodings, strict=True)]

    def _split(self, source: str) -> tuple[str, list[int]]:
        """Return the text of a source and the ids of its tags."""
        if self.tags is None:
            return source, []
        text, tags = self.tags.split(source)
        return text, self.tags.encode(tags, self._text_size)

    @override
    def attempt_batch(self, sources: Sequence[str]) -> list[Any]:
        if self.tags is not None:  # a source without tags is an error
            return super().attempt_batch(sources)
        return list(self.encode_batch(sources))

    @override
    def least_length(self, source: str) -> int:
        if self.kind == "whitespace":
            return len(source.split())
        if self._longest == 0:
            tokens = self._library.get_vocab().keys() - set(_STORED_SPECIALS)
            self._longest = max(map(len, tokens), default=1)
        return len(source) // (COMPOSED * self._longest)

    def decode(self, ids: Sequence[int]) -> str:
        """Join tokens into text; special tokens, including the unknown one, are dropped."""
        return self._library.decode([i for i in ids if i > EOS], skip_special_tokens=False)

    @override
    def spelt(self, source: str) -> list[str]:
        return (without_tags(source) if self.tags else source).split()

    @property
    @override
    def vocabulary(self) -> list[str]:
        return self.tokens(range(self.size))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the names of tokens, for display; BPE tokens that begin a word start with "▁".

        Raises:
            ValueError: An id is not in the vocabulary.
        """
        return [self._name(i) for i in ids]

    @override
    def positions(self, lengths: Any) -> Any:
        return lengths + 1

    @override
    def collate(
        self,
        numbers: Int64[np.ndarray, " tokens"],
        lengths: Integer[np.ndarray, " batch"],
        draws: np.random.Generator | None = None,
    ) -> tuple[Int64[Tensor, "batch source"], Bool[Tensor, "batch source"]]:
        return collate_tokens(numbers, lengths)

    @override
    def batch(
        self, rows: Sequence[Sequence[int]]
    ) -> tuple[Int64[Tensor, "batch source"], Bool[Tensor, "batch source"]]:
        return collate_tokens(*flatten(rows))

    @override
    def labels(self, row: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.tokens([*row, EOS]))

    @property
    @override
    def parts(self) -> str:
        """The name of the result of `unknown`: "characters" or "words"."""
        return "words" if self.kind == "whitespace" else "characters"

    @override
    def unknown(self, source: str, row: Sequence[int]) -> tuple[str, ...]:
        if UNK not in row:
            return ()
        text, tags = (source, []) if self.tags is None else self.tags.split(source)
        text = normalize(text, self.normalization)
        parts = text.split() if self.parts == "words" else text
        strange = [tag for tag in tags if self.tags is not None and tag not in self.tags.names]
        return tuple(dict.fromkeys([*strange, *(p for p in parts if not self._knows(p))]))

    @override
    def describe(self, source: str) -> str:
        return source

    def pieces(self, ids: Sequence[int], replaced: Mapping[int, str] | None = None) -> list[str]:
        """Return the text that each token adds; joined, they are the text and its spaces.

        Special tokens add nothing. Each token that replaces a word is preceded by a space.

        Args:
            ids: The tokens.
            replaced: Texts that replace some of the tokens, by their index.
        """
        names = ["" if i <= EOS else self._name(i) for i in ids]
        for index, text in (replaced or {}).items():
            begins = self.kind == "bpe" and text and names[index].startswith(WORD_MARK)
            names[index] = f"{WORD_MARK}{text}" if begins else text
        if self.kind == "bpe":
            return [name.replace(WORD_MARK, " ") for name in names]
        return [f" {name}" if name else "" for name in names] if self.parts == "words" else names

    def join(self, ids: Sequence[int], replaced: Mapping[int, str]) -> str:
        """Join tokens into text, replacing some of them; see `pieces`."""
        if not replaced:
            return self.decode(ids)
        text = "".join(self.pieces(ids, replaced))
        return text if self.kind == "characters" else text.removeprefix(" ")

    @property
    def ambiguous(self) -> bool:
        """Return whether different tokens may join to the same text."""
        return self.kind == "bpe"

    @override
    def parts_of(self, source: str) -> list[str | None]:
        """Return the part of a source that each token represents; None for a tag.

        >>> letters = train_tokenizer(Tokens(tokens="characters"), ["ab"])
        >>> letters.parts_of("aßb")
        ['a', 'ß', 'b']
        """
        source, tags = self._split(source)
        source = _valid(source)
        spans = self._library.encode(source, add_special_tokens=False).offsets
        return [*[None] * len(tags), *(source[start:end] for start, end in spans)]

    @override
    def words(self, source: str) -> list[int | None]:
        """Return the index of the whitespace-separated word of a source that each token belongs to.

        Words are counted from 0; None is for a token that is nothing but white space. A token that
        spans several words belongs to the last one. A word mark that is a BPE token by itself
        belongs to the word it begins. All tags of a source are a single word, the last.

        >>> letters = train_tokenizer(Tokens(tokens="characters"), ["ab c"])
        >>> letters.words("ab c")
        [0, 0, None, 1]
        """
        source, tags = self._split(source)
        source = _valid(source)
        word_of: list[int | None] = [None] * len(source)
        for number, word in enumerate(re.finditer(r"\S+", source)):
            word_of[word.start() : word.end()] = [number] * len(word[0])
        encoding = self._library.encode(source, add_special_tokens=False)
        covered = (word_of[start:end] for start, end in encoding.offsets)
        words = [max((i for i in words if i is not None), default=None) for words in covered]
        if self.kind == "bpe":
            words = attach_marks(words, encoding.tokens)
        return [*[len(source.split())] * len(tags), *words]

    @override
    def save(self, path: Path) -> None:
        """Write the library's own JSON, in an object that also contains the tags, if any."""
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        text = self._library.to_str(pretty=True)
        if self.tags is not None:
            tree = {"tags": self.tags.names, "separator": self.tags.separator}
            tree["tokenizer"] = json.loads(text)
            text = json.dumps(tree, ensure_ascii=False, indent=2)
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None

    @staticmethod
    def load(path: File) -> "Tokenizer":
        """Load what `save` wrote. Nothing in the file can run code.

        Raises:
            UserError: The file is missing, or is not a tokenizer of kochi as it was saved.
        """
        missing = "no such tokenizer file; copy the folder again"
        content = read_file(path, "a tokenizer", LARGEST, missing=missing)
        name = f"{path}: not a tokenizer saved by kochi"
        tree = parse_json(content, name)
        with parsing(name, "a tokenizer"):
            text, tags = _take_tags(content.decode(), tree)
            library = tokenizers.Tokenizer.from_str(text)
            settings = _recognise(library)
        return Tokenizer(library, *settings, tags)

    def _knows(self, part: str) -> bool:
        if part not in self._known:
            ids = self._library.encode(_valid(part), add_special_tokens=False).ids
            self._known[part] = UNK not in ids
        return self._known[part]

    def _name(self, i: int) -> str:
        if 0 <= i <= EOS:
            return SPECIAL_TOKENS[i]
        if self.tags is not None and self._text_size <= i < self.size:
            return self.tags.names[i - self._text_size]
        name = self._library.id_to_token(i) if i >= 0 else None
        if name is None:
            raise ValueError(f"ids: {i} is not in the vocabulary of {self.size} tokens")
        return name


def attach_marks(words: Sequence[int | None], tokens: Sequence[str]) -> list[int | None]:
    """Assign each word mark that is a token by itself to the word of the next token.

    Args:
        words: The word index of each token; None for no word.
        tokens: Their names. A mark before another mark is a space between words and keeps None.

    >>> attach_marks([0, None, None, 1], ["▁a", "▁", "▁", "b"])
    [0, None, 1, 1]
    """
    attached = list(words)
    for index, (token, after) in enumerate(pairwise(tokens)):
        alone = token == WORD_MARK and words[index] is None
        if alone and not after.startswith(WORD_MARK):
            attached[index] = words[index + 1]
    return attached


# --------------------------------------------------------------------------------------- batches


def flatten(
    sequences: Sequence[Sequence[int]],
) -> tuple[Int64[np.ndarray, " tokens"], Int64[np.ndarray, " batch"]]:
    """Concatenate rows of tokens; return them and their lengths."""
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    total = int(lengths.sum())
    return np.fromiter(chain.from_iterable(sequences), np.int64, total), lengths


def collate_tokens(
    tokens: Int64[np.ndarray, " tokens"], lengths: Integer[np.ndarray, " batch"]
) -> tuple[Int64[Tensor, "batch source"], Bool[Tensor, "batch source"]]:
    """Pad concatenated rows, each ended by ``EOS``; the mask is True at tokens."""
    padded, mask = pad_tokens(tokens, lengths)
    return torch.from_numpy(padded), torch.from_numpy(mask)


# --------------------------------------------------------------------------------------- training


def train_tokenizer(tokens: Tokens, texts: Iterable[str]) -> Tokenizer:
    """Learn a vocabulary from texts, which are streamed and not kept.

    Characters and whitespace tokens are ordered by frequency. BPE (Sennrich et al. 2016,
    https://aclanthology.org/P16-1162) merges within words only; a word includes its preceding space
    as the mark "▁" (so that decoding restores the spacing), pairs that occur once are not merged,
    and ``vocabulary_size`` is at most 8000 by default. A "▁" in the text itself is decoded as a
    space. The result depends only on the texts.

    Raises:
        UserError: ``vocabulary_size`` leaves no room beside the special tokens.

    Example:
        >>> tokenizer = train_tokenizer(Tokens(tokens="characters"), ["abba", "a"])
        >>> tokenizer.encode("ab?")
        [4, 5, 1]
    """
    size = tokens.vocabulary_size
    if size is not None and size <= len(_STORED_SPECIALS):
        raise UserError(f"vocabulary_size = {size}: expected more than the 4 special tokens")
    settings: Settings = tokens.tokens, tokens.lowercase, tokens.normalization
    library = _build(*settings, _empty_model(tokens.tokens))
    library.train_from_iterator(texts, _trainer(tokens.tokens, size))
    tree = json.loads(library.to_str())
    tree["added_tokens"] = []  # otherwise the library would search text for special tokens
    return Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(tree)), *settings)


# ----------------------------------------------------------------------------- the library's parts


def _build(
    kind: Kind, lowercase: bool, normalization: Normalization, model: Any
) -> tokenizers.Tokenizer:
    """Build a tokenizer of a kind around a model: normalizer, pre-tokenizer, decoder."""
    library = tokenizers.Tokenizer(model)
    steps: list[Any] = [] if normalization == "none" else [_NORMALIZERS[normalization]()]
    steps += [normalizers.Lowercase()] if lowercase else []
    if kind == "bpe":
        steps += [normalizers.Prepend(WORD_MARK), normalizers.Replace(" ", WORD_MARK)]
        library.pre_tokenizer = pre_tokenizers.Split(WORD_MARK, "merged_with_next")
        joined = [decoders.Replace(WORD_MARK, " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        library.decoder = decoders.Sequence(joined)
    elif kind == "characters":
        library.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        library.decoder = decoders.Fuse()
    else:
        library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if steps:
        library.normalizer = normalizers.Sequence(steps)
    return library


def _empty_model(kind: Kind) -> Any:
    unk = _STORED_SPECIALS[UNK]
    return models.BPE(unk_token=unk) if kind == "bpe" else models.WordLevel({}, unk_token=unk)


def _trainer(kind: Kind, size: int | None) -> Any:
    specials = list(_STORED_SPECIALS)
    if kind == "bpe":
        size = size or _DEFAULT_BPE_SIZE
        return trainers.BpeTrainer(
            vocab_size=size,
            limit_alphabet=size - len(specials),
            min_frequency=2,
            special_tokens=specials,
            show_progress=False,
        )
    return trainers.WordLevelTrainer(
        vocab_size=size or _ALL, special_tokens=specials, show_progress=False
    )


def _take_tags(text: str, tree: Any) -> tuple[str, Tags | None]:
    """Split a saved tokenizer into the library's own part and the tags."""
    if not isinstance(tree, dict):
        raise ValueError("it is not an object")
    if "tokenizer" not in tree:
        return text, None
    names, separator = tree["tags"], tree["separator"]
    if not isinstance(separator, str) or not all(isinstance(name, str) for name in names):
        raise ValueError("the tags are not text")
    return json.dumps(tree["tokenizer"]), Tags(tuple(names), separator)


def _recognise(library: tokenizers.Tokenizer) -> Settings:
    """Return the settings of a tokenizer of ours; raise ValueError for any other."""
    vocabulary = library.get_vocab(with_added_tokens=True)
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ValueError("the ids are not 0, 1, 2, ...")
    if [vocabulary.get(token) for token in _STORED_SPECIALS] != [PAD, UNK, BOS, EOS]:
        raise ValueError("the special tokens are not at 0 to 3")
    found = _frame(library)
    for settings in product(get_args(Kind), (False, True), get_args(Normalization)):
        if found == _frame(_build(*settings, _empty_model(settings[0]))):
            return settings
    raise ValueError("unknown settings")


def _frame(library: tokenizers.Tokenizer) -> dict[str, Any]:
    """All settings of a tokenizer except what it learned."""
    tree = json.loads(library.to_str())
    tree["model"] = {k: v for k, v in tree["model"].items() if k not in ("vocab", "merges")}
    return tree


def _valid(text: str) -> str:
    """Replace unpaired surrogates, which are not characters (they become unknown tokens)."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
