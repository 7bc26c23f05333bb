"""Subtitles from words and their timestamps: SubRip (.srt) and WebVTT (.vtt)."""

from collections.abc import Iterator, Sequence

from kochi.timestamps import Timed

MOST_CHARACTERS = 42
MOST_SECONDS = 6.0
PAUSE_SECONDS = 0.7


def cues(words: Sequence[Timed]) -> list[Timed]:
    """Group words into subtitle lines.

    A line ends before a pause longer than ``PAUSE_SECONDS``, or when it would exceed
    ``MOST_CHARACTERS`` or ``MOST_SECONDS``.

    >>> cues([Timed("a", 0.0, 0.5), Timed("b", 0.5, 1.0), Timed("c", 2.0, 2.5)])[0]
    Timed(text='a b', start_seconds=0.0, end_seconds=1.0)
    """
    lines: list[Timed] = []
    for word in words:
        last = lines[-1] if lines else None
        if (
            last is None
            or word.start_seconds - last.end_seconds > PAUSE_SECONDS
            or len(last.text) + 1 + len(word.text) > MOST_CHARACTERS
            or word.end_seconds - last.start_seconds > MOST_SECONDS
        ):
            lines.append(word)
        else:
            joined = f"{last.text} {word.text}"
            lines[-1] = Timed(joined, last.start_seconds, word.end_seconds)
    return lines


def srt(words: Sequence[Timed]) -> str:
    """Format words as SubRip.

    >>> print(srt([Timed("hello", 0.5, 61.25)]))
    1
    00:00:00,500 --> 00:01:01,250
    hello
    <BLANKLINE>
    """
    return "\n".join(_lines(cues(words), ","))


def vtt(words: Sequence[Timed]) -> str:
    """Format words as WebVTT (https://www.w3.org/TR/webvtt1/); "&" and "<" are escaped.

    >>> print(vtt([Timed("<b>", 0.5, 1.0)]))
    WEBVTT
    <BLANKLINE>
    1
    00:00:00.500 --> 00:00:01.000
    &lt;b&gt;
    <BLANKLINE>
    """
    escaped = [
        Timed(_escape(word.text), word.start_seconds, word.end_seconds) for word in cues(words)
    ]
    return "\n".join(["WEBVTT", "", *_lines(escaped, ".")])


def _lines(shown: Sequence[Timed], point: str) -> Iterator[str]:
    for number, cue in enumerate(shown, 1):
        yield str(number)
        yield f"{clock(cue.start_seconds, point)} --> {clock(cue.end_seconds, point)}"
        yield cue.text
        yield ""


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clock(seconds: float, point: str = ".") -> str:
    """Format seconds as hours, minutes, seconds and milliseconds.

    >>> clock(3661.0005)
    '01:01:01.000'
    """
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}{point}{milliseconds:03d}"
