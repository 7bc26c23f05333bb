"""Detect the encoding of a text file."""

import codecs
from pathlib import Path

from charset_normalizer import CharsetMatch, from_bytes

from kochi.data.lines import marked_encoding, open_bytes
from kochi.errors import UserError
from kochi.reading import parsing

MOST = 1 << 24  # bytes that are examined
# Single-byte encodings in actual use; preferred if a rare one fits hardly better.
COMMON = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "cp437")
HARDLY = 0.05
COHERENCE_WEIGHT = 0.3


def detect_encoding(path: Path) -> tuple[str, str | None]:
    """Return the encoding of a file, and a remark if it was guessed.

    A byte-order mark decides; otherwise text that is valid UTF-8 is UTF-8; otherwise
    charset-normalizer guesses from the appearance of the text.

    Raises:
        UserError: The file cannot be read, or is not text.
    """
    with open_bytes(path) as stream, parsing(str(path), "text"):
        raw = stream.read(MOST)
    marked = marked_encoding(raw[:4])
    if marked is not None:
        return marked, None if marked == "utf-8" else f"{path.name}: read as {marked}"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw, final=len(raw) < MOST)
    except UnicodeDecodeError:
        pass
    else:
        if b"\0" not in raw:
            return "utf-8", None
    best = _guess(raw[: 1 << 18])
    if best is None:
        raise UserError(
            f"{path}: is not UTF-8, and looks like no other text either; name its encoding, "
            "such as --encoding cp1252"
        )
    guess = f"{path.name}: is not UTF-8, read as {best} (a guess"
    return best, f"{guess}; to name another: --encoding)"


def _guess(raw: bytes) -> str | None:
    """Choose among the encodings that charset-normalizer considers possible.

    It measures how unusual the decoded text is and how well its letters match a language, and drops
    encodings that decode to the same text.
    """
    matches = list(from_bytes(raw))
    if not matches:
        return None
    first = matches[0]
    if first.multi_byte_usage > 0:
        return first.encoding

    def cost(match: CharsetMatch) -> float:
        return match.chaos - COHERENCE_WEIGHT * match.coherence

    least = min(map(cost, matches))
    possible = {
        encoding
        for match in matches
        if cost(match) <= least + HARDLY
        for encoding in match.could_be_from_charset
    }
    best = min(matches, key=cost).encoding
    return next((name for name in COMMON if name in possible), best)
