"""Every study: cells that can be built, a report of whatever there is, and a small one for real."""

import dataclasses
import functools
import json
import re
import time

import pytest
import torch

from kochi.errors import Diverged, Interrupted
from kochi.folder import load_folder
from kochi.modalities.pairs import read_pairs
from kochi.studies import focus, hard, local, models, pace
from kochi.studies import task as tasks
from kochi.studies.cells import Store
from kochi.studies.claims import judge
from kochi.studies.estimates import FEWEST
from kochi.studies.language import Part
from kochi.studies.names import STUDIES
from kochi.studies.speech import write_speech
from kochi.studies.study import Options, do
from kochi.studies.timed import Step, TimedRound
from kochi.studies.trained import GRID, Trained, _Clock, tuned
from tests.commands.test_bad_input import complaint


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The default tasks of a study, with little data."""
    folder = tmp_path_factory.mktemp("made-up")

    def default(name):
        with pytest.MonkeyPatch.context() as patch:
            few = {"train": Part(200), "dev": Part(8), "test": Part(24)}
            patch.setattr(tasks, "PARTS", few)
            patch.setattr(focus, "FOCUS_PARTS", few | {"long": Part(60, 3, 28)})
            patch.setattr(local, "PARTS", few)
            patch.setattr(tasks, "SPOKEN_SIZES", {"train": 40, "dev": 5, "test": 22})
            draws = STUDIES[name].default(folder, 64)
            for seed in range(3):
                assert draws.task(seed)
            return draws

    return default


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One learning rate, rounds of time in the same process, and times of few, short sentences."""
    monkeypatch.setattr("kochi.studies.trained.GRID", (1.0,))
    monkeypatch.setattr("kochi.studies.timed.TimedRound.alone", False)
    for module in ("parallel", "cost"):
        monkeypatch.setattr(f"kochi.studies.{module}.LENGTHS", (4, 8))
        monkeypatch.setattr(f"kochi.studies.{module}.USUAL", 8)
    monkeypatch.setattr("kochi.studies.parallel.WORDS", 32)
    monkeypatch.setattr("kochi.studies.local.LENGTH", 12)
    monkeypatch.setattr("kochi.studies.noise.DRAWS", 4)
    monkeypatch.setattr("kochi.studies.focus.FEWEST_PAIRS", 1)


def shrunk(draws, size=8, **training):
    """Return the same tasks with smaller models and shorter training."""

    def make(seed):
        task = draws.task(seed)
        search = task.run.search.model_copy(update={"max_length_ratio": 0.5, "max_length_extra": 2})
        changed = task.run.training.model_copy(update=training)
        run = task.run.model_copy(update={"training": changed, "search": search})
        return dataclasses.replace(task, run=run, size=size)

    return dataclasses.replace(draws, make=make, _made={})


@pytest.mark.parametrize("name", STUDIES)
def test_question_expectation_and_source_stand_in_the_file(name):
    text = " ".join(STUDIES[name].text.split())
    assert STUDIES[name].question.endswith("?")
    assert "Expected: " in text
    assert re.search(r"https://(arxiv|aclanthology)\.org/\S+", text)


@pytest.mark.parametrize("name", STUDIES)
def test_cells_can_be_built_and_nothing_found_is_reported(name, small):
    study, draws = STUDIES[name], small(name)
    study.check(draws)
    cells = study.cells(draws, 1)
    for cell in cells.values():
        cell.check()
    assert len({cell.name for cell in cells.values()}) == len(cells)
    assert cells.keys() == study.cells(draws, 2).keys()
    names = {cell.name for cell in cells.values()}
    assert not names & {cell.name for cell in study.cells(draws, 2).values()}
    reading = study.reading(draws, {label: {} for label in cells})
    assert study.table(reading).rows
    judged = judge(study.claims(draws), reading)
    assert {one.show() for one in judged} == {"not judged: not measured"}


@pytest.mark.usefixtures("shapes_unchecked")  # they take a third of the time
@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_small_study_for_real(name, small, tmp_path):
    """A few steps of the smallest models with one learning rate; every figure is there."""
    draws = shrunk(small(name), max_steps=4, evaluate_every=2)
    said = []
    reports = do({STUDIES[name]: draws}, Options(tmp_path, seeds=2), said.append)
    assert said and not any("left out" in line for line in said)
    report = reports[name]
    assert report.claims
    assert {one.show() for one in report.claims} == {"not judged: 2 of at least 4 draws"}
    assert all(ran.seeds == (1, 2) for ran in report.ran)
    record = json.loads((tmp_path / name / "report.json").read_text())
    figures = [row[2] for row in record["rows"][:-1]]
    assert figures and "-" not in figures
    again = []
    do({STUDIES[name]: draws}, Options(tmp_path, seeds=2), again.append)
    assert again == []


