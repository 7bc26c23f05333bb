"""From results of cells to figures."""

import pytest

from kochi.studies import task as tasks
from kochi.studies.language import Part
from kochi.studies.reading import JoinedReading, Reading


@pytest.fixture(scope="module")
def draws(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "PARTS", {"train": Part(6), "dev": Part(4), "test": Part(12)})
        made = tasks.made_up(tmp_path_factory.mktemp("reading"), 8)
        for seed in range(4):
            assert made.task(seed)
    return made


def values(figure):
    assert figure is not None
    return figure.values


def right_answers(draws, seed):
    rows = (draws.task(seed).run.data.folder / "test.tsv").read_text().splitlines()[1:]
    return [row.split("\t")[1] for row in rows]


def result(draws, seed, wrong=0, **more):
    answers = right_answers(draws, seed)
    answers[:wrong] = ["x y z"] * wrong
    links = draws.task(seed).gold.read_text().splitlines()
    return {
        "answers": answers,
        "links": [line.replace("?", "-") for line in links],
        "places": [[6, 24, 12]] * 12,
        "nats": [[3.0, 6]] * 12,
        "seconds": 10.0 * seed,
        "curve": [[50, 5.0 * seed, 20.0], [100, 10.0 * seed, 80.0]],
        "trained": True,
        **more,
    }


def test_each_draw_is_measured_on_its_own_pairs(draws):
    found = {"a": {seed: result(draws, seed) for seed in (1, 2)}}
    reading = Reading(draws, found)
    quality = reading.quality("a")
    assert quality is not None and quality.values == pytest.approx({1: 100.0, 2: 100.0})
    mixed = Reading(draws, {"a": {1: result(draws, 2)}}).quality("a")
    assert mixed is not None and mixed.values[1] < 20.0
    assert reading.quality("b") is None


def test_figures(draws):
    reading = Reading(draws, {"a": {1: result(draws, 1, wrong=6)}})
    figures = {
        name: getattr(reading, name)("a") for name in ("zeros", "places", "nats", "alignment_error")
    }
    found = {name: values(figure)[1] for name, figure in figures.items()}
    assert found == pytest.approx(
        {"zeros": 75.0, "places": 0.5, "nats": 0.5, "alignment_error": 0.0}
    )
    quality = reading.quality("a", {1: list(range(6, 12))})
    assert quality is not None and quality.values[1] == pytest.approx(100.0)
    assert values(reading.number("a", "seconds")) == {1: 10.0}


def test_what_did_not_train_or_diverged(draws):
    failed = result(draws, 2) | {"trained": False}
    found = {"a": {1: result(draws, 1), 2: failed, 3: {"diverged": "loss", "trained": False}}}
    reading = Reading(draws, found)
    assert set(values(reading.quality("a"))) == {1, 2}  # a table shows what there is
    assert set(values(reading.trained_only(frozenset()).quality("a"))) == {1}
    assert set(values(reading.trained_only(frozenset({"a"})).quality("a"))) == {1, 2}


def test_what_each_has_reached_when_the_quickest_is_done(draws):
    slow = result(draws, 1) | {"seconds": 20.0, "curve": [[50, 10.0, 30.0], [100, 20.0, 90.0]]}
    reading = Reading(draws, {"quick": {1: result(draws, 1)}, "slow": {1: slow}})
    labels = ["quick", "slow"]
    assert values(reading.in_equal_time("quick", labels)) == {1: 80.0}
    assert values(reading.in_equal_time("slow", labels)) == {1: 30.0}
    half = reading.in_equal_time("slow", ["quick", "slow", "missing"])
    assert values(half) == {1: 30.0}


def test_rounds_of_time(draws):
    step = {"milliseconds": 4.0, "kept_bytes": 100, "parameters": 7}
    reading = Reading(draws, {"steps": {1: {"a": step}, 2: {"a": step | {"milliseconds": 6.0}}}})
    assert values(reading.time("a")) == {1: 4.0, 2: 6.0}
    assert values(reading.time("a", "kept_bytes")) == {1: 100.0, 2: 100.0}
    assert reading.time("b") is None


def test_joined_answers_are_measured_against_joined_references(draws):
    right = right_answers(draws, 1)
    joined = {
        "groups": {"1": [[0], [1]], "2": [[0, 1]], "5": []},
        "answers": {"1": right[:2], "2": [f"{right[0]} {right[1]}"], "5": []},
        "trained": True,
    }
    reading = JoinedReading(draws, {"a": {1: joined}})
    assert values(reading.joined("a", 1))[1] == pytest.approx(100.0)
    assert values(reading.joined("a", 2))[1] == pytest.approx(100.0)
    assert reading.joined("a", 5) is None
    assert values(reading.errors("a", 2))[1] == pytest.approx(-100.0)  # BLEU: more is better
