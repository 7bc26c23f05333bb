"""What holds for every test (one thread, NaN in fresh memory, shapes checked), the command run in
this process, and one tiny trained model.

Nothing of kochi is imported here at the top: the shape checks are woven in when pytest starts, and
must be there before the first import.
"""

import contextlib
import io
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jaxtyping
import pytest
import torch
from filelock import FileLock

from tests.covering import EVERYTHING
from tests.extensions import install  # noqa: F401 a fixture
from tests.hearing import ENCODERS, STREAMING, write_features, write_sounds
from tests.seeing import write_pictures

LETTERS = "abcdef"
RUN = """
[data]
kind = "tsv"
train = "train.tsv"
dev = "dev.tsv"
test = "dev.tsv"
source.tokens = "characters"
target.tokens = "whitespace"

[model]
kind = "rnn"
embedding_size = 24
hidden_size = 32
dropout = 0.0
attention.score = "general"

[training]
epochs = 16
batch_tokens = 64
learning_rate = 0.005
schedule = { kind = "cosine", warmup_steps = 10 }
label_smoothing = 0.0
metric = "per"
evaluate_every = 120

[search]
beam = 2
batch_size = 4
"""

TRANSLATION = """
[data]
kind = "tsv"
train = "train.tsv"
dev = "dev.tsv"
test = "test.tsv"
source.tokens = "whitespace"
target.tokens = "whitespace"
tokenized = true

[model]
kind = "rnn"
order = "luong"
embedding_size = 32
hidden_size = 48
dropout = 0.0
attention.score = "general"

[training]
max_steps = 220
batch_tokens = 512
learning_rate = 0.01
schedule = { kind = "cosine", warmup_steps = 20 }
label_smoothing = 0.0
metric = "bleu"
evaluate_every = 220

[search]
beam = 1
"""

TESTS = Path(__file__).parent
WHOLE = ("acceptance", "commands", "docs", "examples", "fuzz", "inference", "studies", "view")

torch.set_num_threads(1)
if not torch.cuda.is_available():
    # Before anybody imports triton: its own functions, too, are interpreted from then on or not.
    os.environ["TRITON_INTERPRET"] = "1"


def pytest_runtest_setup() -> None:
    """Fill what `torch.empty` returns with NaN, so that reading before writing shows."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True  # pyright: ignore[reportAttributeAccessIssue]


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Switch the shape checks off."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def shapes_unchecked() -> Iterator[None]:
    """Switch the shape checks off: under `torch.compile` they fail falsely."""
    with unchecked():
        yield


@pytest.fixture(autouse=True)
def checked_where_it_is_quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """Switch the shape checks off in tests of whole commands, whose time they double."""
    path = request.path
    whole = TESTS in path.parents and path.relative_to(TESTS).parts[0] in WHOLE
    with unchecked() if whole and not EVERYTHING else contextlib.nullcontext():
        yield


@dataclass(frozen=True)
class Result:
    """What a call of the command left."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Kochi = Callable[..., Result]


def run_command(*arguments: object, stdin: bytes = b"", encoding: str = "utf-8") -> Result:
    """Run the command as `kochi ARGUMENTS`, with all its streams caught.

    ``encoding`` is what the locale asks of stdout; what comes out is read as UTF-8.
    """
    from kochi.cli import main

    streams = sys.stdin, sys.stdout, sys.stderr
    out, err = io.TextIOWrapper(io.BytesIO(), encoding), io.TextIOWrapper(io.BytesIO(), "utf-8")
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(stdin), "utf-8"), out, err
    try:
        code = main([str(argument) for argument in arguments])
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Result(code, *texts)


@pytest.fixture(scope="session")
def kochi() -> Kochi:
    """`kochi("predict", folder, stdin=b"...")` runs the command."""
    return run_command


def write_rows(path: Path, words: list[str]) -> None:
    """Write words beside what the tiny model is to say: each letter in upper case."""
    rows = [f"{word}\t{' '.join(word.upper())}" for word in words]
    path.write_text("\n".join(["source\ttarget", *rows]) + "\n", encoding="utf-8")