@pytest.mark.parametrize("name", ["cost", "parallel"])
def test_steps_have_the_vocabularies_of_the_data(name, small):
    """A larger vocabulary is a larger model, and another measurement."""
    draws = small(name)
    pairs = read_pairs(draws.any.run.data, "train")
    words = {token for pair in pairs for token in pair.source.split()}
    [cell] = STUDIES[name].cells(draws, 1).values()
    assert isinstance(cell, TimedRound)
    assert {step.vocabularies[0] for _, step in cell.steps} == {len(words) + 4}


def test_a_round_times_each_step(tmp_path):
    step = Step(models.plain(8), 4, 2)
    rounds = [TimedRound((("a", step), ("b", step)), number) for number in (1, 2)]
    found = [one.measure(tmp_path) for one in rounds]
    assert found[0]["a"]["parameters"] == found[1]["b"]["parameters"] > 0
    assert found[0]["a"]["kept_bytes"] == found[0]["b"]["kept_bytes"] > 0


def test_the_steps_of_a_round_are_interleaved_in_a_drawn_order(tmp_path, monkeypatch):
    """Each turn does every step once; the order is not always the same."""
    done, sizes = [], {"a": 8, "b": 12, "c": 16}

    def step(self):
        done.append(sum(weight.numel() for weight in self.model.parameters()))
        return 1.0

    monkeypatch.setattr("kochi.studies.timed._Ready.milliseconds", step)
    steps = tuple((name, Step(models.plain(size), 4, 2)) for name, size in sizes.items())
    TimedRound(steps, 1).measure(tmp_path)
    turns = [tuple(done[at : at + 3]) for at in range(0, len(done), 3)]
    assert all(len(set(turn)) == 3 for turn in turns) and len(turns) > 3
    assert len(set(turns)) > 1


def test_each_model_takes_the_learning_rate_that_is_best_on_the_pilot(small, tmp_path, monkeypatch):
    """The pilot draw decides, not the one that is measured."""
    monkeypatch.setattr("kochi.studies.trained.GRID", (0.5, 1.0, 2.0))
    draws = shrunk(small("sparse"), size=16, max_steps=60, evaluate_every=30, learning_rate=1e-2)
    cell = tuned(draws, models.luong(16), 1)
    assert [pilot.factor for pilot in cell.pilots] == [0.5, 1.0, 2.0]
    assert {pilot.seed for pilot in cell.pilots} == {draws.pilot} != {cell.seed}
    store = Store(tmp_path)
    for pilot, dev in zip(cell.pilots, (10.0, 30.0, 20.0), strict=True):
        store.keep(pilot, {"dev": dev, "seconds": 1.0}, 1.0)
    assert cell.chosen_factor(tmp_path) == 1.0
    store.keep(cell.pilots[1], {"diverged": "the loss is not finite"}, 1.0)
    assert cell.chosen_factor(tmp_path) == 2.0
    for pilot in cell.pilots:
        store.keep(pilot, {"diverged": "the loss is not finite"}, 1.0)
    result = cell.measure(tmp_path)
    assert result == {
        "diverged": "training diverged with every learning rate that was tried",
        "trained": False,
    }


@pytest.mark.usefixtures("shapes_unchecked")
def test_a_training_that_diverges_is_reported_and_the_others_go_on(small, tmp_path, monkeypatch):
    draws = shrunk(small("sparse"), max_steps=4, evaluate_every=4)
    trained = Trained.train

    def train(self, folder):
        if "sparsemax" in repr(self.model):
            raise Diverged("step 3: the loss is not finite")
        return trained(self, folder)

    monkeypatch.setattr(Trained, "train", train)
    reports = do({STUDIES["sparse"]: draws}, Options(tmp_path, seeds=1), lambda line: None)
    ran = {one.label: one for one in reports["sparse"].ran}
    assert ran["softmax"].seeds == ran["sparsemax"].seeds == (1,)
    assert ran["sparsemax"].failed == (1,)
    assert ran["softmax"].learning_rate == draws.any.run.training.learning_rate
    text = (tmp_path / "sparse" / "table.md").read_text()
    assert "| sparsemax | - | - |" in text and "| sparsemax | 1 | 1 | - | - | - |" in text


