import pytest

from kochi.timestamps import Timed
from kochi.view.subtitles import clock, cues, srt, vtt


def test_lines_end_at_pauses_and_where_they_get_long():
    words = [Timed("word", 0.4 * i, 0.4 * i + 0.3) for i in range(20)]
    lines = cues(words)
    assert all(len(line.text) <= 42 for line in lines)
    assert all(line.end_seconds - line.start_seconds <= 6 for line in lines)
    assert " ".join(line.text for line in lines) == " ".join(["word"] * 20)
    assert [len(line.text.split()) for line in lines] == [8, 8, 4]
    late = [Timed("a", 0.0, 1.0), Timed("b", 1.6, 2.0), Timed("c", 2.8, 3.0)]
    assert [line.text for line in cues(late)] == ["a b", "c"]
    slow = [Timed(str(i), 3.0 * i, 3.0 * i + 3) for i in range(3)]
    assert [line.text for line in cues(slow)] == ["0 1", "2"]
    assert cues([]) == []


def test_files():
    words = [Timed("a&b", 0.25, 0.5), Timed("c", 3600.0, 3601.0)]
    assert srt(words) == (
        "1\n00:00:00,250 --> 00:00:00,500\na&b\n\n2\n01:00:00,000 --> 01:00:01,000\nc\n"
    )
    assert vtt(words) == (
        "WEBVTT\n\n1\n00:00:00.250 --> 00:00:00.500\na&amp;b\n\n"
        "2\n01:00:00.000 --> 01:00:01.000\nc\n"
    )


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, "00:00:00.000"), (59.9996, "00:01:00.000")]
)
def test_clock(seconds, expected):
    assert clock(seconds) == expected
