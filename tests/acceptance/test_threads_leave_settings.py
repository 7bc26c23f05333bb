"""Calls from several threads answer as single calls do, and leave what is global as it was."""

import ast
import itertools
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import kochi
from kochi.data.tokenizer import train_tokenizer
from kochi.inputs import TokenInput
from kochi.modalities.tables import Tokens
from kochi.models.build import build_model
from kochi.quiet import Quiet

WORDS = ["abc", "de", "fab", "c", "abcdef", "fed", "cab", "deaf"] * 2
NUM_THREADS = 6


def settings() -> dict[str, Any]:
    """Return what is global in torch and in Python's warnings."""
    return {
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "default dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "random state": torch.random.get_rng_state().tolist(),
        "filters": list(warnings.filters),
        "the list of filters": id(warnings.filters),
    }


def in_threads(work: Callable[[], Any]) -> list[Any]:
    """Return what each of several threads that are new to torch computes, all at once."""
    found: list[Any] = []
    begin = threading.Barrier(NUM_THREADS)

    def run() -> None:
        begin.wait()
        found.append(work())

    threads = [threading.Thread(target=run) for _ in range(NUM_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == NUM_THREADS
    return found


@pytest.fixture
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_calls_from_several_threads(tiny: Path, two_cores: None) -> None:
    model = kochi.load(tiny, "cpu")
    single = [one.text for one in model.predict(WORDS)]
    before = settings()
    for _ in range(3):
        for texts, threads in in_threads(
            lambda: ([one.text for one in model.predict(WORDS)], torch.get_num_threads())
        ):
            assert texts == single
            assert threads == 2
        assert settings() == before


def test_the_first_calls_of_a_process_are_those_of_several_threads(tiny: Path) -> None:
    """Where no thread of the pool is there yet, each of the callers may begin it."""
    program = (
        "import sys, torch, kochi\n"
        "from tests.acceptance.test_threads_leave_settings import WORDS, in_threads, settings\n"
        "torch.set_num_threads(2)\n"
        "model = kochi.load(sys.argv[1], 'cpu')\n"
        "before = settings()\n"
        "def work():\n"
        "    return [one.text for one in model.predict(WORDS)], torch.get_num_threads()\n"
        "found = in_threads(work)\n"
        "assert settings() == before\n"
        "from kochi.allocator import keep_pages\n"
        "assert not keep_pages.cache_info().currsize, 'the allocator was set'\n"
        "assert all(one == found[0] for one in found), found\n"
        "assert found[0][1] == 2, found\n"
        "print('as it was')\n"
    )
    here = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny)], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("as it was\n", "")


def test_calls_with_other_options_share_nothing(tiny: Path) -> None:
    """One model, several threads, each with options of its own, again and again.

    In transformers concurrent calls overwrote each other's state
    (https://github.com/huggingface/transformers/issues/48286), and a tokenizer set anew at each
    call was "Already borrowed" (https://github.com/huggingface/tokenizers/issues/537).
    """
    model = kochi.load(tiny, "cpu")
    pieces = train_tokenizer(Tokens(tokens="bpe", vocabulary_size=20), WORDS)
    target = train_tokenizer(Tokens(tokens="bpe", vocabulary_size=20), ["A B C D E F"])
    built = build_model(model.run.model, TokenInput(pieces.size), target.size)
    bpe = kochi.Predictor(built, pieces, target, model.run, {}, torch.device("cpu"))

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    calls: list[Callable[[], list[kochi.Prediction]]] = [
        lambda: model.predict(WORDS, beam=1),
        lambda: model.predict(WORDS, beam=4, n_best=3, need_heads=True),
        lambda: model.sample(WORDS, 2, generator=seeded()),
        lambda: model.align(WORDS, [" ".join(word.upper()) for word in WORDS]),
        lambda: bpe.predict(WORDS, beam=3, need_alignment=True, max_source_length=9),
        lambda: bpe.predict(WORDS, beam=1, unknown="mark"),
    ]
    single = [call() for call in calls]
    turn = itertools.count()
    for number, found in in_threads(
        lambda: [(n, calls[n]()) for n in [next(turn) % len(calls)] * 3][-1]
    ):
        for one, other in zip(single[number], found, strict=True):
            assert one.n_best == other.n_best
            if one.alignment is not None:
                assert torch.equal(one.alignment, other.alignment)


def test_loading_draws_no_random_numbers_of_the_user(tiny: Path) -> None:
    before = settings()
    in_threads(lambda: kochi.load(tiny, "cpu"))
    assert settings() == before


def test_a_training_leaves_settings(task: Path) -> None:
    from kochi import config
    from kochi.training.progress import Progress
    from kochi.training.run import train

    before = settings()
    train(config.read_run(task, ["training.max_steps=2"]), progress=Progress(silent=True))
    assert settings() == before


def test_drawing_from_several_threads_leaves_filters(tmp_path: Path) -> None:
    from kochi.view.picture import save_alignment

    before = settings()
    folder = iter(range(100))

    def draw() -> None:
        for _ in range(3):
            out = tmp_path / f"{next(folder)}.svg"
            save_alignment(torch.eye(2), ["\U00016a40", "b"], ["c", "\U0001f9ff"], out, title="x")

    in_threads(draw)
    assert settings() == before


def test_quiet_is_quiet_while_any_thread_needs_it() -> None:
    quiet = Quiet("of no use")
    before = list(warnings.filters)
    with quiet():
        with quiet():
            pass
        warnings.warn("of no use", stacklevel=1)  # an error in these tests
    assert list(warnings.filters) == before
    with pytest.raises(UserWarning):
        warnings.warn("of no use", stacklevel=1)


def test_a_list_of_filters_put_back_by_others_is_cleaned() -> None:
    quiet = Quiet("of no use")
    before = list(warnings.filters)
    with warnings.catch_warnings():
        block = quiet()
        block.__enter__()
    with warnings.catch_warnings():
        block.__exit__(None, None, None)
    assert list(warnings.filters) == before


def test_nothing_of_ours_catches_warnings() -> None:
    """`warnings.catch_warnings` puts back a copy of all filters, whoever changed them meanwhile."""
    named = {
        node.attr
        for file in Path(kochi.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert not named & {"catch_warnings", "simplefilter", "filterwarnings", "resetwarnings"}
