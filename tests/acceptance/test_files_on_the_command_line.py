"""Files are answered with their names, and a file on standard input is read as such."""

import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.hearing import RATE_HZ, frames_of, samples_of
from tests.seeing import picture_of, save


def test_answers_with_names(kochi, seer, tmp_path):
    files = {}
    for names in (("red",), ("blue", "red")):
        file = tmp_path / f"{len(names)}.png"
        save(picture_of(names), file)
        files[file] = " ".join(names)
    result = kochi("predict", seer, "--with-names", *files, tmp_path / "no.png")
    assert result.code == 1
    assert result.lines == [
        *(f"{file}\t{text}" for file, text in files.items()),
        f"{tmp_path / 'no.png'}\t",
    ]
    [file, *_] = files
    lines = kochi("predict", seer, "--with-names", "--n-best", 2, "--beam", 2, file).lines
    assert [line.split("\t")[:2] for line in lines] == [[str(file), "1"]] * 2


def test_names_that_have_no_meaning_are_refused(kochi, tiny, seer, tmp_path):
    result = kochi("predict", tiny, "--with-names", stdin=b"a\n")
    assert result.code == 2 and "--with-names: this model reads lines of text" in result.err
    result = kochi("predict", seer, "--with-names", "--json", tmp_path / "a.png")
    assert result.code == 2 and "--json names each source" in result.err


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "gif", "bmp", "tiff"])
def test_a_picture_on_standard_input(kochi, seer, tmp_path, form):
    pixels = picture_of(("green", "blue"))
    Image.fromarray(pixels).save(tmp_path / "a", form)
    content = (tmp_path / "a").read_bytes()
    assert kochi("predict", seer, stdin=content).out == "green blue\n"
    record = json.loads(kochi("predict", seer, "-", "--json", stdin=content).out)
    assert record["source"] == "standard input"
    assert record["grid_box"][:2] == [0.0, 0.0]


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "AIFF", "AU", "MP3"])
def test_a_recording_on_standard_input(kochi, listener, tmp_path, form):
    soundfile.write(tmp_path / "a", np.tile(samples_of("abc"), 4), RATE_HZ, format=form)
    content = (tmp_path / "a").read_bytes()
    result = kochi("predict", listener, stdin=content)
    assert result.code == 0, result.err
    assert result.out == kochi("predict", listener, tmp_path / "a").out


def test_arrays_on_standard_input(kochi, heard, tmp_path):
    np.save(tmp_path / "a.npy", frames_of("ab"))
    np.savez(tmp_path / "a.npz", one=frames_of("c"), two=frames_of("ba"))
    for name, expected in (("a.npy", ["ab"]), ("a.npz", ["c", "ba"])):
        assert kochi("predict", heard, stdin=(tmp_path / name).read_bytes()).lines == expected


def test_names_on_standard_input_stay_names(kochi, seer, tmp_path, monkeypatch):
    """Even where they begin as a file of pictures or sound does."""
    monkeypatch.chdir(tmp_path)
    names = ["BMW.png", "RIFF.png", "GIF8.png", "IDé.png"]
    for name in names:
        save(picture_of(("red",)), tmp_path / name)
    listed = "".join(f"{name}\n" for name in names).encode()
    assert kochi("predict", seer, stdin=listed).lines == ["red"] * 4
    result = kochi("predict", seer, "--with-names", "-", names[0], stdin=b"\nBMW.png\n")
    assert result.lines == ["\t", "BMW.png\tred", "BMW.png\tred"]


def test_a_broken_picture_on_standard_input(kochi, seer):
    result = kochi("predict", seer, stdin=b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    assert (result.code, result.out) == (1, "\n")
    assert result.err.startswith("kochi: warning: standard input: ")


def test_a_name_that_is_not_text_costs_only_itself(kochi, seer, tmp_path):
    save(picture_of(("red",)), tmp_path / "a.png")
    result = kochi("predict", seer, stdin=f"{tmp_path / 'a.png'}\n".encode() * 2 + b"\x1b\xe4\n")
    assert (result.code, result.lines) == (1, ["red", "red", ""])
    assert result.err.startswith("kochi: warning: standard input:3: not UTF-8: byte 0xe4")
    result = kochi("predict", seer, stdin=b"\x1b[31m.png\n")
    assert "\x1b" not in result.err and "[31m.png: no such file" in result.err
