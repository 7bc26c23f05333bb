"""Nothing is let in: devices, pipes, links, other programs, strange formats."""

import os
import random
import re
import shutil
import threading
import warnings

import numpy as np
import pytest
import soundfile
from PIL import Image

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


def complaint(result):
    assert result.code == 2, result
    assert "Traceback" not in result.err
    return result.err.splitlines()[-1]


def test_postscript_starts_no_other_program(kochi, seer, tmp_path, monkeypatch):
    started = tmp_path / "started"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {started}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "a.png").write_bytes(POSTSCRIPT)
    result = kochi("predict", seer, tmp_path / "a.png")
    assert result.code == 1 and "is not a picture that can be read" in result.err
    assert not started.exists()


@pytest.mark.parametrize("name", ["source.json", "target.json", "run.toml", "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_a_model_folder_holds_regular_files_of_its_own(kochi, tiny, tmp_path, name, kind):
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    path = folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else tiny / name)
    line = complaint(kochi("predict", folder, stdin=b"a\n"))
    assert name in line and ("is a pipe" if kind == "pipe" else "is a link out of") in line


@pytest.mark.parametrize("target", ["pipe", "/dev/zero"])
def test_a_manifest_leads_to_no_device(kochi, pictures_task, target):
    place = pictures_task.parent / "png" / "red.png"
    place.unlink()
    if target == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(target)
    result = kochi("train", pictures_task, "--set", "training.max_steps=1")
    assert result.code == 0, result.err
    kind = "a pipe" if target == "pipe" else "a device"
    assert f"red.png: is {kind}; expected a picture" in result.err


def test_training_data_in_a_pipe(kochi, task):
    (task.parent / "train.tsv").unlink()
    os.mkfifo(task.parent / "train.tsv")
    assert "train.tsv: is a pipe" in complaint(kochi("train", task))


def test_a_picture_that_the_user_names_may_come_through_a_pipe(kochi, seer, tmp_path):
    Image.new("RGB", (24, 8), "red").save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")
    content = (tmp_path / "a.png").read_bytes()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    piped, plain = (kochi("predict", seer, tmp_path / name) for name in ("pipe", "a.png"))
    writer.join()
    assert piped.code == 0 and piped.out == plain.out


@pytest.mark.parametrize("ending", ["raw", "sd2", "vox", "gsm", "wav"])
def test_the_name_of_a_file_makes_no_sound_of_it(kochi, listener, tmp_path, ending):
    (tmp_path / f"a.{ending}").write_bytes(bytes(range(256)) * 100)
    result = kochi("predict", listener, tmp_path / f"a.{ending}")
    assert result.code == 1 and "cannot be read as sound" in result.err


def test_sound_of_another_kind(kochi, listener, tmp_path):
    quiet = np.zeros((4000, 40), np.float32)
    soundfile.write(tmp_path / "a.caf", quiet[:, 0], 8000, format="CAF", subtype="PCM_16")
    soundfile.write(tmp_path / "b.wav", quiet, 8000)
    result = kochi("predict", listener, tmp_path / "a.caf", tmp_path / "b.wav")
    assert result.code == 1
    assert "of an unknown kind" in result.err and "has 40 channels" in result.err


@pytest.mark.parametrize("model", ["seer", "listener", "heard"])
def test_damaged_files_are_one_line_each(kochi, model, tmp_path, request):
    """Files with bytes changed, cut off and put in, by a seed; nothing warns."""
    whole = {"seer": [".png", ".jpg", ".tiff", ".gif"], "listener": [".wav"], "heard": [".npy"]}
    pixels = np.random.default_rng(1).integers(0, 255, (12, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for ending in whole["seer"]:
        Image.fromarray(pixels).save(tmp_path / f"a{ending}")
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(4000) / 9), 8000)
    np.save(tmp_path / "a.npy", np.ones((8, 5), np.float32))
    draws, files = random.Random(7), []
    for number in range(60):
        ending = whole[model][number % len(whole[model])]
        content = bytearray((tmp_path / f"a{ending}").read_bytes())
        for _ in range(draws.randint(1, 5)):
            place = draws.randrange(min(len(content), 200))
            content[place : place + draws.randint(0, 2)] = draws.randbytes(draws.randint(0, 3))
        files.append(tmp_path / f"{number}{ending}")
        files[-1].write_bytes(content)
    before = list(warnings.filters)
    result = kochi("predict", request.getfixturevalue(model), *files)
    assert result.code in (0, 1) and len(result.lines) >= 60
    assert "Traceback" not in result.err and warnings.filters == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('data.train="a\\u0000b.tsv"', "data.train: contains a NUL character"),
        ("data.train=loop", "loop"),
        ("training.learning_rate=1e308", "not finite|NaN or infinite"),
    ],
)
def test_values_of_a_run_file_that_cannot_be(kochi, task, change, said):
    (task.parent / "loop").symlink_to("loop")
    result = kochi("train", task, "--set", change, "--set", "training.max_steps=2")
    assert result.code == 2, result.err
    last = result.err.splitlines()[-1]
    assert last.startswith("kochi: ") and re.search(said, last)


@pytest.mark.parametrize("text", ["{}", "[{}]", "[]", "[[]]"])
def test_objects_without_fields(kochi, tmp_path, text):
    (tmp_path / "data.json").write_text(text)
    result = kochi("init", tmp_path / "data.json", "--out", tmp_path / "run.toml")
    assert result.code == 2 and result.err.startswith("kochi: ") and result.err.count("\n") == 1
