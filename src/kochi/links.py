"""Which words belong together, read off an alignment between tokens.

The rule:

1. What a token of the target looked at is added up over the tokens of each source word. What lies
   on no word (the end mark, spaces between letters) is added up for itself.
2. A target word of several tokens looks where these look on average.
3. A target word is linked to the source word that it looks at most. Where it looks most at no word,
   or looks nowhere, it has no link. With a threshold it is linked to every source word that gets at
   least so much.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from kochi.data.lines import lines
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.metrics.alignment import GoldLinks

Weights = Shaped[Tensor, "target source"] | Shaped[np.ndarray, "target source"]


def merge_words(
    alignment: Weights,
    source_words: Sequence[int | None],
    target_words: Sequence[int | None],
) -> Float[np.ndarray, "target_words source_words_and_none"]:
    """Turn an alignment between tokens into one between words.

    Args:
        alignment: A row for each target token, a column for each source token.
        source_words: Which word each source token is of; None: of no word.
        target_words: Which word each target token is of; None: the row is left out.

    Returns:
        A row for each target word; a column for each source word, and a last one for what lies on
        no word.

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
    for word, places in rows.items():
        np.add.at(merged[word], columns, alignment[places].mean(0))
    return merged


def words_of_pieces(pieces: Sequence[str]) -> list[int | None]:
    """Say which word of a text each token is of, by what the tokens add to the text.

    Args:
        pieces: Joined, they are the text; spaces part its words.

    >>> words_of_pieces([" un", "like", " us", " "])
    [0, 0, 1, None]
    """
    text = "".join(pieces)
    of_place: list[int | None] = [None] * len(text)
    for number, word in enumerate(re.finditer(r"\S+", text)):
        of_place[word.start() : word.end()] = [number] * len(word[0])
    words, start = [], 0
    for piece in pieces:
        covered = of_place[start : start + len(piece)]
        words.append(max((word for word in covered if word is not None), default=None))
        start += len(piece)
    return words


def find_links(
    words: Float[np.ndarray, "target_words source_words_and_none"], threshold: float | None = None
) -> list[tuple[int, int]]:
    """Link words by the rule above.

    Args:
        words: As `merge_words` gives it.
        threshold: The least share of what a target word looked at that makes a link.

    Returns:
        Pairs of a source and a target word, in order.

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
    """Write links in the Pharaoh format.

    >>> pharaoh([(0, 1), (2, 0)])
    '0-1 2-0'
    """
    return " ".join(f"{source}-{target}" for source, target in links)


def read_gold(path: Path, texts: Sequence[tuple[str, str]]) -> "list[GoldLinks]":
    """Read the right links of some pairs of texts, a line for each pair.

    Raises:
        UserError: The file cannot be read, there are more or fewer lines than pairs, or a link
            leads past the end of a text.
    """
    from kochi.metrics.alignment import read_links

    rows = []
    for number, line in enumerate(lines(path), 1):
        try:
            rows.append(read_links(line))
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}") from None
    if len(rows) != len(texts):
        raise UserError(
            f"{path}: {len(rows):,} lines of links, but there are {len(texts):,} pairs; expected "
            "a line for each pair"
        )
    for number, (row, pair) in enumerate(zip(rows, texts, strict=True), 1):
        sources, targets = (len(text.split()) for text in pair)
        for source, target in sorted(row.possible):
            if source >= sources or target >= targets:
                raise UserError(
                    f"{path}:{number}: link {source}-{target}, but the pair has {sources} source "
                    f"and {targets} target words (counted from 0); are these links of another text?"
                )
    return rows
