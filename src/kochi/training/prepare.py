"""Begin a run or take it up again: what may be resumed, readers, corpus."""

import contextlib
import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from kochi import config, folder
from kochi.data.corpus import Corpus
from kochi.data.left_out import bad_rows, remark
from kochi.data.pairs import Split, read_pairs, split_files
from kochi.data.readers.base import Reader
from kochi.data.readers.making import SOURCE, TARGET, fit_and_save, load_reader, make_readers
from kochi.data.tokenizer import Tokenizer
from kochi.errors import UserError
from kochi.reading import open_file
from kochi.training.layout import Layout

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# What a resumed run may change: how long it runs, where it runs, and what training does not use.
FREE = (
    "output",
    "data.folder",
    "data.test",
    "training.epochs",
    "training.max_steps",
    "training.patience",
    "training.checkpoint_every",
    "training.examples",
    "training.devices",
    "training.accelerator",
    "search.beam",
    "search.length_penalty",
    "search.batch_size",
    "search.unknown",
    "search.max_source_length",
)
EXTENT = ("training.epochs", "training.max_steps", "training.patience")


@dataclass(frozen=True)
class Prepared:
    """Readers and corpus of a run."""

    source: Reader[Any]
    target: Tokenizer
    corpus: Corpus


# ------------------------------------------------------------------------------ begin and take up


def is_finished(run: config.Run) -> bool:
    """Say whether the run was done to its end, as far as the run file now asks for."""
    layout = Layout(run.output)
    if not _is_started(layout):
        return folder.is_whole(run.output)
    if not layout.finished.exists():
        return False
    return json.loads(layout.finished.read_bytes()) == _extent(run)


def mark_finished(run: config.Run) -> None:
    """Remember that the run was done to its end."""
    folder.write_atomic(Layout(run.output).finished, json.dumps(_extent(run)).encode())


def check_unchanged(run: config.Run) -> None:
    """Compare the run file with the one that the run in its folder was started with, if any.

    Raises:
        UserError: A key has changed that a resumed run may not change; the first one is named.
    """
    layout = Layout(run.output)
    if not _is_started(layout):
        return
    before = config.check_run(tomllib.loads(layout.run.read_text("utf-8")), str(layout.run))
    old, new = _flat(before), _flat(run)
    for key in sorted(old.keys() | new.keys(), key=lambda key: (not key.endswith(".kind"), key)):
        if old.get(key) != new.get(key) and not _is_free(key):
            raise UserError(
                f"{layout.output}: {key} was {_show(old.get(key))} when the run was started and is "
                f"{_show(new.get(key))} now; set it back to resume, or start anew with --overwrite"
            )


def open_run(run: config.Run, resume: bool, overwrite: bool) -> None:
    """Make the folder of a run ready. A run that has not got its data yet does not count.

    Raises:
        UserError: A new run would overwrite another one unasked.
    """
    layout = Layout(run.output)
    started, whole = _is_started(layout), folder.is_whole(layout.output)
    if (started or whole) and not (resume or overwrite):
        what = "a finished model" if whole else "an unfinished run"
        raise UserError(
            f"{layout.output}: holds {what}; go on with --resume, start anew with --overwrite, or "
            "choose another output"
        )
    shutil.rmtree(layout.discarded, ignore_errors=True)
    if layout.training.exists() and not (started and resume):
        os.replace(layout.training, layout.discarded)
        shutil.rmtree(layout.discarded, ignore_errors=True)
    layout.weights.mkdir(parents=True, exist_ok=True)
    tree = run.model_dump(mode="json", exclude_none=True)
    folder.write_atomic(layout.run, tomli_w.dumps(tree).encode())


