import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from kochi import config, folder
from kochi.data.tokenizer import train_tokenizer
from kochi.errors import UserError
from kochi.inputs import TokenInput
from kochi.modalities.tables import Tokens
from kochi.models.build import build_model


def _parts() -> dict:
    tree = {
        "data": {"kind": "tsv", "train": "train.tsv"},
        "model": {"kind": "transformer", "size": 8, "feedforward_size": 8},
    }
    run = config.check_run(tree, "test")
    tokens = Tokens(tokens="characters")
    source = train_tokenizer(tokens, ["abc"])
    target = train_tokenizer(tokens, ["xyz"])
    weights = folder.weights_of(build_model(run.model, TokenInput(source.size), target.size))
    metrics = {"dev": {"value": 1.5}, "näme": "ü"}
    return {
        "run": run,
        "weights": weights,
        "source": source,
        "target": target,
        "metrics": metrics,
        "card": "# A model\n",
    }


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict]:
    parts = _parts()
    folder.save_folder(tmp_path / "model", **parts)
    return tmp_path / "model", parts


def test_all_parts_come_back(saved: tuple[Path, dict]) -> None:
    place, parts = saved
    found = folder.load_folder(place)
    assert found.run == config.resolve(parts["run"].model_copy(update={"output": place}), place)
    assert found.metrics == parts["metrics"]
    assert found.source.encode("cab") == parts["source"].encode("cab")
    assert found.target.decode([4, 5]) == parts["target"].decode([4, 5])
    assert found.weights.keys() == parts["weights"].keys()
    model = folder.weights_of(found.model())
    assert all(torch.equal(model[name], parts["weights"][name]) for name in model)
    assert sorted(os.listdir(place)) == sorted([*folder.FILES, folder.MANIFEST])


def test_the_model_answers_and_does_not_train(saved: tuple[Path, dict]) -> None:
    assert not folder.load_folder(saved[0]).model().training


@pytest.mark.parametrize("name", folder.FILES)
def test_a_missing_file_is_named(saved: tuple[Path, dict], name: str) -> None:
    (saved[0] / name).unlink()
    with pytest.raises(UserError, match=rf"{name}: missing; copy"):
        folder.load_folder(saved[0])


@pytest.mark.parametrize("name", folder.FILES)
def test_a_short_file_is_named(saved: tuple[Path, dict], name: str) -> None:
    path = saved[0] / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{name}: cut short, \d+ of \d+ bytes"):
        folder.load_folder(saved[0])


@pytest.mark.parametrize("name", folder.FILES)
def test_an_altered_file_is_named(saved: tuple[Path, dict], name: str) -> None:
    path = saved[0] / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: altered since it was written"):
        folder.load_folder(saved[0])


def test_a_folder_without_its_end_is_refused(saved: tuple[Path, dict], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model folder"):
        folder.load_folder(tmp_path / "nowhere")
    (saved[0] / folder.MANIFEST).unlink()
    assert not folder.is_whole(saved[0])
    with pytest.raises(UserError, match=r"not a finished model folder.*--resume"):
        folder.load_folder(saved[0])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {"run.toml": 3}}', "\0"])
def test_a_strange_manifest_is_refused(saved: tuple[Path, dict], content: str) -> None:
    (saved[0] / folder.MANIFEST).write_text(content)
    with pytest.raises(UserError, match=r"manifest\.json: is not a manifest"):
        folder.load_folder(saved[0])


def test_a_manifest_without_a_file_is_refused(saved: tuple[Path, dict]) -> None:
    path = saved[0] / folder.MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["files"]["source.json"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"source\.json is not listed"):
        folder.load_folder(saved[0])


def test_weights_of_another_model_are_refused(saved: tuple[Path, dict]) -> None:
    place, parts = saved
    name = sorted(parts["weights"])[0]
    for changed in (
        {},
        {**parts["weights"], name: torch.zeros(1)},
        {**parts["weights"], "x": torch.zeros(1)},
    ):
        folder.save_folder(place, **{**parts, "weights": changed})
        with pytest.raises(UserError, match=r"model\.safetensors: weight .* has shape"):
            folder.load_folder(place).model()


def test_a_full_disk_leaves_the_old_model(
    saved: tuple[Path, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, parts = saved
    write, count = folder.write_through, 0

    def full(path: Path, content: bytes) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(folder, "write_through", full)
    with pytest.raises(OSError, match="No space left"):
        folder.save_folder(place, **{**parts, "metrics": {}})
    assert folder.load_folder(place).metrics == parts["metrics"]
    assert sorted(os.listdir(place)) == sorted([*folder.FILES, folder.MANIFEST])


def test_saving_twice_gives_the_same_bytes(saved: tuple[Path, dict], tmp_path: Path) -> None:
    folder.save_folder(tmp_path / "again", **saved[1])
    for name in [*folder.FILES, folder.MANIFEST]:
        assert (tmp_path / "again" / name).read_bytes() == (saved[0] / name).read_bytes()


def test_tied_weights_are_stored_once_and_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Embedding(3, 2)
            self.b = nn.Linear(2, 3, bias=False)
            self.b.weight = self.a.weight

    first, second = Tied(), Tied()
    weights = folder.weights_of(first)
    assert list(weights) == ["a.weight"]
    packed = folder.pack_weights(weights)
    assert len(packed) < 8 + 200 + 3 * 2 * 4
    folder.load_weights(second, weights, "here")
    assert torch.equal(second.b.weight, first.a.weight)
    assert second.a.weight is second.b.weight
