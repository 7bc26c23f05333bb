import pytest

from kochi.config import read_run
from kochi.modalities.text.tables import TsvData


@pytest.fixture
def words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"w{i}x\tW {i % 7} X" for i in range(100)]
    (tmp_path / "words.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_writes_a_run_file_that_is_accepted(kochi, words):
    result = kochi("init", "words.tsv")
    assert result.code == 0, result.err
    assert result.lines[-1] == "wrote run.toml; next: kochi train run.toml"
    assert "train 90, dev 5, test 5" in result.out
    run = read_run(words / "run.toml")
    assert isinstance(run.data, TsvData)
    assert (run.data.source.tokens, run.data.target.tokens) == ("characters", "whitespace")
    assert (words / "run-data" / "train.tsv").read_text().startswith("source\ttarget\nw")
    assert run.output == words / "model"


def test_an_existing_run_file_is_kept(kochi, words):
    (words / "run.toml").write_text("mine")
    result = kochi("init", "words.tsv")
    assert result.code == 2
    assert result.err == (
        "kochi: run.toml: already exists; choose another name with --out, or --overwrite\n"
    )
    assert (words / "run.toml").read_text() == "mine"
    assert kochi("init", "words.tsv", "--overwrite").code == 0


def test_the_same_data_split_the_same_way(kochi, words):
    for name in ("a", "b"):
        assert kochi("init", "words.tsv", "--out", f"{name}.toml").code == 0
    first, second = (words / f"{name}-data" / "dev.tsv" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert kochi("init", "words.tsv", "--out", "c.toml", "--seed", 2).code == 0
    assert (words / "c-data" / "dev.tsv").read_bytes() != first.read_bytes()


def test_a_folder_that_is_missing(kochi, words):
    result = kochi("init", "words.tsv", "--out", "no/run.toml")
    assert result.code == 2
    assert result.err == "kochi: no/run.toml: the folder no does not exist; create it first\n"