@pytest.mark.slow
@pytest.mark.usefixtures("shapes_unchecked")
def test_what_ends_after_the_pilots_does_not_repeat_them(small, tmp_path, monkeypatch):
    """A sweep that died between choosing and measuring left its users to start again
    (github.com/KevinMusgrave/powerful-benchmarker, issue 71)."""
    draws = shrunk(small("sparse"), max_steps=4, evaluate_every=4)
    study = {STUDIES["sparse"]: draws}
    trained, seen = Trained.train, []

    def train(self, folder, dies):
        seen.append(self.seed)
        if dies and self.seed != draws.pilot:
            raise Interrupted("stopped")
        return trained(self, folder)

    monkeypatch.setattr(Trained, "train", functools.partialmethod(train, dies=True))
    with pytest.raises(Interrupted):
        do(study, Options(tmp_path, seeds=1), lambda line: None)
    assert draws.pilot in seen
    monkeypatch.setattr(Trained, "train", functools.partialmethod(train, dies=False))
    do(study, Options(tmp_path, seeds=1), lambda line: None)
    assert seen.count(draws.pilot) == 3  # of softmax, entmax and sparsemax: once each


def test_waiting_does_not_count_as_training():
    """Seconds are those of a core, so that what ran beside does not decide what is equal time."""
    clock = _Clock()
    time.sleep(0.5)
    assert clock.share < 0.5


@pytest.mark.slow
@pytest.mark.usefixtures("shapes_unchecked")
def test_whether_a_model_trained_is_told_by_its_own_loss(small, tmp_path):
    """One that takes no step is no better than one that reads no source; others are."""
    draws = shrunk(small("focus"), size=32, max_steps=300, evaluate_every=100, learning_rate=1e-2)
    learned = Trained(draws.task(1), models.luong(32, score="general"), 1)
    idle = dataclasses.replace(learned, factor=1e-9)
    found = [cell.measure(tmp_path) for cell in (learned, idle)]
    assert [one["trained"] for one in found] == [True, False]
    own, without = found[0]["nats_on_dev"]
    assert own < without < found[1]["nats_on_dev"][0]  # no worse than without learning at all


def test_hard_attention_begins_with_the_soft_weights(small, tmp_path):
    """A step that moves nothing shows where it began."""
    draws = shrunk(small("hard"), max_steps=1, learning_rate=1e-9, evaluate_every=1)
    cells = STUDIES["hard"].cells(draws, 1)
    later, soft, mixed = cells[hard.LATER], cells[hard.SOFT], cells[hard.MIXED]
    assert isinstance(later, Trained) and isinstance(soft, Trained) and isinstance(mixed, Trained)
    assert later.start == soft and later.name != mixed.name and later.kin != mixed.kin
    assert later.model == mixed.model
    assert (mixed.longer, later.longer) == (2, 1)  # as many steps in all
    other = dataclasses.replace(soft, pilots=(), seed=2)  # the same seed draws the same weights
    alone = dataclasses.replace(later, pilots=(), start=other)
    fresh = dataclasses.replace(mixed, pilots=())
    assert alone.start is not None
    chosen = alone, alone.start, fresh
    begun, old, new = (load_folder(cell.train(tmp_path)).weights for cell in chosen)
    assert all(torch.allclose(begun[name], old[name], atol=1e-6) for name in old)
    assert not all(torch.allclose(begun[name], new[name], atol=1e-6) for name in new)


def test_training_and_test_parts_share_no_sentence(small):
    """Longer ones are longer than any that was trained on."""
    data = small("focus").any.run.data.folder
    parts = {
        name: [row.split("\t")[0] for row in (data / f"{name}.tsv").read_text().splitlines()[1:]]
        for name in ("train", "dev", "test", "long")
    }
    rows = [row for part in parts.values() for row in part]
    assert len(rows) == len(set(rows))
    assert max(len(row.split()) for row in parts["train"]) == small("focus").any.trained_length


