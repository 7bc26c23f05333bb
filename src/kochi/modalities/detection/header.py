"""Detect whether the first row of a table is a header, by comparing it with the other rows.

The score of a row is the log-likelihood ratio of its cells, in nats, between a generic model of
names and a model of their columns:

- characters: bigrams of the column's other cells, against uniformly distributed letters;
- words: the fraction of the column's words that occur once only, for cells of new words;
- length: the logarithm of the number of characters, against a normal distribution.

A name above a column of nothing but numbers or file names is a header regardless of the score.

Every other row gets the same score, with its own cells removed from the model. The first row is a
header if its score is clearly higher than that of (nearly) all of them.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

SOURCE_NAMES = ("source", "src", "input", "word", "text", "question", "grapheme", "graphemes")
TARGET_NAMES = (
    *("target", "tgt", "trg", "output", "phones", "phonemes", "pronunciation", "transcription"),
    *("translation", "label", "answer", "normalized", "normalised", "summary"),
)
OTHER_NAMES = (
    *("id", "no", "no.", "nr", "nr.", "index", "idx", "lemma", "form", "tags", "features", "feats"),
    *("split", "audio", "image", "file", "path", "file_name", "filename", "caption", "sentence"),
    *("start", "end", "duration", "offset", "note", "notes", "comment", "date", "lang", "language"),
)
LANGUAGES = (
    *("arabic", "chinese", "czech", "danish", "dutch", "english", "finnish", "french", "german"),
    *("greek", "hebrew", "hindi", "hungarian", "italian", "japanese", "korean", "latin", "polish"),
    *("portuguese", "romanian", "russian", "spanish", "swedish", "turkish", "ukrainian"),
)
MOST_ROWS, MOST_CHARACTERS = 400, 80
LETTER_NATS = math.log(40)  # a name consists of about forty letters, equally likely
LEAST_NATS, MARGIN_NATS = 6.0, 3.0
FEW_ROWS_NATS = 100.0  # over the number of rows, added to the threshold: few rows are weak evidence
RARE = 0.005  # maximum fraction of other rows that may score as high as a header
LONGEST_NAME = 40
_UNLIKE_A_NAME = re.compile(r"[.!?。！？,;:…](?=\s|$)|[\"“”«»]|^\W+$|^[\d\W_]+$")
_FILE = re.compile(r".+\.[A-Za-z][A-Za-z0-9]{1,4}(#\w+)?")
_NUMBER = re.compile(r"[-+]?\d[\d.,:/\- ]*%?")
FEW = 5  # rows of numbers below a name suffice
_ABBREVIATION = re.compile(r"\w{1,5}\.")


def is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row is a header.

    >>> is_header([["slovo", "Wort"], *([f"{i % 9} {i}", f"{i} {i % 7}"] for i in range(40))])
    True
    >>> is_header([["text", "T EH K S T"], *(["aca", "odd"], ["dda", "even"]) * 40])
    False
    """
    first = [cell.strip() for cell in rows[0]]
    others = [row for row in rows[1 : 1 + MOST_ROWS] if len(row) == len(first)]
    if not _are_names(first):
        return False
    columns = [[row[place].strip() for row in others] for place in range(len(first))]
    if any(_recurs(cell, column) for cell, column in zip(first, columns, strict=True)):
        return False
    if _are_known(first) or any(map(_clashes, first, columns)):
        return True
    if len(others) < 2:
        return False
    scores = [_scores(cell, column) for cell, column in zip(first, columns, strict=True)]
    own, *rest = (sum(row) for row in zip(*scores, strict=True))
    close = sum(score > own - MARGIN_NATS for score in rest)
    return own >= LEAST_NATS + FEW_ROWS_NATS / len(rest) and close <= RARE * len(rest)


def _are_names(cells: Sequence[str]) -> bool:
    found = [cell for cell in cells if cell]
    return (
        len(found) >= max(1, len(cells) - 1)
        and len(set(found)) == len(found)
        and all(map(_is_name, found))
    )


