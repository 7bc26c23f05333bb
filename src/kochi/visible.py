"""Escape text from users, files and models, so that nothing is interpreted or invisible."""

import unicodedata

_JOINERS = "\u200c\u200d"  # belong to words of some scripts and to emoji


def visible_text(text: str, keep: str = "") -> str:
    r"""Escape a text to one safe and visible line; spaces are kept.

    Control characters (C0, DEL and C1, which a terminal interprets), line separators, invisible
    characters and those that change the writing direction are replaced by symbols or numbers.

    Args:
        text: Any text.
        keep: Characters to keep, such as line breaks.

    >>> visible_text("two\twords \x1b[31m\x9b0m\x7f\u202e")
    'two␉words ␛[31m<009B>0m<007F><202E>'
    """
    return "".join(c if c in keep else _visible_character(c) for c in text)


def visible(token: str) -> str:
    r"""Escape a token to one safe and visible line.

    White space becomes "␣"; control characters become symbols; invisible characters and those that
    change the writing direction become numbers; a lone combining mark gets a dotted circle.

    >>> visible(" "), visible("a\tb"), visible("\u0301"), visible("\u202e")
    ('␣', 'a␉b', '◌́', '<202E>')
    """
    if not token:
        return "∅"
    spaced = (unicodedata.category(character).startswith("Z") for character in token)
    pairs = zip(token, spaced, strict=True)
    shown = "".join("␣" if space else _visible_character(one) for one, space in pairs)
    alone = unicodedata.category(token[0]).startswith("M")
    return f"◌{shown}" if alone else shown


def _visible_character(character: str) -> str:
    category, number = unicodedata.category(character), ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    hidden = category in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
    return f"<{number:04X}>" if hidden or _is_noncharacter(number) else character


def _is_noncharacter(number: int) -> bool:
    """Return whether the code point is a noncharacter, which XML (and so SVG) forbids."""
    return 0xFDD0 <= number <= 0xFDEF or number & 0xFFFE == 0xFFFE
