"""Training on features and recordings."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kochi
from kochi import config, folder
from kochi.errors import Interrupted, UserError
from kochi.training.prepare import load_data
from kochi.training.progress import Progress
from kochi.training.run import train

pytestmark = pytest.mark.usefixtures("shapes_unchecked")  # they double the time

MASKS = "training.augmentation={ time_width = 3, time_share = 0.5, bin_width = 2 }"
SPEEDS = "training.augmentation={ speeds = [0.8, 1.0, 1.25], time_width = 3 }"


class Impatient(Progress):
    """Press Ctrl-C at the n-th step."""

    def __init__(self, step: int) -> None:
        super().__init__(silent=True)
        self.steps_left = step

    def is_due(self) -> bool:
        self.steps_left -= 1
        if self.steps_left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return False


def _train(run: config.Run, **options: bool) -> bytes:
    return (train(run, progress=Progress(silent=True), **options) / folder.WEIGHTS).read_bytes()


def _read(task: Path, output: str, *changes: str) -> config.Run:
    return config.read_run(task, [f"output={output}", "training.metric=loss", *changes])


@pytest.mark.parametrize(("kind", "changes"), [("features", MASKS), ("sound", SPEEDS)])
def test_a_resumed_run_draws_the_same(kind: str, changes: str, request) -> None:
    task = request.getfixturevalue(f"{kind}_task")
    steps = "training.max_steps=9"
    whole = _train(_read(task, "whole", changes, steps))
    assert _train(_read(task, "plain", steps)) != whole
    run = _read(task, "cut", changes, steps)
    with pytest.raises(Interrupted):
        train(run, progress=Impatient(step=5))
    assert _train(run, resume=True) == whole


def test_what_frames_are_normalised_by_is_kept_with_the_model(features_task: Path) -> None:
    run = _read(features_task, "model", "training.max_steps=1")
    _train(run)
    reader: Any = kochi.load(run.output, device="cpu").source
    with np.load(features_task.parent / "all.npz") as arrays:
        frames = np.concatenate([arrays[key] for key in arrays.files]).astype(np.float64)
    assert reader.moments.mean.numpy() == pytest.approx(frames.mean(0))
    assert reader.moments.std.numpy() == pytest.approx(frames.std(0))
    normalised, mask = reader.batch([frames])
    assert normalised[mask].mean(0).tolist() == pytest.approx([0.0] * 5, abs=1e-6)


def test_a_corpus_keeps_what_was_found(features_task: Path) -> None:
    run = _read(features_task, "model", "training.max_steps=1")
    _train(run)
    corpus = load_data(run).corpus
    with np.load(features_task.parent / "all.npz") as arrays:
        for row, key in enumerate(arrays.files):
            assert np.array_equal(corpus.source(row), arrays[key])


def test_features_that_change_under_a_run_are_noticed(features_task: Path) -> None:
    run = _read(features_task, "model", "training.max_steps=4")
    with pytest.raises(Interrupted):
        train(run, progress=Impatient(step=2))
    path = features_task.parent / "all.npz"
    with np.load(path) as arrays:
        changed = {key: arrays[key] + 1 for key in arrays.files}
    np.savez(path, **changed)
    with pytest.raises(UserError, match=r"all\.npz: data\.train has changed"):
        _train(run, resume=True)


def test_a_folder_of_recordings_is_a_split(sound_task: Path) -> None:
    wav = sound_task.parent / "wav"
    for path in wav.glob("*.wav"):
        path.with_suffix(".txt").write_text(path.stem + "\n")
    changes = ["data.train=wav", "data.dev=wav", "data.test=wav"]
    lines = [line for line in sound_task.read_text().splitlines() if "split_column" not in line]
    steps = "training.max_steps=2"
    whole = _train(_read(sound_task, "manifest", steps))
    sound_task.write_text("\n".join(line for line in lines if "audio_folder" not in line))
    run = _read(sound_task, "folder", steps, *changes)
    assert len(_train(run)) == len(whole)
    assert len(load_data(run).corpus) == 39


def test_augmentation_that_cannot_be_done_is_refused(make_run, features_task: Path) -> None:
    run = make_run(augmentation={"time_masks": 1})
    with pytest.raises(UserError, match=r"training\.augmentation is for features and recordings"):
        _train(run)


def test_features_change_their_tempo(features_task: Path) -> None:
    steps = "training.max_steps=3"
    speeds = "training.augmentation={ speeds = [0.5, 2.0], time_masks = 0, bin_masks = 0 }"
    plain = _train(_read(features_task, "plain", steps))
    assert _train(_read(features_task, "changed", steps, speeds)) != plain
