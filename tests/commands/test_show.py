import numpy as np
import pytest

from tests.hearing import frames_of


def test_draws_the_alignment(kochi, tiny):
    result = kochi("show", tiny, "bead")
    assert result.code == 0, result.err
    assert result.lines[0] == "B E A D"
    assert result.lines[1].split() == ["b", "e", "a", "d", "<eos>"]
    assert [line.split()[0] for line in result.lines[2:6]] == ["B", "E", "A", "D"]


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_writes_a_picture(kochi, tiny, tmp_path, name, start):
    result = kochi("show", tiny, "bead", "--out", tmp_path / name)
    assert result.code == 0, result.err
    assert (tmp_path / name).read_bytes().startswith(start)


def test_warns_of_what_was_never_seen(kochi, tiny):
    result = kochi("show", tiny, "bäd")
    assert result.code == 0
    assert result.err == "kochi: warning: INPUT: characters never seen in training: 'ä'\n"


def test_draws_over_time(kochi, heard, tmp_path):
    np.save(tmp_path / "a.npy", np.concatenate([frames_of("abc")] * 3))
    result = kochi("show", heard, tmp_path / "a.npy")
    assert result.code == 0, result.err
    times = [label for label in result.lines[1].split() if label != "·"]
    assert times[:3] == ["0.0", "0.1", "0.2"]
    assert [line.split()[0] for line in result.lines[2:4]] == list(result.lines[0][:2])


def test_a_recording_is_drawn_with_its_spectrogram(kochi, heard, tmp_path):
    np.save(tmp_path / "abc.npy", frames_of("abc"))
    result = kochi("show", heard, tmp_path / "abc.npy", "--out", tmp_path / "abc.svg")
    assert result.code == 0, result.err
    assert result.lines[0] == "abc"
    drawn = (tmp_path / "abc.svg").read_text()
    assert ">seconds<" in drawn and drawn.count(">abc<") == 2  # the title, and the word below
