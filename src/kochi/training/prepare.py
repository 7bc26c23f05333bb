"""Start or resume a run: the changes that a resumed run allows, readers, corpus."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kochi import config, folder
from kochi.data.corpus import Corpus
from kochi.data.left_out import bad_rows, remark
from kochi.data.pair import Split
from kochi.data.readers.base import Reader
from kochi.data.tokenizer import Tokenizer
from kochi.errors import UserError
from kochi.modalities import modality_of
from kochi.modalities.pairs import read_pairs, split_files
from kochi.modalities.readers import SOURCE, TARGET, fit_and_save, load_reader, make_readers
from kochi.modalities.tables import BaseData
from kochi.publishing import publish
from kochi.reading import open_file, parse_json, read_file, size_of
from kochi.schema import packages_of
from kochi.training.checkpoints import newest
from kochi.training.layout import TRAINING, Layout
from kochi.training.ownership import check_ownership
from kochi.training.sealed import LARGEST, Damaged, is_sealed, read_sealed, write_sealed
from kochi.training.state import RunState

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Keys that a resumed run may change: duration, hardware, and what training does not use.
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
    "training.strategy",
    "search.beam",
    "search.length_penalty",
    "search.batch_size",
    "search.unknown",
    "search.max_source_length",
)
FILES, MANIFEST = "files.json", "manifest.json"
EXTENT = ("training.epochs", "training.max_steps", "training.patience")


@dataclass(frozen=True)
class Prepared:
    """The readers and the corpus of a run."""

    source: Reader[Any]
    target: Tokenizer
    corpus: Corpus


# ------------------------------------------------------------------------------ begin and take up


def is_finished(run: config.Run) -> bool:
    """Return whether the run was completed, to the extent that the run file specifies."""
    layout = Layout(run.output)
    whole = folder.written_files(run.output) >= {*folder.FILES, folder.MANIFEST}
    if not _is_started(layout):
        return whole
    if not (whole and layout.finished.exists()):
        return False
    try:
        return parse_json(read_sealed(layout.finished), str(layout.finished)) == _extent(run)
    except UserError:
        return False  # the end is repeated, with the same result


def mark_finished(run: config.Run) -> None:
    """Record that the run was completed."""
    write_sealed(Layout(run.output).finished, json.dumps(_extent(run)).encode())


def check_unchanged(run: config.Run, say: Callable[[str], object] = lambda line: None) -> None:
    """Compare the run file with the one that the run in its folder was started with, if any.

    Args:
        run: The run file.
        say: Called with a line if that one is damaged; see also `check_fingerprint`.

    Raises:
        UserError: A key has changed that a resumed run may not change; the first one is named.
    """
    layout = Layout(run.output)
    if not layout.run.exists():
        return
    try:
        content = read_sealed(layout.run)
    except Damaged as error:
        say(f"warning: {error}; written again from the run file")
        return
    if not _is_started(layout):
        return
    where = str(layout.run)
    before = config.check_run(config.read_toml(content, where), where, packages_of(run))
    old, new = _flat(before), _flat(publish(run, run.output, TRAINING))
    for key in sorted(old.keys() | new.keys(), key=lambda key: (not key.endswith(".kind"), key)):
        if _bare(old.get(key)) != _bare(new.get(key)) and not _is_free(key):
            raise UserError(
                f"{layout.output}: {key} was {_show(old.get(key))} when the run was started and is "
                f"{_show(new.get(key))} now; change it back to resume, or start over with "
                "--overwrite"
            )


def open_run(run: config.Run, resume: bool, overwrite: bool) -> None:
    """Prepare the folder of a run. A run without prepared data does not count as started.

    Raises:
        UserError: A new run would overwrite another one without ``overwrite``.
    """
    layout = Layout(run.output)
    started, whole = _is_started(layout), folder.is_whole(layout.output)
    if (started or whole) and not (resume or overwrite):
        what = "a finished model" if whole else "an unfinished run"
        raise UserError(
            f"{layout.output}: holds {what}; continue with --resume, start over with --overwrite, "
            "or choose another output"
        )
    shutil.rmtree(layout.discarded, ignore_errors=True)
    if layout.training.exists() and not (started and resume):
        os.replace(layout.training, layout.discarded)
        shutil.rmtree(layout.discarded, ignore_errors=True)
    layout.weights.mkdir(parents=True, exist_ok=True)
    write_sealed(layout.run, folder.dump_run(publish(run, run.output, TRAINING)))


@contextlib.contextmanager
def alone_in(output: Path) -> Iterator[None]:
    """Lock a folder against other trainings (creating it if needed) during a ``with`` block.

    Raises:
        UserError: Another training uses the folder, it is a file, or it contains files that kochi
            did not write.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; output must name a folder")
    output.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        check_ownership(output)
        yield
        return
    handle = os.open(output, os.O_RDONLY)
    try:
        _lock(handle, output)  # released when the process ends, in any way
        check_ownership(output)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, output: Path) -> None:
    assert fcntl is not None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{output}: another training run is using this folder; wait for it, stop it or choose "
            "another output"
        ) from None