def _is_name(cell: str) -> bool:
    """Return whether a cell may be a column name: a few words, not a sentence or single sounds."""
    words = cell.split()
    if len(cell) > LONGEST_NAME or len(words) > 5:
        return False
    if _UNLIKE_A_NAME.search(cell) and not _ABBREVIATION.fullmatch(cell):
        return False
    return len(words) == 1 or sum(map(len, words)) / len(words) >= 2.5 or not cell.isascii()


def _recurs(cell: str, column: Sequence[str]) -> bool:
    """Return whether a cell is one of the values of a column with recurring values."""
    counts = Counter(column)
    recurring = sum(count for count in counts.values() if count > 1)
    return counts[cell] > 0 and 2 * recurring >= len(column)


def _are_known(cells: Sequence[str]) -> bool:
    lower = [cell.lower() for cell in cells]
    sides = any(c in SOURCE_NAMES for c in lower) and any(c in TARGET_NAMES for c in lower)
    known = {*SOURCE_NAMES, *TARGET_NAMES, *OTHER_NAMES, *LANGUAGES, ""}
    return sides or (len(cells) > 1 and all(cell in known for cell in lower))


def _clashes(cell: str, column: Sequence[str]) -> bool:
    """Return whether a cell is not a file name or not a number although all others are."""
    for pattern, fewest in ((_FILE, 1), (_NUMBER, FEW)):
        if len(column) >= fewest and all(map(pattern.fullmatch, column)):
            return pattern.fullmatch(cell) is None
    return False


def _scores(first: str, column: Sequence[str]) -> list[float]:
    """Return the scores of the first cell of a column and of all the others."""
    cells = [cell[:MOST_CHARACTERS] for cell in (first, *column)]
    bigrams: Counter[str] = Counter()
    unigrams: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for cell in cells[1:]:
        bigrams.update(_bigrams(cell))
        unigrams.update(f"^{cell}")
        words.update(cell.split())
    alphabet = len(unigrams) + 1
    lengths = [math.log(len(cell) + 1) for cell in cells]
    mean = sum(lengths[1:]) / len(column)
    spread = math.sqrt(sum((x - mean) ** 2 for x in lengths[1:]) / len(column) + 0.05)
    scores = []
    for place, cell in enumerate(cells):
        own = place > 0  # its counts must be removed
        score = max(
            _character_score(cell, bigrams, unigrams, alphabet, own),
            _word_score(cell, words, own),
        )
        z = (lengths[place] - mean) / spread
        scores.append(score + max(0.0, min(20.0, z * z / 2 - 2.0)))
    return scores


def _bigrams(cell: str) -> list[str]:
    return [a + b for a, b in zip(f"^{cell}", cell, strict=False)]


def _character_score(
    cell: str, bigrams: Counter[str], unigrams: Counter[str], alphabet: int, own: bool
) -> float:
    """Return the log-likelihood ratio of the characters; unseen bigrams back off to unigrams."""
    pairs = _bigrams(cell)
    taken, taken_first = (Counter(pairs), Counter(f"^{cell}")) if own else (Counter(), Counter())
    total = unigrams.total() - taken_first.total()
    score = 0.0
    for pair in pairs:
        seen = bigrams[pair] - taken[pair]
        before = unigrams[pair[0]] - taken_first[pair[0]]
        single = (unigrams[pair[1]] - taken_first[pair[1]] + 0.05) / (total + 0.05 * alphabet)
        score += -math.log((seen + single) / (before + 1.0)) - LETTER_NATS
    return score


def _word_score(cell: str, words: Counter[str], own: bool) -> float:
    """Return nats for words that occur in no other cell, if new words are rare in the column."""
    parts = cell.split()
    taken = Counter(parts) if own else Counter()
    new = [part for part in parts if words[part] == taken[part]]
    if len(new) < len(parts):
        return -10.0
    once = sum(count == 1 for count in words.values())
    return -math.log((once + 0.5) / (words.total() + 1.0)) - 1.0
