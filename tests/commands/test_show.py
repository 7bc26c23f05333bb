import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.hearing import RATE_HZ, frames_of, samples_of
from tests.seeing import picture_of, save


def test_draws_the_alignment(kochi, tiny):
    result = kochi("show", tiny, "bead")
    assert result.code == 0, result.err
    assert result.lines[0] == "B E A D"
    assert result.lines[1].split() == ["b", "e", "a", "d", "<eos>"]
    assert [line.split()[0] for line in result.lines[2:6]] == ["B", "E", "A", "D"]


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")]
)
def test_writes_a_picture(kochi, tiny, tmp_path, name, start):
    result = kochi("show", tiny, "bead", "--out", tmp_path / name)
    assert result.code == 0, result.err
    assert (tmp_path / name).read_bytes().startswith(start)


def test_warns_of_what_was_never_seen(kochi, tiny):
    result = kochi("show", tiny, "bäd")
    assert result.code == 0
    assert result.err == "kochi: warning: INPUT: characters never seen in training: 'ä'\n"


def test_warns_of_a_file_that_is_read_as_its_name(kochi, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bead").write_text("dad")
    result = kochi("show", tiny, "bead")
    assert result.code == 0 and result.lines[0] == "B E A D"
    assert result.err.startswith("kochi: warning: bead: is a file, but this model reads text")
    assert result.err.count("\n") == 1


def test_draws_over_time(kochi, heard, tmp_path):
    np.save(tmp_path / "a.npy", np.concatenate([frames_of("abc")] * 3))
    result = kochi("show", heard, tmp_path / "a.npy")
    assert result.code == 0, result.err
    times = [label for label in result.lines[1].split() if label != "·"]
    assert times[:3] == ["0.0", "0.1", "0.2"]
    assert [line.split()[0] for line in result.lines[2:4]] == list(result.lines[0][:2])


def data_of(page):
    found = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"))
    assert found is not None
    return json.loads(found[1])


def test_writes_a_page_of_words(kochi, translator, tmp_path):
    source = (translator.parent / "test.source").read_text().splitlines()[0]
    result = kochi("show", translator, source, "--out", tmp_path / "a.html")
    assert result.code == 0, result.err
    data = data_of(tmp_path / "a.html")
    assert data["read"]["words"] == source.split()
    assert data["written"]["words"] == result.lines[0].split()
    [[rows]] = data["shares"]  # one layer, one head
    assert len(rows) == len(data["written"]["words"])
    for row in rows:
        assert len(row) == len(source.split()) + 1
        assert sum(row) == pytest.approx(1000, abs=len(row))


@pytest.mark.parametrize("name", ["heard", "listener"])
def test_writes_a_page_of_what_was_heard(kochi, request, tmp_path, name):
    model = request.getfixturevalue(name)
    if name == "heard":
        file = tmp_path / "a.npy"
        np.save(file, np.concatenate([frames_of("abc")] * 3))
    else:
        file = tmp_path / "a.wav"
        soundfile.write(file, samples_of("abc"), RATE_HZ)
    result = kochi("show", model, file, "--out", tmp_path / "a.html")
    assert result.code == 0, result.err
    data = data_of(tmp_path / "a.html")
    assert data["read"]["kind"] == "frames"
    assert len(data["written"]["starts"]) == len(data["written"]["tokens"])
    assert ('<audio id="sound"' in (tmp_path / "a.html").read_text()) == (name == "listener")


def test_a_page_without_a_folder(kochi, tiny):
    result = kochi("show", tiny, "abc", "--out", "none/a.html")
    assert result.code == 2
    assert result.err == "kochi: none/a.html: no such folder none; create it first\n"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("tiny", "a.png"),
        ("seer", "a.html"),
        pytest.param("tiny", "a.html", marks=pytest.mark.slow),
        pytest.param("seer", "a.png", marks=pytest.mark.slow),
    ],
)
def test_writes_whoever_reads_what_is_printed(request, tmp_path, model, name):
    """The reader has gone before the first line, as ``head`` may: the file is there and whole."""
    source = "bead"
    if model == "seer":
        source = tmp_path / "red.png"
        save(picture_of(("red", "green")), source)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "kochi", "show", request.getfixturevalue(model), source]
    done = subprocess.run(
        [*command, "--out", tmp_path / name], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
    content = (tmp_path / name).read_bytes()
    assert content.endswith(b"</html>\n" if name == "a.html" else b"IEND\xaeB`\x82")


def test_a_recording_is_drawn_with_its_spectrogram(kochi, heard, tmp_path):
    np.save(tmp_path / "abc.npy", frames_of("abc"))
    result = kochi("show", heard, tmp_path / "abc.npy", "--out", tmp_path / "abc.svg")
    assert result.code == 0, result.err
    assert result.lines[0] == "abc"
    drawn = (tmp_path / "abc.svg").read_text()
    assert ">seconds<" in drawn and drawn.count(">abc<") == 1  # the word below
    assert "abc.npy → abc<" in drawn  # the title
