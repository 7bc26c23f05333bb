"""What the user can get wrong: one line that says where and what to do, exit code 2."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kochi import folder

REFUSE = ("--set", "data.bad_rows=refuse")


def complaint(result) -> str:
    """Check that the command failed as it should, and return the one line that it said.

    Lines that end in dots tell what training is about to do.
    """
    assert result.code == 2, (result.out, result.err)
    assert result.err.endswith("\n")
    [line] = [line for line in result.err.splitlines() if not line.endswith(" ...")]
    assert line.startswith("kochi: ")
    assert "Traceback" not in result.out + result.err
    return line.removeprefix("kochi: ")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# --------------------------------------------------------------------------------------- the data


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "train.tsv: no such file; check the path in the run file"),
        (b"word\ttarget\na\tb\n", "train.tsv:1: column 'source' is missing; found: word, target"),
        (b"source\ttarget\na\tb\nc\n", "train.tsv:3: one side is missing: found 1 cells"),
        (b"source\ttarget\na\tb\nc\t\n", "train.tsv:3: the target (column 2) is empty"),
        (b"source\ttarget\na\tb\n\xff\xfe\tb\n", "train.tsv:3: not UTF-8: byte 0xff at byte 1"),
        (b"source\ttarget\na\x00\tb\n", "train.tsv:2: a NUL byte at byte 2"),
        (b"source\ttarget\n", "train.tsv: holds no pairs"),
        (b"", "train.tsv:1: no header"),
    ],
)
def test_training_data(kochi, task, content, expected):
    file = task.parent / "train.tsv"
    file.unlink() if content is None else file.write_bytes(content)
    assert expected in complaint(kochi("train", task, *REFUSE))


def test_unequal_parallel_files(kochi, task):
    (task.parent / "t.en").write_text("a\nb\nc\n")
    (task.parent / "t.de").write_text("a\nb\n")
    changes = ["data.kind=parallel", "data.train={source='t.en', target='t.de'}"]
    replace(task, 'dev = "dev.tsv"\ntest = "dev.tsv"\n', "")
    result = kochi("train", task, *(part for change in changes for part in ("--set", change)))
    line = complaint(result)
    assert "unequal parallel files" in line
    assert "t.en has 3" in line and "t.de has 2" in line


def test_dev_data(kochi, task):
    (task.parent / "dev.tsv").write_text("source\ttarget\na\n")
    assert "dev.tsv:2: one side is missing" in complaint(kochi("train", task, *REFUSE))


def test_data_to_evaluate(kochi, tiny, tmp_path):
    assert "nothing.tsv: no such file" in complaint(kochi("evaluate", tiny, "nothing.tsv"))
    (tmp_path / "a.tsv").write_text("word\ttarget\n")
    assert "a.tsv:1: column 'source' is missing" in complaint(
        kochi("evaluate", tiny, tmp_path / "a.tsv")
    )
    assert "expected one file, found 2" in complaint(kochi("evaluate", tiny, "a", "b"))
    assert "--metric: got 'blue', expected one of 'bleu', 'chrf'" in complaint(
        kochi("evaluate", tiny, "dev", "--metric", "blue")
    )


# ----------------------------------------------------------------------------------- the run file


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("hidden_size", "hiden_size", "unknown key model.hiden_size; did you mean hidden_size?"),
        ("[training]", "[trainig]", "unknown key trainig; did you mean training?"),
        ("epochs = 16", 'epochs = "many"', "training.epochs = 'many': input should be a valid int"),
        ("epochs = 16", "epochs = 0", "training.epochs = 0: input should be greater than 0"),
        ('kind = "rnn"', 'kind = "rnnn"', "model: kind must be one of"),
        ("epochs = 16", "epochs = ", "cannot be read as TOML"),
        (
            "[data]\n",
            "[data]\nsource_column = 1\n",
            "column 1 is a number (no header) but others are names",
        ),
    ],
)
def test_run_file(kochi, task, old, new, expected):
    replace(task, old, new)
    line = complaint(kochi("train", task))
    assert expected in line


def test_run_file_that_is_missing(kochi, tmp_path):
    line = complaint(kochi("train", tmp_path / "no.toml"))
    assert line.endswith("no.toml: no such run file; write one with 'kochi init DATA'")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("training.epoch=3", "unknown key training.epoch; did you mean epochs?"),
        ("epochs", "--set epochs: expected KEY=VALUE"),
        ("training.epochs.more=3", "epochs is a value, not a table"),
    ],
)
def test_set(kochi, task, change, expected):
    assert expected in complaint(kochi("train", task, "--set", change))


def test_heads_that_do_not_divide(kochi, task):
    line = complaint(kochi("train", task, "--set", "model.attention.num_heads=5"))
    assert "num_heads" in line and "5" in line and "32" in line


# -------------------------------------------------------------------------------- runs and models


def test_resume_with_a_changed_model(kochi, task):
    assert kochi("train", task, "--set", "training.max_steps=2").code == 0
    line = complaint(kochi("train", task, "--resume", "--set", "model.hidden_size=16"))
    assert "model.hidden_size was 32 when the run was started and is 16 now" in line
    assert "change it back to resume" in line
    assert "holds a finished model; continue with --resume" in complaint(kochi("train", task))


@pytest.fixture
def damaged(tiny, tmp_path):
    """A copy of the model folder, to be damaged."""
    return shutil.copytree(tiny, tmp_path / "model", ignore=shutil.ignore_patterns("training"))


def test_truncated_weights(kochi, damaged):
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    line = complaint(kochi("predict", damaged, stdin=b"abc\n"))
    assert "model.safetensors: cut short, 1000 of" in line
    assert "copy the model folder again" in line


@pytest.mark.parametrize("name", ["model.safetensors", "run.toml", "source.json", "target.json"])
def test_altered_file(kochi, damaged, name):
    content = bytearray((damaged / name).read_bytes())
    content[-7] ^= 1
    (damaged / name).write_bytes(content)
    line = complaint(kochi("evaluate", damaged, "dev"))
    assert f"{name}: altered since it was written" in line


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("manifest.json", "not a finished model folder (manifest.json is missing)"),
        ("target.json", "target.json: missing"),
    ],
)
def test_file_that_is_gone(kochi, damaged, name, expected):
    (damaged / name).unlink()
    assert expected in complaint(kochi("show", damaged, "abc"))


def test_model_folder_that_is_missing(kochi, tmp_path):
    line = complaint(kochi("predict", tmp_path / "none"))
    assert line.endswith("none: no such model folder; 'kochi train' writes one")


def test_full_disk_keeps_the_last_checkpoint(kochi, task, monkeypatch):
    write, checkpoints = folder.write_through, []

    def fill(path: Path, content: bytes) -> None:
        if path.name.startswith("last.ckpt"):
            checkpoints.append(path)
            if len(checkpoints) == 3:
                path.write_bytes(content[:100])
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(folder, "write_through", fill)
    limited = ("--set", "training.max_steps=60", "--set", "training.checkpoint_every=10")
    result = kochi("train", task, *limited)
    assert result.code == 2
    last = result.err.splitlines()[-1]
    assert "No space left on device" in last
    assert "make room and continue with --resume" in last
    assert "Traceback" not in result.err
    monkeypatch.undo()
    assert kochi("train", task, *limited, "--resume").code == 0
    assert kochi("predict", task.parent / "model", stdin=b"a\n").code == 0


def test_ctrl_c_saves_and_says_how_to_resume(kochi, task):
    checkpoint = task.parent / "model" / "training" / "last.ckpt"

    def press_once_there_is_a_checkpoint() -> None:
        while not checkpoint.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    long = ("--set", "training.epochs=1000", "--set", "training.checkpoint_every=5")
    thread = threading.Thread(target=press_once_there_is_a_checkpoint)
    thread.start()
    result = kochi("train", task, *long)
    thread.join()
    assert result.code == 130
    last = result.err.splitlines()[-1]
    assert last.startswith("kochi: stopped after step")
    assert last.endswith(f"kochi train {task} --resume {' '.join(long)}")
    assert "Traceback" not in result.err
    short = ("--set", "training.max_steps=60", "--set", "training.checkpoint_every=5")
    assert kochi("train", task, *short, "--resume").code == 0


# ------------------------------------------------------------------------------------ the sources


@pytest.mark.parametrize(
    ("stdin", "expected"),
    [
        (b"", "standard input: is empty; expected one source per line"),
        (b"\n", "standard input:1: empty line; nothing to read there: remove it"),
        (b"abc\n \t\n", "standard input:2: empty line; nothing to read there: remove it"),
        (b"abc\na\xe4\n", "standard input:2: not UTF-8: byte 0xe4 at byte 2 of the line"),
        (b"a\x00b\n", "standard input:1: a NUL byte at byte 2 of the line"),
    ],
)
def test_sources(kochi, tiny, stdin, expected):
    assert complaint(kochi("predict", tiny, "--strict", stdin=stdin)).startswith(expected)


def test_source_file_that_is_missing(kochi, tiny):
    assert complaint(kochi("predict", tiny, "none.txt")).startswith("none.txt: no such file")


def test_empty_input_to_show(kochi, tiny):
    assert complaint(kochi("show", tiny, " ")) == "INPUT: empty; expected something to read"


def test_picture_of_unknown_type(kochi, tiny):
    line = complaint(kochi("show", tiny, "abc", "--out", "a.gif"))
    forms = ".png, .svg, .pdf or .html"
    assert line == f"a.gif: unknown picture type '.gif'; expected a name that ends in {forms}"


def test_more_answers_than_beams(kochi, tiny):
    line = complaint(kochi("predict", tiny, "--beam", 2, "--n-best", 3, stdin=b"a\n"))
    assert line == "--n-best 3: expected at most the beam, 2; raise --beam"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--seed", 1], "--temperature and --seed have a meaning only with --sample"),
        (["--temperature", 2], "--temperature and --seed have a meaning only with --sample"),
        (["--sample", "--beam", 2], "--beam has no meaning with --sample"),
    ],
)
def test_options_that_would_be_ignored(kochi, tiny, options, expected):
    assert expected in complaint(kochi("predict", tiny, *options, stdin=b"a\n"))


def test_device_that_is_not_there(kochi, tiny):
    assert complaint(kochi("predict", tiny, "--device", "gpu7")).startswith("device gpu7: cannot")


# ------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["predict"], "Missing argument 'MODEL' (see 'kochi predict --help')"),
        (["trian"], "No such command 'trian'. Did you mean 'train'? (see 'kochi --help')"),
        (
            ["init", "a", "--seed", "x"],
            "Invalid value for '--seed': Input should be a valid integer",
        ),
        (["init", "a", "--sed", "1"], "No such option: --sed"),
    ],
)
def test_usage(kochi, arguments, expected):
    assert complaint(kochi(*arguments)).startswith(expected)


def test_exit_code_and_line_of_the_real_command(tmp_path):
    command = [sys.executable, "-m", "kochi", "train", "none.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == ("kochi: none.toml: no such run file; write one with 'kochi init DATA'\n")


def test_a_part_of_attention_that_is_not_there_leaves_nothing_behind(kochi, task):
    result = kochi("train", task, "--set", "model.attention.score=aditive")
    assert result.code == 2
    assert ": model.attention.score: got 'aditive', expected one of 'dot', " in result.err
    assert result.err.endswith("did you mean 'additive'?\n")
    assert result.err.count("\n") == 1
    assert not (task.parent / "model").exists()
