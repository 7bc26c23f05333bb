"""Output of the command, made safe for terminals.

File names, texts and predictions may contain characters that a terminal interprets: ESC and the C1
controls can set its title or remap its keyboard; line breaks and direction overrides can forge what
the user reads. Messages are therefore always escaped (`visible_text`). Predictions are data: they
are written unchanged to a file or a pipe, but escaped in a terminal.
"""

import json
import sys
from typing import Any

from kochi.visible import visible_text

_LINE_BREAKS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
_FORM = "\t\n"  # separate lines of predictions; harmless


def say(text: str = "", *, error: bool = False) -> None:
    """Print one line of a message.

    Args:
        text: The line; control characters, including line breaks, are escaped.
        error: Print it to stderr, so that it does not mix with predictions.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:  # it was closed before the command began
        return
    stream.write(_encodable(visible_text(text), stream) + "\n")
    if error:
        stream.flush()


def put(text: str, end: str = "\n") -> None:
    """Print one or more lines of predictions; tabs and line breaks are kept."""
    if sys.stdout is None:
        return
    if sys.stdout.isatty():
        text = _encodable(visible_text(text, keep=_FORM), sys.stdout)
    sys.stdout.write(text + end)


def put_json(record: Any) -> None:
    """Print a value as a line of JSON, with control characters escaped in a terminal.

    Unicode line breaks are always escaped, since many programs end a line there.
    """
    text = json.dumps(record, ensure_ascii=False).translate(_LINE_BREAKS)
    if sys.stdout is not None and sys.stdout.isatty():
        text = "".join(c if visible_text(c) == c else json.dumps(c)[1:-1] for c in text)
    put(text)


def draw(drawing: Any) -> None:
    """Print a rich renderable; its labels must already be escaped."""
    from rich.console import Console

    Console(highlight=False).print(drawing)


class Guarded:
    """A stream that escapes everything written to it, such as warnings and tracebacks.

    Attributes:
        unguarded: The underlying stream, for drawings.
    """

    def __init__(self, stream: Any) -> None:
        self.unguarded = stream

    def write(self, text: str) -> int:
        """Write text; line breaks and tabs are kept."""
        return self.unguarded.write(visible_text(text, keep=_FORM))

    def flush(self) -> None:
        """Flush the underlying stream."""
        self.unguarded.flush()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self.unguarded.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


def guard_stderr() -> None:
    """Escape everything that other code writes to stderr from now on."""
    if sys.stderr is not None and not isinstance(sys.stderr, Guarded):
        sys.stderr = Guarded(sys.stderr)


def unguarded(stream: Any) -> Any:
    """Return the stream underlying a `Guarded` one, or the stream itself."""
    return stream.unguarded if isinstance(stream, Guarded) else stream


def _encodable(text: str, stream: Any) -> str:
    """Escape characters that the stream's encoding lacks, such as symbols of control characters."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