@contextlib.contextmanager
def alone_in(output: Path) -> Iterator[None]:
    """Keep other trainings out of a folder (made if it is missing) while a ``with`` block runs.

    Raises:
        UserError: Another training is in it, or it is a file.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; output must name a folder")
    output.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    handle = os.open(output, os.O_RDONLY)
    try:
        _lock(handle, output)  # let go of when the process ends, in whatever way
        yield
    finally:
        os.close(handle)


def _lock(handle: int, output: Path) -> None:
    assert fcntl is not None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{output}: another training is at work in this folder; wait for it, stop it or choose "
            "another output"
        ) from None


def _is_started(layout: Layout) -> bool:
    return layout.data.exists() and layout.run.exists()


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(free + ".") for free in FREE)


def _flat(run: config.Run) -> dict[str, Any]:
    def walk(tree: dict[str, Any], prefix: str) -> dict[str, Any]:
        flat = {}
        for key, value in tree.items():
            inner = walk(value, f"{prefix}{key}.") if isinstance(value, dict) else None
            flat |= {prefix + key: value} if inner is None else inner
        return flat

    return walk(run.model_dump(mode="json", exclude_none=True), "")


def _extent(run: config.Run) -> dict[str, Any]:
    flat = _flat(run)
    return {key: flat.get(key) for key in EXTENT}


def _show(value: Any) -> str:
    return "not set" if value is None else repr(value)


# ------------------------------------------------------------------------------ readers and corpus


def prepare_data(run: config.Run, say: Callable[[str], object] = lambda line: None) -> Prepared:
    """Return readers and corpus of a run, made on first use.

    Args:
        run: The run.
        say: Called with one line where recordings may not hold what was meant.

    Raises:
        UserError: Something is wrong with the data, or they have changed since the run was started.
    """
    layout = Layout(run.output)
    if not layout.data.exists():
        partial = layout.data.with_name("data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _build(run, partial, say)
        os.replace(partial, layout.data)
    else:
        _check_files(run, layout.data / "files.json")
    return load_data(run)


def load_data(run: config.Run) -> Prepared:
    """Load what `prepare_data` made."""
    place = Layout(run.output).data
    source = load_reader(run.data, place / SOURCE)
    target = Tokenizer.load(place / TARGET)
    return Prepared(source, target, Corpus(place / "corpus"))


def _build(run: config.Run, place: Path, say: Callable[[str], object]) -> None:
    hashes = json.dumps(_hashes(run)).encode()
    if run.training.start_from is not None:
        _take_tokens_over(folder.load_folder(run.training.start_from), run.data, place)
    source, target = make_readers(run.data, place)
    bad = bad_rows(run.data)
    pairs = read_pairs(run.data, "train", bad)
    corpus = Corpus.build(pairs, source, target, place / "corpus", run.data.max_length, bad)
    if (left_out := remark(bad, len(corpus) + corpus.skipped)) is not None:
        say(f"note: {left_out}")
    fit_and_save(source, corpus, place)
    folder.write_atomic(place / "files.json", hashes)
    if source.remarks:
        more = len(source.remarks) - 1
        others = f" (and {more} more remarks on recordings)" if more else ""
        say(f"note: {source.remarks[0]}{others}")


def _take_tokens_over(before: folder.ModelFolder, data: config.Data, place: Path) -> None:
    """Save the tokens of a model where text is cut in the same way; no others are then trained."""
    source = data.source if isinstance(data, config.TextData) else None
    tagged = isinstance(data, config.TextData) and data.tagged
    sides = (
        (before.source, source, tagged, SOURCE),
        (before.target, data.target, False, TARGET),
    )
    for known, wanted, tags, name in sides:
        if wanted is not None and isinstance(known, Tokenizer) and known.fits(wanted, tags):
            known.save(place / name)


def _hashes(run: config.Run) -> dict[str, list[str]]:
    splits: list[Split] = ["train"] if run.data.dev is None else ["train", "dev"]
    return {split: [_sha256(path) for path in split_files(run.data, split)] for split in splits}


def _sha256(path: Path) -> str:
    try:
        with open_file(path, "a file of data") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UserError):
        return "unreadable"  # reading the pairs says what is wrong


def _check_files(run: config.Run, path: Path) -> None:
    before, now = json.loads(path.read_bytes()), _hashes(run)
    for split, hashes in now.items():
        for number, file in enumerate(split_files(run.data, _split(split))):
            if before[split][number] != hashes[number]:
                raise UserError(
                    f"{file}: data.{split} has changed since the run was started; bring the old "
                    "file back to resume, or start anew with --overwrite"
                )


def _split(name: str) -> Split:
    return "train" if name == "train" else "dev"
