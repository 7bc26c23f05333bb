"""Run files and components: options are checked and described by the constructor."""

import json
import os
import subprocess
import sys
from typing import Literal

import pytest

from kochi import config
from kochi.components import Package
from kochi.errors import UserError
from kochi.folder import load_folder, save_folder
from kochi.modalities import MODALITIES
from kochi.modalities.tables import BaseData
from kochi.schema import Chosen, _chosen_names, packages_of, schema_of
from tests.test_folder import _parts

DATA = {"kind": "tsv", "train": "train.tsv"}


def run(attention, **options) -> config.RnnModel:
    tree = {"data": DATA, "model": {"kind": "rnn", "attention": attention}}
    model = config.check_run(tree, "r", **options).model
    assert isinstance(model, config.RnnModel)
    return model


def test_a_choice_is_written_as_it_was_read():
    table = {"score": {"kind": "additive", "hidden_size": 7}, "scope": ["causal", "local_m"]}
    model = run(table)
    assert model.attention.score.options == {"hidden_size": 7}
    dumped = model.attention.model_dump(mode="json", exclude_none=True)
    assert dumped == {**table, "selection": "soft", "num_heads": 1, "kernel": "auto"}
    assert run(dumped) == model
    assert run(dict(model.attention)) == model


def test_options_have_the_types_of_the_constructor():
    soft = run({"selection": {"kind": "soft", "temperature": 1}}).attention.selection
    assert soft.options == {"temperature": 1.0} and type(soft.options["temperature"]) is float
    for table, message in (
        ({"score": "aditive"}, r"^r: model.attention.score: .*; did you mean 'additive'\?$"),
        (
            {"score": {"kind": "additive", "hidden_size": "wide"}},
            r"^r: model.attention.score: score 'additive': hidden_size = 'wide': Input should be a "
            "valid integer",
        ),
        (
            {"score": {"kind": "additive", "hiden_size": 3}},
            r"^r: model.attention.score: .* got the option 'hiden_size', expected 'hidden_size'",
        ),
        ({"scope": ["global", "all"]}, r"^r: model.attention.scope: got 'all', expected"),
        ({"relative": 7}, r"^r: model.attention.relative: got 7, expected a name"),
    ):
        with pytest.raises(UserError, match=message):
            run(table)


def test_a_model_folder_runs_only_what_is_trusted(install):
    install("kochi-distance", score={"distance": "kochi_distance:Distance"})
    table = {"score": "distance"}
    assert run(table).attention.score.kind == "distance"
    with pytest.raises(UserError, match=r"runs code of the package kochi-distance 0.1, which is n"):
        run(table, trust=())
    inside = {"kind": "conformer", "self_attention": table}
    tree = {"data": DATA, "model": {"kind": "rnn", "encoder": inside}}
    with pytest.raises(UserError, match=r"runs code of the package kochi-distance 0.1, which is n"):
        config.check_run(tree, "r", trust=())  # in a component of a component, too: diffusers 13448
    found = config.check_run(tree, "r", trust=["kochi-distance"])
    assert packages_of(found) == {"kochi-distance": "0.1"}
    trusted = run(table, trust=["kochi-distance"]).attention.score
    assert trusted.package == Package("kochi-distance", "0.1")


def test_a_data_table_that_declares_its_kind_anew_still_names_its_modality():
    class Table(BaseData):
        kind: Literal["chess"] = "chess"  # pyright: ignore[reportIncompatibleVariableOverride]

    assert [one.slot for one in _chosen_names(Table, "kind")] == [MODALITIES]


def test_two_packages_with_one_name_are_one_line(install, kochi):
    for name in ("kochi-distance", "kochi-other"):
        install(name, score={"distance": f"{name.replace('-', '_')}:Distance"})
    for command in ("mechanisms", "schema"):
        result = kochi(command)
        assert result.code == 2 and len(result.err.splitlines()) == 1, result.err
        assert "kochi-distance" in result.err and "kochi-other" in result.err


def test_the_schema_says_what_docstrings_say(install):
    install("kochi-distance", score={"distance": "kochi_distance:Distance"})
    slot = Chosen("kochi.attention:SCORES").slot
    described = schema_of(slot.component("distance")).model_json_schema()["properties"]["power"]
    assert described == {
        "default": 2.0,
        "description": "Exponent of the distance.",
        "title": "Power",
        "type": "number",
    }
    schema = json.dumps(config.Run.model_json_schema())
    assert '"distance"' in schema and "Score by the negative distance" in schema


TINY = ["--set", "training.max_steps=2", "--set", "model.bidirectional=false", "--set"]


