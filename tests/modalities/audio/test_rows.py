from pathlib import Path

import pytest

from kochi.data.manifest import Row
from kochi.errors import UserError
from kochi.modalities.audio.files import Recording
from kochi.modalities.audio.rows import folder_recordings, row_recording
from kochi.modalities.audio.tables import SoundData


def data(**changed):
    table = {"kind": "sound", "folder": "/d", "train": "a.tsv", **changed}
    return SoundData.model_validate(table)


def row(**cells):
    return Row("a.tsv:2", cells)


@pytest.mark.parametrize(
    ("cells", "changed", "expected"),
    [
        ({"audio": "x y.wav"}, {}, Recording((Path("/d/x y.wav"),))),
        ({"audio": "/e/x.wav"}, {}, Recording((Path("/e/x.wav"),))),
        ({"audio": "x.wav", "start": "1.5", "end": ""}, {}, Recording((Path("/d/x.wav"),), 1.5)),
        ({"audio": "x.wav", "start": 1, "end": 2}, {}, Recording((Path("/d/x.wav"),), 1.0, 2.0)),
        (
            {"audio": "x.wav y.wav"},
            {"joined_by": " ", "audio_folder": "w"},
            Recording((Path("/d/w/x.wav"), Path("/d/w/y.wav"))),
        ),
        ({"audio": ["x", "y"]}, {}, Recording((Path("/d/x"), Path("/d/y")))),
    ],
)
def test_rows(cells, changed, expected):
    assert row_recording(row(**cells), data(**changed)) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"text": "a"}, r"a\.tsv:2: column 'audio' is missing; found: text"),
        ({"audio": ""}, r"a\.tsv:2: 'audio' is empty"),
        ({"audio": 5}, r"a\.tsv:2: 'audio' is 5, expected paths"),
        ({"audio": "x", "start": "soon"}, r"a\.tsv:2: 'start' is 'soon', expected seconds"),
        ({"audio": "x", "end": "nan"}, r"a\.tsv:2: 'end' is 'nan', expected seconds"),
        ({"audio": "x", "start": 3, "end": 2}, r"a\.tsv:2: /d/x: found start 3 s, end 2 s"),
    ],
)
def test_wrong_rows(cells, expected):
    with pytest.raises(UserError, match=expected):
        row_recording(row(**cells), data())


def test_a_folder_with_a_text_beside_each_recording(tmp_path):
    (tmp_path / "b").mkdir()
    for name, text in (("b/1.WAV", "one two\n"), ("a.flac", "three"), ("c.ogg", "\n four\n")):
        (tmp_path / name).touch()
        (tmp_path / name).with_suffix(".txt").write_text(text)
    found = [(str(path.relative_to(tmp_path)), text) for path, text in folder_recordings(tmp_path)]
    assert found == [("a.flac", "three"), ("b/1.WAV", "one two"), ("c.ogg", " four")]
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    with pytest.raises(UserError, match=r"a\.txt: found 2 lines; expected one line"):
        list(folder_recordings(tmp_path))
    (tmp_path / "a.txt").write_text("\n")
    with pytest.raises(UserError, match=r"a\.txt: found no text"):
        list(folder_recordings(tmp_path))
    (tmp_path / "a.txt").unlink()
    with pytest.raises(UserError, match=r"a\.txt: no such file; expected the text"):
        list(folder_recordings(tmp_path))


def test_a_folder_without_recordings(tmp_path):
    with pytest.raises(UserError, match="holds no recordings"):
        list(folder_recordings(tmp_path))
