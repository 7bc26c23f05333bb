import tomllib

from kochi.config import RnnModel, TransformerModel, read_run
from kochi.modalities.detection.start import start
from kochi.modalities.pairs import read_pairs
from kochi.modalities.text.tables import ParallelData


def write_parallel(folder, count, splits=("train",)):
    for split in splits:
        rows = [f"this is sentence number{i} of quite a few{i % 97}" for i in range(count)]
        (folder / f"{split}.en").write_text("\n".join(rows) + "\n")
        (folder / f"{split}.de").write_text("\n".join(row.upper() for row in rows) + "\n")


def test_every_value_of_a_large_run_file_is_accepted(tmp_path):
    write_parallel(tmp_path, 20_500, ("train", "dev", "test"))
    started = start(tmp_path / "train.en", tmp_path / "run.toml", "out")
    assert started.num_pairs == 20_500
    run = read_run(tmp_path / "run.toml")
    assert isinstance(run.model, TransformerModel)
    assert isinstance(run.data, ParallelData)
    assert run.data.source == run.data.target
    assert sum(1 for _ in read_pairs(run.data, "dev")) == 20_500


def test_the_run_file_holds_what_was_guessed_for_the_pairs(tmp_path):
    sizes = {}
    for count in (60, 6_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        write_parallel(folder, count, ("train", "dev"))
        start(folder / "train.en", folder / "run.toml", "out")
        run = read_run(folder / "run.toml")
        assert isinstance(run.model, RnnModel)
        assert run.training.schedule.kind == "cosine"
        assert run.training.patience is None  # an early stop would cut the schedule off
        sizes[count] = (run.model.hidden_size, run.training.batch_tokens)
    assert sizes[60] < sizes[6_000]


def test_only_dev_is_split_off_where_test_is_there(tmp_path):
    write_parallel(tmp_path, 60)
    write_parallel(tmp_path, 7, ("test",))
    started = start(tmp_path / "train.en", tmp_path / "run.toml", "out")
    run = read_run(tmp_path / "run.toml")
    counts = [sum(1 for _ in read_pairs(run.data, split)) for split in ("train", "dev", "test")]
    assert counts == [57, 3, 7]
    assert any("no dev file found" in note for note in started.notes)


def test_jsonl_with_several_references(tmp_path):
    rows = [f'{{"source": "word{i}", "target": ["a b", "c"]}}' for i in range(30)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows) + "\n")
    start(tmp_path / "pairs.jsonl", tmp_path / "run.toml", "out")
    run = read_run(tmp_path / "run.toml")
    assert (
        sum(1 for _ in read_pairs(run.data, "train"))
        + 2
        * len({pair.source for split in ("dev", "test") for pair in read_pairs(run.data, split)})
        == 60
    )


def test_data_elsewhere_are_named_in_full(tmp_path):
    (tmp_path / "here").mkdir()
    write_parallel(tmp_path, 9, ("train", "dev"))
    start(tmp_path / "train.en", tmp_path / "here" / "run.toml", "out")
    tree = tomllib.loads((tmp_path / "here" / "run.toml").read_text())
    assert tree["data"]["dev"]["source"] == str(tmp_path / "dev.en")
    assert read_run(tmp_path / "here" / "run.toml").output == tmp_path / "here" / "out"


def test_too_few_pairs_are_all_trained_on(tmp_path):
    (tmp_path / "a.tsv").write_text("a\tb\nc\td\n")
    started = start(tmp_path / "a.tsv", tmp_path / "run.toml", "out")
    assert any("2 different sources are too few to set some aside" in n for n in started.notes)
    run = read_run(tmp_path / "run.toml")
    assert (started.num_pairs, run.data.dev, run.data.test) == (2, None, None)
