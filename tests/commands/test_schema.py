"""``kochi schema``: editors and other programs know what a run file may hold."""

import json
import tomllib

import pytest
from jsonschema import Draft202012Validator, ValidationError

from tests.conftest import RUN


def test_a_run_file_is_valid_by_the_schema(kochi, tmp_path):
    printed = kochi("schema")
    assert printed.code == 0
    schema = json.loads(printed.out)
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    tree = tomllib.loads(RUN)
    judge.validate(tree)
    for key, value in (("epocks", 3), ("epochs", "many"), ("schedule", {"kind": "cosin"})):
        with pytest.raises(ValidationError):
            judge.validate(tree | {"training": {key: value}})
    assert kochi("schema", "--out", tmp_path / "s.json").code == 0
    assert (tmp_path / "s.json").read_text("utf-8") == printed.out


def test_init_names_the_schema_and_writes_it(kochi, task):
    out = task.parent / "new.toml"
    made = kochi("init", task.parent / "train.tsv", "--out", out, "--no-estimate")
    assert made.code == 0, made.err
    assert out.read_text().splitlines()[0] == "#:schema kochi.schema.json"
    schema = json.loads((task.parent / "kochi.schema.json").read_text())
    Draft202012Validator(schema).validate(tomllib.loads(out.read_text()))
