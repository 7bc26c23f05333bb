"""Every study: cells that can be built, a report of whatever there is, and a small one for real."""

import dataclasses
import json
import re

import pytest
import torch

from kochi.data.pairs import read_pairs
from kochi.folder import load_folder
from kochi.studies import hard, pace
from kochi.studies import task as tasks
from kochi.studies.names import STUDIES
from kochi.studies.speech import write_speech
from kochi.studies.study import Options, do
from kochi.studies.timed import StepCost
from kochi.studies.trained import Trained
from tests.commands.test_bad_input import complaint


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The default task of a study, with little data."""
    folder = tmp_path_factory.mktemp("made-up")

    def default(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tasks, "SIZES", {"train": 300, "dev": 10, "test": 30})
            patch.setattr(tasks, "LONG_SIZE", 60)
            patch.setattr(tasks, "SPOKEN_SIZES", {"train": 40, "dev": 5, "test": 22})
            return STUDIES[name].default(folder, 64)

    return default


@pytest.mark.parametrize("name", STUDIES)
def test_question_expectation_and_source_stand_in_the_file(name):
    text = " ".join(STUDIES[name].text.split())
    assert STUDIES[name].question.endswith("?")
    assert "Expected: " in text
    assert re.search(r"https://(arxiv|aclanthology)\.org/\S+", text)


@pytest.mark.parametrize("name", STUDIES)
def test_cells_can_be_built_and_nothing_found_is_reported(name, small):
    study, task = STUDIES[name], small(name)
    study.check(task)
    cells = study.cells(task, 1)
    for cell in cells.values():
        cell.check()
    assert len({cell.name for cell in cells.values()}) >= len(cells) - 1
    assert cells.keys() == study.cells(task, 2).keys()
    names = {cell.name for cell in cells.values()}
    assert not names & {cell.name for cell in study.cells(task, 2).values()}
    report = study.report(task, {label: [] for label in cells})
    assert {claim.outcome for claim in report.claims} <= {"not measured"}


@pytest.mark.slow
@pytest.mark.usefixtures("shapes_unchecked")  # they take a third of the time
@pytest.mark.parametrize("name", STUDIES)
def test_a_small_study_for_real(name, small, tmp_path, monkeypatch):
    """A few steps of the smallest models; every figure is there and every claim is judged."""
    for module, sizes in (("parallel", (4, 8)), ("cost", (4, 8))):
        monkeypatch.setattr(f"kochi.studies.{module}.LENGTHS", sizes)
        monkeypatch.setattr(f"kochi.studies.{module}.USUAL", sizes[-1])
    monkeypatch.setattr("kochi.studies.parallel.WORDS", 32)
    monkeypatch.setattr("kochi.studies.focus.FEWEST", 1)
    monkeypatch.setattr("kochi.studies.local.LENGTH", 12)
    default = small(name)
    training = default.run.training.model_copy(update={"max_steps": 6})
    search = default.run.search.model_copy(update={"max_length_ratio": 0.5, "max_length_extra": 2})
    run = default.run.model_copy(update={"training": training, "search": search})
    task = dataclasses.replace(default, run=run, size=8)
    said = []
    reports = do({STUDIES[name]: task}, Options(tmp_path, seeds=2), said.append)
    assert said and not any("left out" in line for line in said)
    report = reports[name]
    assert report.claims
    outcomes = [claim.outcome for claim in report.claims]
    if name == "cost":  # of so small steps what attention adds may be less than the noise
        outcomes = outcomes[1:]
    assert "not measured" not in outcomes
    record = json.loads((tmp_path / name / "report.json").read_text())
    assert record["about"]["seeds"] == 2
    again = []
    do({STUDIES[name]: task}, Options(tmp_path, seeds=2), again.append)
    assert again == []


@pytest.mark.parametrize("name", ["cost", "parallel"])
def test_steps_have_the_vocabularies_of_the_data(name, small):
    """A larger vocabulary is a larger model, and another measurement."""
    task = small(name)
    words = {token for pair in read_pairs(task.run.data, "train") for token in pair.source.split()}
    cells = STUDIES[name].cells(task, 1).values()
    steps = [cell for cell in cells if isinstance(cell, StepCost)]
    assert len(steps) == len(cells)
    assert {cell.vocabularies[0] for cell in steps} == {len(words) + 4}
    other = [dataclasses.replace(cell, vocabularies=(900, 900)) for cell in steps]
    assert not {cell.name for cell in steps} & {cell.name for cell in other}


def test_hard_attention_begins_with_the_soft_weights(small, tmp_path):
    """A step that moves nothing shows where it began."""
    default = small("hard")
    changes = {"max_steps": 1, "learning_rate": 1e-9, "evaluate_every": 1}
    run = default.run.model_copy(
        update={"training": default.run.training.model_copy(update=changes)}
    )
    cells = STUDIES["hard"].cells(dataclasses.replace(default, run=run, size=8), 1)
    later, soft, mixed = cells[hard.LATER], cells["soft"], cells[hard.MIXED]
    assert isinstance(later, Trained) and isinstance(soft, Trained) and isinstance(mixed, Trained)
    assert later.after == (soft,) and mixed.after == ()
    assert later.model == mixed.model and later.name != mixed.name and later.kin != mixed.kin
    other = dataclasses.replace(soft, seed=2)  # the same seed draws the same weights
    chosen = dataclasses.replace(later, start=other), other, mixed
    begun, old, new = (load_folder(cell.train(tmp_path)).weights for cell in chosen)
    assert all(torch.allclose(begun[name], old[name], atol=1e-6) for name in old)
    assert not all(torch.allclose(begun[name], new[name], atol=1e-6) for name in new)


def test_own_pairs(kochi, task, tmp_path, monkeypatch):
    """Letters and their names: no right links, so no alignment error; characters are read."""
    monkeypatch.chdir(tmp_path)
    changes = ("--set", "training.max_steps=3", "--size", 8, "--seeds", 1, "--out", "found")
    result = kochi("study", "sparse", "--data", task, *changes)
    assert result.code == 0, result.err
    table = (tmp_path / "found" / "sparse" / "table.csv").read_text()
    assert "PER, %" in table
    assert (tmp_path / "found" / "index.html").exists()


def test_own_recordings(kochi, tmp_path, monkeypatch):
    """A manifest is all that is needed; the studies of text are left out."""
    monkeypatch.chdir(tmp_path)
    write_speech(tmp_path / "own", {"train": 30, "dev": 5, "test": 22})
    changes = ("--set", "training.max_steps=3", "--set", "model.hidden_size=8")
    changes += ("--set", "model.encoder.hidden_size=8", "--set", "model.embedding_size=8")
    result = kochi("study", "all", "--data", "own/train.tsv", *changes, "--seeds", 1)
    assert result.code == 0, result.err
    assert "left out, as they need other data: focus, cost, " in result.err
    record = json.loads((tmp_path / "studies" / "long-speech" / "report.json").read_text())
    assert "22 of 1, 11 of 2, 4 of 5, 2 of 10" in record["notes"][0]
    assert [len(row) for row in record["rows"]] == [5, 5, 5]


def test_own_pictures(kochi, pictures_task, tmp_path, monkeypatch):
    """Pointing in place of alignment errors; the studies of text and speech are left out."""
    monkeypatch.chdir(tmp_path)
    changes = ("--set", "training.max_steps=3", "--size", 8, "--seeds", 1)
    result = kochi("study", "all", "--data", pictures_task, *changes)
    assert result.code == 0, result.err
    assert "left out, as they need other data: focus, cost, parallel, mechanisms, local, lon" in (
        result.err
    )
    record = json.loads((tmp_path / "studies" / "hard" / "report.json").read_text())
    assert record["columns"][1:4] == ["exact match, %", "nats a token", "pointing accuracy, %"]
    for row in record["rows"]:
        assert 0.0 <= float(row[3].split()[0]) <= 100.0
    assert "pointing: exact marginal less soft, points" in result.out


def test_pictures_without_boxes(kochi, pictures_task, tmp_path, monkeypatch):
    """Nothing is said of pointing then."""
    text = pictures_task.read_text().replace('boxes_column = "boxes"\n', "")
    pictures_task.write_text(text)
    monkeypatch.chdir(tmp_path)
    changes = ("--set", "training.max_steps=2", "--size", 8, "--seeds", 1)
    result = kochi("study", "hard", "--data", pictures_task, *changes)
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "studies" / "hard" / "report.json").read_text())
    assert [row[3] for row in record["rows"]] == ["-"] * 7
    assert "points better" not in result.out


def test_a_slow_machine_trains_for_fewer_steps_and_says_so(kochi, tmp_path, monkeypatch):
    """Ten times too slow; the share is kept, so that the same command goes on."""
    monkeypatch.setattr(tasks, "SIZES", {"train": 60, "dev": 5, "test": 5})
    monkeypatch.setitem(tasks.TRAINING, "max_steps", 40)
    monkeypatch.setattr("kochi.studies.pace.slowness", lambda: 1.0)
    monkeypatch.setattr(type(STUDIES["sparse"]), "training_minutes", 100.0)
    monkeypatch.chdir(tmp_path)
    command = ("study", "sparse", "--minutes", 10, "--size", 8, "--seeds", 1, "--jobs", 1)
    result = kochi(*command)
    assert result.code == 0, result.err
    assert "trainings have 10 % of their usual steps" in result.err
    record = json.loads((tmp_path / "studies" / "sparse" / "report.json").read_text())
    assert "Trained for 10 steps, 10 % of the usual number" in record["notes"][-1]
    monkeypatch.setattr("kochi.studies.pace.slowness", lambda: 0.0)
    again = kochi(*command)
    assert again.code == 0 and "seed 1 (" not in again.err


def test_what_was_left_out_is_counted(kochi, tmp_path, monkeypatch):
    monkeypatch.setattr("kochi.studies.study.FIRST_RESERVE_SECONDS", 1000.0)
    monkeypatch.chdir(tmp_path)
    result = kochi("study", "parallel", "--minutes", 1, "--size", 8, "--seeds", 1)
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "studies" / "parallel" / "report.json").read_text())
    assert record["notes"][-1] == "Left out for lack of time: 10 of 10 measurements."


def test_a_yardstick():
    assert 0.01 < pace.slowness() < 1000.0
    assert pace.needed_minutes([STUDIES["focus"], STUDIES["cost"]], 2, 3.0) == pytest.approx(
        3.0 * (STUDIES["focus"].training_minutes / 2 + STUDIES["cost"].timing_minutes)
    )
    total = pace.needed_minutes(STUDIES.values(), 2)
    assert pace.share_of_steps(total, 30.0) == 1.0  # what is promised for two cores


def test_list(kochi):
    result = kochi("study", "list")
    assert result.code == 0
    assert [line.split()[0] for line in result.lines] == list(STUDIES)


# --------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["focsu"], "no study 'focsu'; expected list, all or one of focus, cost"),
        (["focus", "--size", 6], "--size 6: expected a multiple of 4"),
        (["focus", "--gold", "x"], "--gold and --set are about data of your own; give them with"),
        (["focus", "--data", "none.toml"], "none.toml: no such run file"),
        (["focus", "--minutes", 0], "Invalid value for '--minutes'"),
    ],
)
def test_what_cannot_be_studied(kochi, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in complaint(kochi("study", *arguments))
    assert not (tmp_path / "studies").exists()


def test_data_of_the_wrong_kind(kochi, features_task):
    line = complaint(kochi("study", "focus", "--data", features_task))
    assert line.endswith("the data are of kind 'features'; focus needs pairs of text")
    line = complaint(kochi("study", "all", "--data", features_task, "--gold", features_task))
    assert line.endswith("reads no text")


def test_text_is_not_heard(kochi, task):
    line = complaint(kochi("study", "long-speech", "--data", task))
    assert line.endswith("of kind 'tsv'; long-speech needs recordings or features")


def test_a_model_without_an_attention_to_change(kochi, features_task):
    change = ("--set", 'model={ kind = "transformer" }')
    line = complaint(kochi("study", "long-speech", "--data", features_task, *change))
    assert "the model is of kind 'transformer'; long-speech changes the attention of" in line


def test_pictures_without_an_encoder_to_take(kochi, pictures_task):
    change = ("--set", 'model={ kind = "transformer" }')
    line = complaint(kochi("study", "hard", "--data", pictures_task, *change))
    assert "the model is of kind 'transformer'; hard takes the encoder of one of kind" in line


def test_pictures_are_not_read_as_text(kochi, pictures_task):
    line = complaint(kochi("study", "focus", "--data", pictures_task))
    assert line.endswith("the data are of kind 'picture'; focus needs pairs of text")


def test_recordings_are_no_pictures(kochi, features_task):
    line = complaint(kochi("study", "hard", "--data", features_task))
    assert line.endswith("of kind 'features'; hard needs pairs of text or pictures")


def test_gold_of_other_data(kochi, task, tmp_path):
    (tmp_path / "gold").write_text("0-0\n")
    line = complaint(kochi("study", "focus", "--data", task, "--gold", tmp_path / "gold"))
    assert "gold: 1 lines of links, but there are 30 pairs" in line


def test_data_without_anything_to_measure_on(kochi, task):
    text = task.read_text().replace('dev = "dev.tsv"\ntest = "dev.tsv"\n', "")
    task.write_text(text)
    line = complaint(kochi("study", "focus", "--data", task))
    assert "neither data.test nor data.dev is set" in line