def _is_started(layout: Layout) -> bool:
    return newest(layout) is not None or (layout.data.exists() and is_sealed(layout.run))


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(free + ".") for free in FREE)


def check_fingerprint(run: config.Run, state: RunState) -> None:
    """Compare the run file with the fingerprint of the original run file in a checkpoint.

    Raises:
        UserError: They differ in keys that a resumed run may not change.
    """
    if state.step and state.run_sha256 != fingerprint(run):
        raise UserError(
            f"{run.output}: the run file differs from the one that the run was started with; "
            "restore it to resume, or start over with --overwrite"
        )


def fingerprint(run: config.Run) -> str:
    """Return the SHA-256 of everything that a resumed run may not change."""
    flat = _flat(publish(run, run.output, TRAINING))
    kept = {key: _bare(value) for key, value in flat.items() if not _is_free(key)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def _bare(value: Any) -> Any:
    """Replace paths by file names: the location of files may change, their content may not."""
    if isinstance(value, list):
        return [_bare(one) for one in value]
    return value.name if isinstance(value, Path) else value


def _flat(run: config.Run) -> dict[str, Any]:
    def walk(tree: dict[str, Any], prefix: str) -> dict[str, Any]:
        flat = {}
        for key, value in tree.items():
            inner = walk(value, f"{prefix}{key}.") if isinstance(value, dict) else None
            flat |= {prefix + key: value} if inner is None else inner
        return flat

    return walk(run.model_dump(exclude_none=True), "")


def _extent(run: config.Run) -> dict[str, Any]:
    flat = _flat(run)
    return {key: flat.get(key) for key in EXTENT}


def _show(value: Any) -> str:
    return "not set" if value is None else repr(str(value) if isinstance(value, Path) else value)


# ------------------------------------------------------------------------------ readers and corpus


def prepare_data(
    run: config.Run,
    say: Callable[[str], object] = lambda line: None,
    state: RunState | None = None,
) -> Prepared:
    """Return readers and corpus of a run, made on first use.

    Damaged prepared data are prepared again, if the result is the same.

    Args:
        run: The run.
        say: Called with a line if recordings may not have the intended content, or if something
            was damaged.
        state: The progress of the run.

    Raises:
        UserError: The data are faulty, or have changed since the run was started.
    """
    layout = Layout(run.output)
    state = state or RunState()
    started = layout.data.exists() or state.step > 0
    damage = _find_damage(layout, state.data_sha256) if started else None
    if started and damage is None:
        _check_files(run, layout.data / FILES)
    elif damage is None:
        os.replace(_build_partial(run, layout, say), layout.data)
    else:
        _prepare_again(run, layout, state, damage, say)
    return load_data(run)


def _build_partial(run: config.Run, layout: Layout, say: Callable[[str], object]) -> Path:
    partial = layout.data.with_name("data.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _build(run, partial, say)
    return partial


def _prepare_again(
    run: config.Run, layout: Layout, state: RunState, damage: str, say: Callable[[str], object]
) -> None:
    """Replace damaged data; the run continues only with the data that it was started with.

    Raises:
        UserError: The data can no longer be read, or differ.
    """
    remedy = "bring the file or the data back from a copy to resume, or start over with --overwrite"
    say(f"warning: {damage}; preparing the data again ...")
    try:
        partial = _build_partial(run, layout, lambda line: None)
    except UserError as error:
        raise UserError(f"{damage}; preparing it again failed: {error}; {remedy}") from None
    before = state.data_sha256 or _manifest_sha256(layout.data)
    if state.step and _manifest_sha256(partial) != before:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(
            f"{damage}; the data were prepared again and differ from those of the run's start: "
            f"{remedy}"
        )
    away = layout.data.with_name("data.discarded")
    shutil.rmtree(away, ignore_errors=True)
    if layout.data.exists():
        os.replace(layout.data, away)
    os.replace(partial, layout.data)
    shutil.rmtree(away, ignore_errors=True)


def data_sha256(run: config.Run) -> str:
    """Return the SHA-256 of the manifest of a run's prepared data."""
    return _manifest_sha256(Layout(run.output).data) or ""


def _manifest_sha256(data_folder: Path) -> str | None:
    try:
        return hashlib.sha256(read_sealed(data_folder / MANIFEST)).hexdigest()
    except Damaged:
        return None


def _write_manifest(data_folder: Path) -> None:
    """Write a manifest with the size and SHA-256 of every file below a folder of prepared data."""
    files = sorted(path for path in data_folder.rglob("*") if path.is_file())
    entries = {path.relative_to(data_folder).as_posix(): _entry(path) for path in files}
    write_sealed(
        data_folder / MANIFEST, json.dumps({"format": 1, "files": entries}, indent=1).encode()
    )


def _entry(path: Path) -> dict[str, Any]:
    with open_file(path, "a file of data") as file:
        size, digest = size_of(file), hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _find_damage(layout: Layout, expected: str) -> str | None:
    """Describe the first file of the prepared data that is damaged; None if all are intact.

    Args:
        layout: The run.
        expected: The SHA-256 of the manifest, if it is known from a checkpoint.
    """
    try:
        content = read_sealed(layout.data_manifest)
        entries = parse_json(content, str(layout.data_manifest))["files"]
    except UserError as error:
        return str(error)
    if expected and hashlib.sha256(content).hexdigest() != expected:
        return f"{layout.data_manifest}: is of other data than those the run was started with"
    for name, entry in entries.items():
        path = layout.data / name
        try:
            whole = _entry(path) == entry
        except UserError as error:
            return str(error)
        if not whole:
            return f"{path}: damaged (SHA-256 differs from when it was written)"
    return None


def load_data(run: config.Run) -> Prepared:
    """Load the results of `prepare_data`."""
    data_folder = Layout(run.output).data
    source = load_reader(run.data, data_folder / SOURCE)
    target = Tokenizer.load(data_folder / TARGET)
    return Prepared(source, target, Corpus(data_folder / "corpus"))


def _build(run: config.Run, data_folder: Path, say: Callable[[str], object]) -> None:
    hashes = _hashes(run)
    if run.training.start_from is not None:
        _take_tokens_over(
            folder.load_folder(run.training.start_from, packages_of(run)), run.data, data_folder
        )
    source, target = make_readers(run.data, data_folder)
    bad = bad_rows(run.data)
    pairs = read_pairs(run.data, "train", bad)
    corpus = Corpus.build(pairs, source, target, data_folder / "corpus", run.data.max_length, bad)
    if (left_out := remark(bad, len(corpus) + corpus.skipped)) is not None:
        say(f"note: {left_out}")
    fit_and_save(source, corpus, data_folder)
    _check_same(run, hashes)
    folder.write_atomic(data_folder / FILES, json.dumps(hashes).encode())
    _write_manifest(data_folder)
    if source.remarks:
        more = len(source.remarks) - 1
        others = f" (and {more} more remarks on recordings)" if more else ""
        say(f"note: {source.remarks[0]}{others}")


def _take_tokens_over(before: folder.ModelFolder, data: BaseData, data_folder: Path) -> None:
    """Save the tokenizers of a model if they match this run's, so that no others are trained."""
    modality_of(data).keep_tokens(before.source, data_folder / SOURCE)
    if before.target.fits(data.target):
        before.target.save(data_folder / TARGET)


def _hashes(run: config.Run) -> dict[str, list[str]]:
    splits: list[Split] = ["train"] if run.data.dev is None else ["train", "dev"]
    return {split: [_sha256(path) for path in split_files(run.data, split)] for split in splits}


def _sha256(path: Path) -> str:
    try:
        return _entry(path)["sha256"]
    except (OSError, UserError):
        return "unreadable"  # the reader of pairs reports the error


def _check_files(run: config.Run, path: Path) -> None:
    found = _first_changed(run, parse_json(read_file(path, "JSON", LARGEST), str(path)))
    if found is not None:
        split, file = found
        raise UserError(
            f"{file}: data.{split} has changed since the run was started; bring the old "
            "file back to resume, or start over with --overwrite"
        )


def _check_same(run: config.Run, before: dict[str, list[str]]) -> None:
    found = _first_changed(run, before)
    if found is not None:
        split, file = found
        raise UserError(
            f"{file}: data.{split} was changed while it was being read; start again when nothing "
            "writes to it"
        )


def _first_changed(run: config.Run, before: dict[str, list[str]]) -> tuple[str, Path] | None:
    """Return the split and path of a data file that has changed, if any."""
    for split, hashes in _hashes(run).items():
        files = split_files(run.data, _split(split))
        if len(before.get(split, ())) != len(hashes):
            return split, files[0] if files else run.data.folder
        for file, old, new in zip(files, before[split], hashes, strict=True):
            if old != new:
                return split, file
    return None


def _split(name: str) -> Split:
    return "train" if name == "train" else "dev"
