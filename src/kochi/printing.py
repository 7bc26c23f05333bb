"""All that the command prints: the one way to the terminal, safe for it.

Names of files, texts and answers of models may hold characters that a terminal obeys: ESC and the
C1 controls set its title or its keyboard, line breaks and overrides of the writing direction forge
what the user reads. What is for people is therefore always made visible (`visible_text`). Answers
are data: in a file or a pipe they stay as they are, in a terminal they are made visible, too.
"""

import json
import sys
from typing import Any

from kochi.visible import visible_text

_LINE_BREAKS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
_FORM = "\t\n"  # what holds lines of answers together; harmless


def say(text: str = "", *, error: bool = False) -> None:
    """Print one line for people.

    Args:
        text: The line; what a terminal would obey is spelt out, line breaks included.
        error: Print it on stderr, so that it never mixes with answers.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:  # it was closed before the command began
        return
    stream.write(_encodable(visible_text(text), stream) + "\n")
    if error:
        stream.flush()


def put(text: str, end: str = "\n") -> None:
    """Print an answer, or some lines of answers; tabs and line breaks in it are kept."""
    if sys.stdout is None:
        return
    if sys.stdout.isatty():
        text = _encodable(visible_text(text, keep=_FORM), sys.stdout)
    sys.stdout.write(text + end)


def put_json(record: Any) -> None:
    """Print a value as a line of JSON; in a terminal with escapes for what it would obey.

    What Unicode calls a line break is escaped everywhere, as many programs end a line there.
    """
    text = json.dumps(record, ensure_ascii=False).translate(_LINE_BREAKS)
    if sys.stdout is not None and sys.stdout.isatty():
        text = "".join(c if visible_text(c) == c else json.dumps(c)[1:-1] for c in text)
    put(text)


def draw(drawing: Any) -> None:
    """Print what rich draws in colours; its labels are visible already."""
    from rich.console import Console

    Console(highlight=False).print(drawing)


class Guarded:
    """A stream that makes visible what is written to it, such as others' warnings and tracebacks.

    Attributes:
        unguarded: The stream behind it, for drawings.
    """

    def __init__(self, stream: Any) -> None:
        self.unguarded = stream

    def write(self, text: str) -> int:
        """Write some text; line breaks and tabs are kept."""
        return self.unguarded.write(visible_text(text, keep=_FORM))

    def flush(self) -> None:
        """Let it be seen."""
        self.unguarded.flush()

    def isatty(self) -> bool:
        """Say whether it is a terminal."""
        return self.unguarded.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


def guard_stderr() -> None:
    """Make visible what others write to stderr, from now on."""
    if sys.stderr is not None and not isinstance(sys.stderr, Guarded):
        sys.stderr = Guarded(sys.stderr)


def unguarded(stream: Any) -> Any:
    """Return the stream behind a `Guarded` one, or the stream itself."""
    return stream.unguarded if isinstance(stream, Guarded) else stream


def _encodable(text: str, stream: Any) -> str:
    """Spell out what the stream's encoding lacks, such as the pictures of control characters."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
