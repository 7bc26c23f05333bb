"""Text of users, files and models made safe to show: nothing in it is obeyed or hidden."""

import unicodedata

_JOINERS = "\u200c\u200d"  # belong to words of some scripts and to emoji


def visible_text(text: str, keep: str = "") -> str:
    r"""Make a text safe and visible on one line, with its spaces as they are.

    Control characters (C0, DEL and C1, which a terminal obeys) become their pictures or numbers;
    so do line separators, and what is invisible or turns the writing direction.

    Args:
        text: Any text.
        keep: Characters that stay as they are, such as the line breaks of a form.

    >>> visible_text("two\twords \x1b[31m\x9b0m\x7f\u202e")
    'two␉words ␛[31m<009B>0m<007F><202E>'
    """
    return "".join(c if c in keep else _visible_character(c) for c in text)


def visible(token: str) -> str:
    r"""Make a token safe and visible in one line.

    White space becomes "␣", control characters their pictures, what would be invisible or would
    turn the writing direction its number, and a combining mark that stands alone gets a circle to
    sit on.

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
    """Say whether Unicode reserves the number as no character (XML, and so SVG, refuses them)."""
    return 0xFDD0 <= number <= 0xFDEF or number & 0xFFFE == 0xFFFE
