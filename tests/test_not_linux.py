"""Nothing that only Linux or Unix has is needed to import kochi, to train or to predict."""

import subprocess
import sys
from pathlib import Path

import pytest

# What Windows or macOS lack is taken away in a process of its own before kochi is imported.
ELSEWHERE = """
import builtins, io, os, pathlib, shutil, signal, sys

import portalocker, torch  # have their own ways elsewhere

shutil._use_fd_functions = False  # as on Windows

for name in {missing!r}:
    module, _, attribute = name.partition(".")
    if attribute:
        delattr(sys.modules[module], attribute)
    else:
        sys.modules[module] = None
whole = builtins.open, io.open, pathlib.Path.exists

def opened(file, *rest, **options):
    if isinstance(file, (str, os.PathLike)) and os.fspath(file).startswith(("/proc", "/sys")):
        raise FileNotFoundError(2, "No such file or directory", os.fspath(file))
    return whole[0](file, *rest, **options)

builtins.open = io.open = opened
pathlib.Path.exists = lambda path, **options: (
    not os.fspath(path).startswith(("/proc", "/sys")) and whole[2](path, **options)
)

import ctypes

class NoLibrary(ctypes.CDLL):
    def __init__(self, name, *rest, **options):
        if name is None:
            raise OSError("there is no such library")
        super().__init__(name, *rest, **options)

ctypes.CDLL = NoLibrary
from kochi.cli import main

sys.exit(main(sys.argv[1:]))
"""
MISSING = {
    "windows": (
        "fcntl",
        "resource",
        "os.pread",
        "os.sched_getaffinity",
        "os.register_at_fork",
        "os.sysconf",
        "os.getuid",
        "os.O_NONBLOCK",
        "signal.SIGHUP",
        "signal.pthread_sigmask",
    ),
    "macos": ("os.sched_getaffinity",),
}


@pytest.mark.parametrize("system", ["windows", pytest.param("macos", marks=pytest.mark.slow)])
def test_train_resume_and_predict(task: Path, tmp_path: Path, system: str) -> None:
    def run(*words: object, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        program = ELSEWHERE.format(missing=MISSING[system])
        command = [sys.executable, "-c", program, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin)
        assert done.returncode == 0, done.stderr
        return done

    steps = ["--set", f"output={tmp_path / 'model'}", "--set", "training.evaluate_every=2"]
    run("train", task, *steps, "--set", "training.max_steps=2")
    run("train", task, *steps, "--set", "training.max_steps=4", "--resume")
    assert len(run("predict", tmp_path / "model", stdin="abc\nfade\n").stdout.splitlines()) == 2