@pytest.mark.usefixtures("shapes_unchecked")
def test_a_model_with_a_component_of_another_package(install, kochi, task):
    """It trains, is loaded by who trusts the package, and starts the next training."""
    install("kochi-distance", score={"distance": "kochi_distance:Distance"})
    done = kochi("train", task, *TINY, "model.attention.score={ kind = 'distance', power = 1 }")
    assert done.code == 0, done.err
    model = task.parent / "model"
    assert done.out.endswith(f"or kochi predict {model} --trust kochi-distance\n")
    card = (model / "README.md").read_text()
    assert "trust=['kochi-distance'])" in card and "FILE --trust kochi-distance`" in card
    assert "The model runs code of installed packages: kochi-distance 0.1." in card
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["packages"] == {"kochi-distance": "0.1"}
    assert "power = 1.0" in (model / "run.toml").read_text()
    refused = kochi("predict", model, stdin=b"ab")
    assert (refused.code, refused.err) == (
        2,
        f"kochi: {model}: the model runs code of the package kochi-distance 0.1, which is not "
        "trusted; if you trust it, allow it with trust=['kochi-distance'] or --trust "
        "kochi-distance\n",
    )
    assert kochi("predict", model, "--trust", "kochi_distance", stdin=b"ab").code == 0
    on = ["--set", f"training.start_from={model}", "--set", "output=next"]
    assert kochi("train", task, *TINY, "model.attention.score=distance", *on).code == 0
    refused = kochi("train", task, *TINY, "model.attention.score=additive", *on, "--overwrite")
    assert refused.code == 2 and "which is not trusted" in refused.err


@pytest.mark.usefixtures("shapes_unchecked")
def test_a_metric_of_another_package(install, kochi, task):
    install("kochi-distance", metric={"length": "kochi_distance:Length"})
    done = kochi("train", task, *TINY, "training.metric=length")
    assert done.code == 0 and "greedy length" in done.err + done.out, done.err
    model = task.parent / "model"
    assert json.loads((model / "manifest.json").read_text())["packages"] == {
        "kochi-distance": "0.1"
    }
    trust = ("--trust", "kochi-distance")
    scored = kochi("evaluate", model, task.parent / "dev.tsv", "--json", *trust)
    assert scored.code == 0 and "length" in json.loads(scored.out)["scores"], scored.err
    by_path = kochi(
        "evaluate", model, task.parent / "dev.tsv", *trust, "--metric", "kochi_distance:Length"
    )
    assert by_path.code == 0 and "length" in by_path.out


@pytest.mark.slow
def test_several_processes_have_the_package(install, task, tmp_path):
    """Plugins that one process knows and the others do not: fairseq, issues 3299 and 4875."""
    install("kochi-distance", score={"distance": "kochi_distance:Distance"})
    path = os.pathsep.join([str(tmp_path / "site-packages"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    kochi = [sys.executable, "-m", "kochi"]
    options = ("--devices", "2", *TINY, "model.attention.score=distance")
    train = [*kochi, "train", task, *options]
    done = subprocess.run(train, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    predict = [*kochi, "predict", task.parent / "model", "--processes", "2", "--batch-size", "1"]
    trusted = [*predict, "--trust", "kochi-distance"]
    done = subprocess.run(
        trusted, env=environment, input="ab\nba\n", capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.count("\n") == 2, done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("shapes_unchecked")
def test_a_study_with_a_metric_of_another_package(install, kochi, task, monkeypatch, tmp_path):
    install("kochi-distance", metric={"length": "kochi_distance:Length"})
    monkeypatch.setattr("kochi.studies.trained.GRID", (1.0,))
    monkeypatch.setattr("kochi.studies.timed.TimedRound.alone", False)
    (task.parent / "test.tsv").write_text((task.parent / "dev.tsv").read_text())
    changes = ["training.max_steps=2", "training.metric=length", "data.test=test.tsv"]
    options = [word for change in changes for word in ("--set", change)]
    out = ("--seeds", "1", "--jobs", "1", "--size", "8", "--out", tmp_path / "found")
    done = kochi("study", "sparse", "--data", task, *options, *out)
    assert done.code == 0, done.err
    assert "LENGTH" in (tmp_path / "found" / "sparse" / "table.md").read_text()


def test_a_model_whose_package_is_missing_or_another(install, tmp_path):
    folder = tmp_path / "model"
    save_folder(folder, **_parts())
    whole = load_folder(folder).run
    manifest = json.loads((folder / "manifest.json").read_text())

    def needs(packages):
        (folder / "manifest.json").write_text(json.dumps(manifest | {"packages": packages}))

    needs({"kochi-missing": "0.3"})
    with pytest.raises(UserError, match=r"kochi-missing 0.3, which is not installed; install it"):
        load_folder(folder, trust=["kochi-missing"])
    install("kochi-distance", version="0.2")
    needs({"kochi-distance": "0.1"})
    with pytest.raises(UserError, match=r"package kochi-distance 0.1, which is not trusted"):
        load_folder(folder)
    with pytest.warns(UserWarning, match=r"kochi-distance 0.1; found 0.2: predictions may differ"):
        assert load_folder(folder, trust=["kochi-distance"]).run == whole
    for damaged in ([1], {"kochi-distance": 1}, 7):
        needs(damaged)
        assert load_folder(folder).run == whole