def test_lengths_that_few_test_pairs_have_do_not_count(small, monkeypatch):
    draws = small("focus")
    monkeypatch.setattr("kochi.studies.focus.FEWEST_PAIRS", 3)
    rows = (draws.task(1).run.data.folder / "long.tsv").read_text().splitlines()[1:]
    answers = [row.split("\t")[1] for row in rows]
    lengths = [5] * 2 + [10] * (len(rows) - 2)
    result = {"answers": answers, "source_lengths": lengths, "trained": True}
    reading = STUDIES["focus"].reading(draws, {focus.ATTENTION: {1: result}})
    assert isinstance(reading, focus.Lengths)
    assert reading.at(focus.ATTENTION, "short") is None
    usual = reading.at(focus.ATTENTION, "usual")
    assert usual is not None and usual.values[1] == pytest.approx(100.0)


def test_each_seed_has_data_of_its_own(small):
    draws = small("sparse")
    words = [(draws.task(seed).run.data.folder / "train.tsv").read_text() for seed in range(3)]
    assert len(set(words)) == 3


def test_own_pairs(kochi, task, tmp_path, monkeypatch):
    """Letters and their names: no right links, so no alignment error; characters are read."""
    monkeypatch.chdir(tmp_path)
    changes = (
        "--set",
        "training.max_steps=3",
        "--size",
        8,
        "--seeds",
        1,
        "--jobs",
        1,
        "--out",
        "found",
    )
    result = kochi("study", "sparse", "--data", task, *changes)
    assert result.code == 0, result.err
    table = (tmp_path / "found" / "sparse" / "table.csv").read_text()
    assert "PER, %" in table
    assert (tmp_path / "found" / "index.html").exists()


@pytest.mark.slow
def test_own_recordings(kochi, tmp_path, monkeypatch):
    """A manifest is all that is needed; the studies of text are left out."""
    monkeypatch.chdir(tmp_path)
    write_speech(tmp_path / "own", {"train": 30, "dev": 5, "test": 22})
    changes = ("--set", "training.max_steps=3", "--set", "model.hidden_size=8")
    changes += ("--set", "model.encoder.hidden_size=8", "--set", "model.embedding_size=8")
    result = kochi("study", "all", "--data", "own/train.tsv", *changes, "--seeds", 1)
    assert result.code == 0, result.err
    assert "skipping studies that need other data: focus, cost, " in result.err
    record = json.loads((tmp_path / "studies" / "long-speech" / "report.json").read_text())
    assert "22 of 1, 11 of 2, 4 of 5, 2 of 10" in record["notes"][0]
    assert [len(row) for row in record["rows"]] == [6, 6, 6]


@pytest.mark.slow
def test_own_pictures(kochi, pictures_task, tmp_path, monkeypatch):
    """Pointing in place of alignment errors; the studies of text and speech are left out."""
    monkeypatch.chdir(tmp_path)
    changes = ("--set", "training.max_steps=3", "--size", 8, "--seeds", 1)
    result = kochi("study", "all", "--data", pictures_task, *changes)
    assert result.code == 0, result.err
    assert (
        "skipping studies that need other data: focus, cost, parallel, mechanisms, local, lon"
        in (result.err)
    )
    record = json.loads((tmp_path / "studies" / "hard" / "report.json").read_text())
    assert record["columns"][1:4] == ["exact match, %", "nats per token", "pointing accuracy, %"]
    for row in record["rows"]:
        assert 0.0 <= float(row[3].split()[0]) <= 100.0
    assert "pointing accuracy, exact marginal minus soft, points" in result.out


@pytest.mark.slow
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
    assert "aligns better" not in result.out


@pytest.mark.slow
def test_studies_that_the_minutes_cannot_decide_are_left_out(kochi, tmp_path, monkeypatch):
    """It says what they would need; one study alone is begun all the same."""
    monkeypatch.setattr("kochi.studies.pace.slowness", lambda: 1.0)
    for name, study in STUDIES.items():
        monkeypatch.setattr(type(study), "training_minutes", 100.0 * (name != "parallel"))
    monkeypatch.chdir(tmp_path)
    command = ("--minutes", 10, "--size", 8, "--seeds", 1, "--jobs", 2)
    result = kochi("study", "all", *command)
    assert result.code == 0, result.err
    assert "parallel: 2 claims decided in 10 minutes; needs 2" in result.err
    assert "sparse: 3 claims not decided in 10 minutes; needs 250" in result.err
    assert {file.name for file in (tmp_path / "studies").iterdir()} >= {"parallel"}
    assert not (tmp_path / "studies" / "sparse").exists()


