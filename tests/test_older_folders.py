"""Model folders of older versions load and answer as they did.

The folders of bc4d989 (November 2026) were trained there on made-up words whose letters are to be
written in upper case; `EXPECTED` is what ``kochi predict --beam 2 --json`` said there.
"""

from pathlib import Path

import pytest

from kochi import load

FOLDERS = Path(__file__).parent / "fixtures" / "models-of-bc4d989"
EXPECTED = {
    "rnn": {"abc": ("A B C", -0.20363668), "ddab": ("D D A B", -0.11397491)},
    "transformer": {"abc": ("B A C", -0.25382832), "ddab": ("D D", -0.22157061)},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_folder_answers_as_it_did(name):
    model = load(FOLDERS / name)
    for source, (text, score) in EXPECTED[name].items():
        [found] = model.predict([source], beam=2)
        assert found.text == text
        assert found.score == pytest.approx(score, abs=1e-5)
