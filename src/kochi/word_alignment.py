"""Word or token alignments, derived from an alignment between tokens.

The rule for words:

1. The alignment of a target token is summed over the tokens of each source word. The rest (the end
   mark, spaces between letters) is summed separately.
2. The alignment of a target word is the mean over its tokens.
3. A target word is linked to the source word with the largest weight. It has no link if the rest is
   larger, or if it attends to nothing. With a threshold, it is linked to every source word with at
   least this weight.

Links between tokens follow step 3 only. `choose_unit` decides between both: within a single word,
all links between words are the same and only those between tokens are informative.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from kochi.data.lines import lines
from kochi.data.tokenizer import attach_marks
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.metrics.alignment import GoldLinks

Unit = Literal["words", "tokens"]
Weights = Shaped[Tensor, "target source"] | Shaped[np.ndarray, "target source"]


def merge_words(
    alignment: Weights,
    source_words: Sequence[int | None],
    target_words: Sequence[int | None],
) -> Float[np.ndarray, "target_words source_words_and_none"]:
    """Turn an alignment between tokens into one between words.

    Args:
        alignment: A row for each target token, a column for each source token.
        source_words: The word index of each source token; None for no word.
        target_words: The word index of each target token; None leaves out the row.

    Returns:
        A row for each target word; a column for each source word, and a last one for the rest.

    >>> weights = np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]])
    >>> merge_words(weights, [0, 0, None], [0, 0]).tolist()
    [[0.625, 0.375]]
    """
    if isinstance(alignment, Tensor):
        alignment = alignment.detach().to("cpu").double().numpy()
    count = 1 + max((word for word in source_words if word is not None), default=-1)
    columns = [count if word is None else word for word in source_words]
    rows: dict[int, list[int]] = {}
    for row, word in enumerate(target_words):
        if word is not None:
            rows.setdefault(word, []).append(row)
    merged = np.zeros((1 + max(rows, default=-1), count + 1))
    for word, positions in rows.items():
        np.add.at(merged[word], columns, alignment[positions].mean(0))
    return merged


def choose_unit(pairs: Iterable[tuple[int, int]]) -> Unit:
    """Choose the unit of links: tokens if one side is a single word in at least half of the pairs.

    With a single word on one side, links between words are trivial.

    Args:
        pairs: The number of words of the source and the target of each pair.

    >>> choose_unit([(1, 6)]), choose_unit([(7, 8), (1, 1), (5, 4)])
    ('tokens', 'words')
    """
    alone = [source <= 1 or target <= 1 for source, target in pairs]
    return "tokens" if 2 * sum(alone) >= len(alone) else "words"


def word_counts(texts: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
    """Count the words of each source and target.

    >>> word_counts([("ice cream", "AY S K R IY M")])
    [(2, 6)]
    """
    return [(len(source.split()), len(target.split())) for source, target in texts]


def words_of_pieces(pieces: Sequence[str], tokens: Sequence[str] = ()) -> list[int | None]:
    """Return the word index of each token, by the piece of text that it stands for.

    Args:
        pieces: The pieces, which joined are the text; spaces separate its words.
        tokens: Names of the tokens, which distinguish a word mark from a space character: a mark
            belongs to the word it begins. Default: no marks.

    >>> words_of_pieces([" un", "like", " us", " "])
    [0, 0, 1, None]
    """
    text = "".join(pieces)
    of_position: list[int | None] = [None] * len(text)
    for number, word in enumerate(re.finditer(r"\S+", text)):
        of_position[word.start() : word.end()] = [number] * len(word[0])
    words, start = [], 0
    for piece in pieces:
        covered = of_position[start : start + len(piece)]
        words.append(max((word for word in covered if word is not None), default=None))
        start += len(piece)
    return attach_marks(words, tokens)


def find_links(
    words: Float[np.ndarray, "target_words source_words_and_none"], threshold: float | None = None
) -> list[tuple[int, int]]:
    """Link words, or tokens, by the rule above.

    Args:
        words: The result of `merge_words`, or an alignment between tokens whose last column is the
            end mark.
        threshold: Minimum weight of a link. Default: only the largest weight is linked.

    Returns:
        Pairs of a source and a target position, in order.

    >>> find_links(np.array([[0.1, 0.7, 0.2], [0.2, 0.2, 0.6]]))
    [(1, 0)]
    """
    if threshold is not None:
        targets, sources = np.nonzero(words[:, :-1] >= threshold)
        return sorted(zip(sources.tolist(), targets.tolist(), strict=True))
    links = []
    for target, row in enumerate(words):
        source = int(row.argmax())
        if source < len(row) - 1 and row[source] > 0.0:
            links.append((source, target))
    return sorted(links)


def pharaoh(links: Sequence[tuple[int, int]]) -> str:
    """Format links in the Pharaoh format.

    >>> pharaoh([(0, 1), (2, 0)])
    '0-1 2-0'
    """
    return " ".join(f"{source}-{target}" for source, target in links)


def read_gold(
    path: Path, sizes: Sequence[tuple[int, int]], unit: Unit = "words"
) -> "list[GoldLinks]":
    """Read gold links, one line per pair.

    Args:
        path: The file, in the Pharaoh format.
        sizes: The number of words or tokens of the source and the target of each pair.
        unit: The unit of the links.

    Raises:
        UserError: The file cannot be read, the number of lines differs from that of the pairs, or a
            link is beyond the end of a text.
    """
    from kochi.metrics.alignment import read_links

    rows = []
    for number, line in enumerate(lines(path), 1):
        try:
            rows.append(read_links(line))
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}") from None
    if len(rows) != len(sizes):
        raise UserError(
            f"{path}: {len(rows):,} lines of links, but there are {len(sizes):,} pairs; expected "
            "one line per pair"
        )
    other = "tokens" if unit == "words" else "words"
    for number, (row, (sources, targets)) in enumerate(zip(rows, sizes, strict=True), 1):
        for source, target in sorted(row.possible):
            if source >= sources or target >= targets:
                raise UserError(
                    f"{path}:{number}: link {source}-{target}, but the pair has {sources} source "
                    f"and {targets} target {unit} (counted from 0); are these links of another "
                    f"text, or between {other} (--unit {other})?"
                )
    return rows
