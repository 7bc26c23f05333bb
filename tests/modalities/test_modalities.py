"""What holds of every modality, and that the rest of kochi knows none of them by name."""

import re
from pathlib import Path
from typing import get_args

import pytest

from kochi import config
from kochi.components import ComponentError
from kochi.inputs import FrameInput, PictureInput, TokenInput
from kochi.modalities import MODALITIES, data_table, modality_of

SOURCE = Path(__file__).parents[2] / "src" / "kochi"
ASKS = re.compile(
    r"isinstance\([^)]*(PictureData|SoundData|FeaturesData|HeardData|TextData|PictureReader"
    r"|FeatureReader|SoundReader|Tokenizer)"
)
SPLITS = {
    "parallel": {"source": "a", "target": "b"},
    "features": {"manifest": "a.tsv"},
    "huggingface": "train",
}


def table(kind):
    extra = {"name": "somebody/pairs"} if kind == "huggingface" else {}
    tree = {"kind": kind, "train": SPLITS.get(kind, "a.tsv"), **extra}
    return data_table(MODALITIES.component(kind), kind).model_validate(tree)


def test_only_a_modality_asks_what_it_reads():
    others = [p for p in SOURCE.rglob("*.py") if SOURCE / "modalities" not in p.parents]
    assert len(others) > 100
    asking = [str(path) for path in others if ASKS.search(path.read_text(encoding="utf-8"))]
    assert not asking


def test_run_files_know_every_kind():
    tables = get_args(get_args(config.Data)[0])
    assert {get_args(table.model_fields["kind"].annotation) for table in tables} == {
        (kind,) for kind in MODALITIES.builtin
    }


@pytest.mark.parametrize("kind", list(MODALITIES.builtin))
def test_a_modality_is_found_by_the_kind_of_its_data(kind):
    modality = modality_of(table(kind))
    assert isinstance(modality.data, modality.tables[kind])
    assert isinstance(modality.like(), TokenInput | FrameInput | PictureInput)
    assert modality.metrics("words")
    assert modality.in_files == bool(modality.example)
    assert "tokens" in modality.bounds


def test_a_kind_that_no_modality_has_is_refused_with_the_nearest():
    with pytest.raises(ComponentError, match="did you mean 'picture'"):
        MODALITIES.choose("pictures")


def test_a_modality_of_several_tables_needs_one_of_their_names():
    text = MODALITIES.component("tsv")
    with pytest.raises(ComponentError, match="expected one of 'tsv', 'jsonl'"):
        data_table(text, "kochi.modalities.text.modality:Text")