def write_data(folder: Path) -> Path:
    """Write the tiny task and its run file; return the run file."""
    drawn = random.Random(1)
    words = {"".join(drawn.choices(LETTERS, k=drawn.randint(1, 6))) for _ in range(260)}
    write_rows(folder / "train.tsv", sorted(words)[30:])
    write_rows(folder / "dev.tsv", sorted(words)[:30])
    run_file = folder / "run.toml"
    run_file.write_text(RUN, encoding="utf-8")
    return run_file


Made = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """`made_once(name, make)` returns a folder that `make` filled, once for all workers."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
                folder.mkdir()
                with contextlib.nullcontext() if EVERYTHING else unchecked():
                    make(folder)
                done.touch()
        return folder

    return once


def train_model(run_file: Path, *options: str) -> None:
    result = run_command("train", run_file, *options)
    assert result.code == 0, result.err


def sets(*changes: str) -> tuple[str, ...]:
    return tuple(word for change in changes for word in ("--set", change))


@pytest.fixture(scope="session")
def tiny(made_once: Made) -> Path:
    """A model folder: it has learned to say each letter in upper case. Not to be changed."""
    return made_once("tiny", lambda folder: train_model(write_data(folder))) / "model"


@pytest.fixture(scope="session")
def translator(made_once: Made) -> Path:
    """A model folder: it translates a made-up language; its data lie beside. Not to be changed."""
    from kochi.studies.language import Part, write_pairs

    def make(folder: Path) -> None:
        sizes = {"train": 1500, "dev": 20, "test": 60}
        write_pairs(folder, {name: Part(size, 3, 10) for name, size in sizes.items()})
        for side, column in (("source", 0), ("target", 1)):
            rows = (folder / "test.tsv").read_text().splitlines()[1:]
            text = "".join(row.split("\t")[column] + "\n" for row in rows)
            (folder / f"test.{side}").write_text(text)
        (folder / "run.toml").write_text(TRANSLATION, encoding="utf-8")
        train_model(folder / "run.toml")

    return made_once("translator", make) / "model"


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A run file with its data, in a folder of its own."""
    return write_data(tmp_path)


@pytest.fixture(scope="session")
def heard(made_once: Made) -> Path:
    """A model folder: it has learned to read features of letters. Not to be changed."""
    changes = sets("training.epochs=30", "training.metric=loss")
    return made_once("heard", lambda f: train_model(write_features(f), *changes)) / "model"


@pytest.fixture(scope="session")
def listener(made_once: Made) -> Path:
    """A model folder: it reads recordings, but has hardly learned anything. Not to be changed."""
    changes = sets("training.max_steps=2")
    return made_once("listener", lambda f: train_model(write_sounds(f), *changes)) / "model"


@pytest.fixture(scope="session")
def streamer(made_once: Made) -> Path:
    """A model folder: it has learned to hear tones while they come. Not to be changed."""
    changes = sets(*STREAMING, f"model.encoder={ENCODERS['conv_rnn']}")
    return made_once("streamer", lambda f: train_model(write_sounds(f), *changes)) / "model"


@pytest.fixture
def features_task(tmp_path: Path) -> Path:
    """A run file on features, in a folder of its own."""
    return write_features(tmp_path)


@pytest.fixture
def sound_task(tmp_path: Path) -> Path:
    """A run file on recordings, in a folder of its own."""
    return write_sounds(tmp_path)


@pytest.fixture(scope="session")
def seer(made_once: Made) -> Path:
    """A model folder: it has learned to name blocks of colour. Not to be changed."""
    changes = sets("training.epochs=30", "training.metric=loss")
    return made_once("seer", lambda f: train_model(write_pictures(f), *changes)) / "model"


@pytest.fixture
def pictures_task(tmp_path: Path) -> Path:
    """A run file on pictures, in a folder of its own."""
    return write_pictures(tmp_path)
