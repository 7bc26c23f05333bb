"""At each evaluation dev rows are shown with what the model writes, always the same ones."""

import csv
from pathlib import Path

import pytest

from tests.seeing import write_pictures


def train(kochi, run_file: Path, *changes: str, resume: bool = False):
    options = [part for one in changes for part in ("--set", one)]
    result = kochi("train", run_file, *options, *(["--resume"] if resume else ["--overwrite"]))
    assert result.code == 0, result.err
    return result.err.splitlines()


LEARNS = ("training.max_steps=40", "training.evaluate_every=40", "training.learning_rate=0.02")
TWICE = ("training.max_steps=4", "training.evaluate_every=2")


def shown(lines: list[str], name: str) -> list[str]:
    return [line.split(None, 1)[1] for line in lines if line.startswith(f"  {name} ")]


def test_two_rows_spread_over_dev(kochi, task):
    lines = train(kochi, task, *TWICE)
    rows = [row.split("\t") for row in (task.parent / "dev.tsv").read_text().splitlines()[1:]]
    chosen = [rows[len(rows) // 4], rows[3 * len(rows) // 4]]
    assert shown(lines, "source") == [row[0] for row in chosen] * 2
    assert shown(lines, "target") == [row[1] for row in chosen] * 2
    evaluations = [i for i, line in enumerate(lines) if " dev loss " in line and "step" in line]
    assert [line[:8] for line in lines[evaluations[0] + 1 : evaluations[0] + 4]] == [
        "  source",
        "  target",
        "  predic",
    ]


def test_the_prediction_is_that_of_greedy_search(kochi, tiny):
    import kochi as library

    log = tiny / "training" / "examples.csv"
    with log.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    last = [row for row in rows if row["step"] == rows[-1]["step"]]
    assert len(last) == 2 and len(rows) > 2
    predictor = library.load(tiny)
    best = predictor.metrics["best"]["step"]
    chosen = [row for row in rows if int(row["step"]) == best]
    for row in chosen:
        [found] = predictor.predict([row["source"]], beam=1)
        assert row["prediction"] == found.text


def test_how_many_is_an_option(kochi, task):
    assert not shown(train(kochi, task, *TWICE, "training.examples=0"), "source")
    assert len(shown(train(kochi, task, *TWICE, "training.examples=3"), "source")) == 6


def test_they_are_shown_where_only_the_loss_is_measured(kochi, task):
    assert len(shown(train(kochi, task, *TWICE, "training.metric=loss"), "prediction")) == 4


def test_weights_do_not_depend_on_them(kochi, task):
    weights = []
    for number in ("0", "2"):
        train(kochi, task, *TWICE, f"training.examples={number}")
        weights.append((task.parent / "model" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    train(kochi, task, "training.max_steps=8", TWICE[1], "training.examples=1", resume=True)


def test_the_loggers_have_them_with_their_alignment(kochi, task):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(kochi, task, *TWICE)
    board = EventAccumulator(str(task.parent / "model" / "training" / "tensorboard")).Reload()
    texts = board.Tensors("dev/example_1/text_summary")
    assert [one.step for one in texts] == [2, 4]
    text = texts[0].tensor_proto.string_val[0].decode()
    assert "source" in text and "target" in text and "prediction" in text
    [picture] = board.Images("dev/example_alignments")
    assert picture.step == 4 and picture.height > 50  # a short run draws the last ones
    assert "dev/greedy_per" in board.Tags()["scalars"]


@pytest.mark.parametrize("kind", ["pictures", "sounds"])
def test_recordings_and_pictures_show_their_names_and_alignments(kochi, kind, tmp_path, sound_task):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_file, ending = sound_task, ".wav"
    if kind == "pictures":
        (tmp_path / "seen").mkdir()
        run_file, ending = write_pictures(tmp_path / "seen"), ".png"
    sources = shown(train(kochi, run_file, *LEARNS), "source")
    assert len(sources) == 2 and all(source.endswith(ending) for source in sources)
    board = EventAccumulator(str(run_file.parent / "model" / "training" / "tensorboard")).Reload()
    for number in (1, 2):
        [picture] = board.Images(f"dev/example_{number}_alignment")
        assert picture.width > 300 and picture.height > 100