@pytest.mark.slow
def test_what_was_left_out_is_not_reported(kochi, tmp_path, monkeypatch):
    """Cut off by its time: the page names what ran, which is nothing here."""
    monkeypatch.setattr("kochi.studies.study.FIRST_RESERVE_SECONDS", 1000.0)
    monkeypatch.chdir(tmp_path)
    result = kochi("study", "parallel", "--minutes", 1, "--size", 8, "--seeds", 1)
    assert result.code == 0, result.err
    assert "left out for lack of time: parallel: steps, draw 1" in result.err
    record = json.loads((tmp_path / "studies" / "parallel" / "report.json").read_text())
    assert record["ran_rows"] == [["steps", "none", "none", "-", "-", "-"]]
    assert {claim["shown"] for claim in record["claims"]} == {"not judged: not measured"}


def test_thirty_minutes_decide_some_claims(monkeypatch):
    """What is promised for two cores of the machine that minutes were measured on."""
    monkeypatch.setattr("kochi.studies.trained.GRID", GRID)
    assert 0.01 < pace.slowness() < 1000.0
    assert pace.needed_minutes(STUDIES["focus"], 2, 3.0) == pytest.approx(
        3.0 * STUDIES["focus"].training_minutes * (len(GRID) + FEWEST) / 2
    )
    assert len(pace.affordable(STUDIES.values(), 2, 30.0)) >= 4
    assert pace.affordable(STUDIES.values(), 2, 0.1) == {}


@pytest.mark.slow
def test_verdicts_of_another_run_are_set_beside(kochi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ("study", "parallel", "--size", 8, "--jobs", 1)
    assert kochi(*command, "--seeds", 4, "--out", "one").code == 0
    page = tmp_path / "one" / "parallel" / "report.json"
    record = json.loads(page.read_text())
    record["claims"][0]["verdict"] = "refuted"
    record["claims"][1]["verdict"] = "refuted"
    page.write_text(json.dumps(record))
    result = kochi(*command, "--seeds", 4, "--first", 5, "--out", "two", "--against", "one")
    assert result.code == 0, result.err
    found = json.loads((tmp_path / "two" / "parallel" / "report.json").read_text())
    assert [claim["stable"] for claim in found["claims"]] == [
        claim["verdict"] == "refuted" for claim in found["claims"]
    ]
    assert "In one: refuted" in found["claims"][0]["against"]
    assert found["claim_rows"][0][4] == "5-8"


def test_list(kochi):
    result = kochi("study", "list")
    assert result.code == 0
    assert [line.split()[0] for line in result.lines] == list(STUDIES)


# --------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["focsu"], "unknown study 'focsu'; expected list, all or one of focus, cost"),
        (["focus", "--size", 6], "--size 6: expected a multiple of 4"),
        (["focus", "--gold", "x"], "--gold and --set need your own data; give it with --data"),
        (["focus", "--data", "none.toml"], "none.toml: no such run file"),
        (["focus", "--minutes", 0], "Invalid value for '--minutes'"),
        (["focus", "--first", 0], "Invalid value for '--first'"),
        (["focus", "--against", "gone"], "--against gone: no such folder; expected the --out of"),
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


@pytest.mark.parametrize(("split", "purpose"), [("test", "models are"), ("dev", "learning rates")])
def test_data_without_a_part(kochi, task, split, purpose):
    text = task.read_text().replace(f'{split} = "dev.tsv"\n', "")
    task.write_text(text)
    line = complaint(kochi("study", "focus", "--data", task))
    assert f"data.{split} is not set; a study needs it, as {purpose}" in line
    assert "kochi init DATA --split 0.8/0.1/0.1" in line


@pytest.mark.slow
def test_fewer_seeds_than_a_verdict_needs(kochi, task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = ("--set", "training.max_steps=3", "--size", 8, "--seeds", 2, "--jobs", 1)
    result = kochi("study", "sparse", "--data", task, *changes)
    assert result.code == 0, result.err
    assert "--seeds 2: a verdict needs 4 seeds; reporting measurements only" in result.err
    assert "not judged" in result.out and "holds" not in result.out


def test_a_report_that_is_none(kochi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other" / "parallel").mkdir(parents=True)
    (tmp_path / "other" / "parallel" / "report.json").write_text("{}")
    arguments = ("--size", 8, "--seeds", 4, "--jobs", 1, "--against", "other")
    line = complaint(kochi("study", "parallel", *arguments))
    assert "other/parallel/report.json: expected the report of a study" in line
