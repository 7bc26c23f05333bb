"""The model folder: everything a trained model needs, as data that cannot run code.

    run.toml  model.safetensors  source.json  target.json  metrics.json  README.md  manifest.json

The manifest contains the size and SHA-256 of every other file. It is written last, so that a folder
with a manifest is complete, and truncated or altered files are detected on loading.
"""

import contextlib
import hashlib
import io
import json
import os
import threading
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from kochi import config
from kochi.components import is_trusted
from kochi.contents import Contents
from kochi.errors import UserError
from kochi.publishing import publish
from kochi.reading import (
    LARGEST_TOML,
    inside,
    open_file,
    parse_json,
    parsing,
    read_file,
    read_open,
    shortened,
    size_of,
)
from kochi.schema import packages_of

if TYPE_CHECKING:
    from kochi.data.readers.base import Reader
    from kochi.data.tokenizer import Tokenizer
    from kochi.models.seq2seq import Seq2Seq

RUN, WEIGHTS, MANIFEST = "run.toml", "model.safetensors", "manifest.json"
SOURCE, TARGET, METRICS, CARD = "source.json", "target.json", "metrics.json", "README.md"
FILES = (RUN, WEIGHTS, SOURCE, TARGET, METRICS, CARD)
PARTIAL = ".partial"
REPLACED = MANIFEST + ".replaced"
LARGEST_WEIGHTS = 1 << 40  # bytes; they are compared with what the run file describes
LARGEST_JSON = 1 << 25  # a vocabulary of 250,000 tokens has 8 MB
LARGEST = {RUN: LARGEST_TOML, WEIGHTS: LARGEST_WEIGHTS}
LARGEST_HEADER = 1 << 25
DTYPE = "F32"  # as safetensors calls what `weights_of` gives
Shapes = dict[str, Any]  # a tuple for each name of a weight; anything else fits no weight

_building = threading.Lock()


@dataclass(frozen=True)
class ModelFolder:
    """The content of a model folder.

    Attributes:
        run: The resolved run file.
        weights: Tensors by name; tied weights are stored once, under their first name.
        source: Reader of the source side.
        target: Tokenizer of the target side.
        metrics: Metrics at the end of training.
    """

    run: config.Run
    weights: dict[str, Tensor]
    source: "Reader[Any]"
    target: "Tokenizer"
    metrics: dict[str, Any]

    def model(self) -> "Seq2Seq":
        """Build the model and load its weights.

        Raises:
            UserError: The weights do not match the model that the run file describes.
        """
        from kochi.models.build import build_model

        # Building draws initial weights; it must not advance the user's random state.
        with _building, torch.random.fork_rng(devices=[]):
            model = build_model(
                self.run.model,
                self.source.inputs,
                self.target.size,
                ctc=self.run.training.ctc_weight > 0,
            )
        load_weights(model, self.weights, WEIGHTS)
        return model.eval()


# --------------------------------------------------------------------------------- writing a file


def write_atomic(path: Path, content: bytes, previous: Path | None = None) -> None:
    """Write a file atomically: after a crash, either the old or the new content is complete.

    Args:
        path: The file.
        content: The new content.
        previous: Name under which to keep the old file. After a crash, only this one may exist.

    Raises:
        OSError: The content could not be written; the old file is still there.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        write_through(partial, content)
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_output(path: Path, content: bytes) -> None:
    """Write a requested output: atomically to a file, directly to a device or a pipe.

    Raises:
        OSError: The content could not be written; an older file is still there.
    """
    if path.exists() and not path.is_file():
        with naming(path):
            path.write_bytes(content)
    else:
        write_atomic(Path(os.path.realpath(path)), content)


def write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with naming(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the name of a file to every `OSError`, since errors of a write have none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --------------------------------------------------------------------------------------- weights


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the model's tensors by name, on the CPU; tied weights once, by their first name."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in _once(model)}


def _once(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield a model's tensors with their names; tied ones once, by their first name."""
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield name, tensor


def load_weights(model: nn.Module, weights: dict[str, Tensor], where: str) -> None:
    """Copy weights returned by `weights_of` into a model of the same architecture.

    Raises:
        UserError: A tensor is missing, unexpected or has another shape; the first is named.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    _check_shapes(shapes, {name: tuple(tensor.shape) for name, tensor in _once(model)}, where)
    model.load_state_dict(weights, strict=False)


def _check_shapes(found: Shapes, expected: Shapes, where: str) -> None:
    for name in sorted(found.keys() | expected.keys()):
        is_there, wanted = (of.get(name, "nothing") for of in (found, expected))
        if is_there != wanted:
            raise UserError(
                f"{where}: weight {shortened(name)} has shape {is_there}, the model of run.toml "
                f"expects {wanted}; weights and run file must be from one run"
            )


def pack_weights(weights: dict[str, Tensor]) -> bytes:
    """Return the bytes of a safetensors file."""
    return save_tensors(weights, metadata={"format": "pt"})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        UserError: The file is missing or not a complete safetensors file.
    """
    return unpack_weights(_read(path), path)


def unpack_weights(content: bytes, path: Path) -> dict[str, Tensor]:
    """Parse the result of `pack_weights`.

    Raises:
        UserError: It is not a complete safetensors file.
    """
    with parsing(str(path), "a safetensors file", _REMEDY):
        return load_tensors(content)


def _read_shapes(file: io.BufferedIOBase, size: int, where: str) -> Shapes:
    """Read the shapes in the header of a safetensors file, before anything else."""
    with parsing(where, "a safetensors file", _REMEDY):
        count = int.from_bytes(file.read(8), "little")
        if count > min(LARGEST_HEADER, size - 8):
            raise ValueError(f"a header of {count:,} bytes")
        content = file.read(count)
    header = parse_json(content, where, _REMEDY)
    entries = header if isinstance(header, dict) else {}
    shapes = {}
    for name, entry in entries.items():
        if name != "__metadata__":
            shape = entry.get("shape") if isinstance(entry, dict) else None
            shapes[name] = tuple(shape) if isinstance(shape, list) else "nothing"
            kind = entry.get("dtype") if isinstance(entry, dict) else None
            if kind != DTYPE:
                raise UserError(
                    f"{where}: weight {shortened(name)} is of type {kind}, expected {DTYPE}; "
                    f"{_REMEDY}"
                )
    return shapes


# ---------------------------------------------------------------------------------------- folder


def is_whole(folder: Path) -> bool:
    """Return whether a complete model was written there (without reading the files)."""
    return (folder / MANIFEST).is_file()


def dump_run(run: config.Run) -> bytes:
    """Return a run file."""
    return tomli_w.dumps(run.model_dump(mode="json", exclude_none=True)).encode()


def save_folder(
    folder: Path,
    run: config.Run,
    weights: dict[str, Tensor],
    source: "Reader[Any]",
    target: "Tokenizer",
    metrics: dict[str, Any],
    card: str,
) -> None:
    """Write a model folder: all files under temporary names, which are then renamed.

    An older model in the same folder stays until every new file is on the disk. Paths in the run
    file are relative to the folder, see `kochi.publishing`.

    Raises:
        OSError: A file could not be written; an older model is still intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        RUN: dump_run(publish(run, folder)),
        WEIGHTS: pack_weights(weights),
        METRICS: _json(metrics),
        CARD: card.encode(),
        SOURCE: _reader_bytes(source, folder),
        TARGET: _reader_bytes(target, folder),
    }
    entries = {name: _entry(content) for name, content in sorted(contents.items())}
    manifest: dict[str, Any] = {"format": 1, "files": entries}
    if packages := packages_of(run):
        manifest["packages"] = packages
    contents[MANIFEST] = _json(manifest)
    partials = {name: folder / (name + PARTIAL) for name in contents}
    try:
        for name, content in contents.items():
            if name != MANIFEST:
                write_through(partials[name], content)
        write_atomic(partials[MANIFEST], contents[MANIFEST])  # never half: it tells whose files
    except OSError:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        raise
    if is_whole(folder):  # kept to the end: it tells old files from files that kochi did not write
        os.replace(folder / MANIFEST, folder / REPLACED)
    for name, partial in partials.items():  # the manifest is the last
        os.replace(partial, folder / name)
    (folder / REPLACED).unlink(missing_ok=True)
    _sync_folder(folder)


def written_files(folder: Path) -> set[str]:
    """Return the files of a folder that are byte for byte what `save_folder` wrote there."""
    known: set[tuple[str, str]] = set()
    found = set()
    for name in (MANIFEST, REPLACED, MANIFEST + PARTIAL):
        try:
            entries = _manifest(folder, name)
        except UserError:
            continue
        found.add(name)
        known |= {(file, digest) for file, (_, digest) in entries.items()}
    for name in FILES:
        path = folder / name
        if path.is_file() and any(name == file for file, _ in known):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if (name, digest) in known:
                found.add(name)
    return found


def load_folder(folder: Path, trust: Collection[str] = ()) -> ModelFolder:
    """Read a model folder and check every file against the manifest.

    Args:
        folder: The folder.
        trust: Installed packages whose code it may run, for components that are not built in.

    Raises:
        UserError: The folder or one of its files is missing, truncated or altered, or it needs a
            package that is not installed or not trusted.
    """
    from kochi.data.tokenizer import Tokenizer
    from kochi.modalities.readers import load_reader
    from kochi.models.outline import check_memory, outline

    entries = _entries(folder)
    _check_packages(folder, trust)
    names = [name for name in FILES if name != WEIGHTS]
    files = {name: Contents(_checked(folder, name, entries), str(folder / name)) for name in names}
    where = files[RUN].name
    run = config.check_run(config.read_toml(files[RUN].content, where), where, trust)
    run = config.resolve(run, folder)
    metrics = _read_metrics(parse_json(files[METRICS].content, files[METRICS].name, _REMEDY))
    if metrics is None:
        raise UserError(f"{files[METRICS].name}: is not what kochi measured; {_REMEDY}")
    source, target = load_reader(run.data, files[SOURCE]), Tokenizer.load(files[TARGET])
    found = outline(
        run.model,
        source.inputs,
        target.size,
        ctc=run.training.ctc_weight > 0,
        where=f"{where}: model",
    )
    expected = {name: tuple(tensor.shape) for name, tensor in _once(found)}
    content = _checked(folder, WEIGHTS, entries, expected)
    check_memory(found, f"{where}: model", trained=False)
    return ModelFolder(
        run=run,
        weights=unpack_weights(content, folder / WEIGHTS),
        source=source,
        target=target,
        metrics=metrics,
    )


def _read_metrics(found: Any) -> dict[str, Any] | None:
    """Return the metrics if the used fields have the right types."""
    if not isinstance(found, dict):
        return None
    parts = [found.get(name, {}) for name in ("dev", "longest")]
    if not all(isinstance(part, dict) for part in parts):
        return None
    longest = parts[1].get("source")
    return found if longest is None or (type(longest) is int and longest > 0) else None


_REMEDY = "copy the model folder again, or train it again"


def _entries(folder: Path) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of the files of a model folder, as its manifest has them."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model folder; 'kochi train' writes one")
    if not is_whole(folder):
        raise UserError(
            f"{folder}: not a finished model folder ({MANIFEST} is missing); finish it with "
            f"'kochi train RUN.toml --resume', or give the folder that 'kochi train' wrote"
        )
    entries = _manifest(folder)
    for name in FILES:
        if name not in entries:
            raise UserError(f"{folder / MANIFEST}: {name} is not listed; {_REMEDY}")
    return entries


def _check_packages(folder: Path, trust: Collection[str]) -> None:
    """Refuse a model whose packages are not installed or trusted; warn about other versions."""
    for name, wanted in _packages(folder).items():
        needs = f"{folder}: the model runs code of the package {name} {wanted}".rstrip()
        try:
            there = version(name)
        except PackageNotFoundError:
            if wanted:  # without a version it was a module, which is looked for when it is used
                raise UserError(
                    f"{needs}, which is not installed; install it (pip install {name}=={wanted})"
                ) from None
            there = wanted
        if not is_trusted(name, trust):
            raise UserError(
                f"{needs}, which is not trusted; if you trust it, allow it with trust=[{name!r}] "
                f"or --trust {name}"
            )
        if there != wanted:
            warnings.warn(f"{needs}; found {there}: predictions may differ", stacklevel=4)


def _packages(folder: Path) -> dict[str, str]:
    """Return what the manifest says of packages; nothing where that is not of the right form."""
    manifest = parse_json(_read(folder / MANIFEST, LARGEST_JSON), str(folder / MANIFEST))
    found = manifest.get("packages") if isinstance(manifest, dict) else None
    entries = found.items() if isinstance(found, dict) else ()
    return {shortened(name): wanted for name, wanted in entries if isinstance(wanted, str)}


def _manifest(folder: Path, name: str = MANIFEST) -> dict[str, tuple[int, str]]:
    path = folder / name
    _check_link(path, folder)
    strange = UserError(f"{path}: is not a manifest of kochi (damaged?); {_REMEDY}")
    try:
        manifest = parse_json(_read(path, LARGEST_JSON), str(path))
    except UserError as error:
        raise strange from error
    files = manifest.get("files") if isinstance(manifest, dict) else None
    entries = {}
    for file, entry in files.items() if isinstance(files, dict) else ():
        size, digest = (
            (entry.get(key) for key in ("bytes", "sha256")) if isinstance(entry, dict) else (0, 0)
        )
        if type(size) is not int or not isinstance(digest, str):
            raise strange
        entries[file] = size, digest
    if not entries:
        raise strange
    return entries


def _check_link(path: Path, folder: Path) -> None:
    if path.is_symlink() and not inside(path, folder):
        raise UserError(
            f"{path}: is a link out of the model folder; expected a file in it: copy the file"
        )


def _checked(
    folder: Path, name: str, entries: dict[str, tuple[int, str]], shapes: Shapes | None = None
) -> bytes:
    """Read a file of a model folder whose size, shapes and checksum are as expected.

    Raises:
        UserError: They are not, or the file is missing, not regular or outside of the folder.
    """
    path, (size, digest) = folder / name, entries[name]
    _check_link(path, folder)
    with open_file(path, "a regular file", missing=f"missing; {_REMEDY}") as file:
        found, most = size_of(file), LARGEST.get(name, LARGEST_JSON)
        assert found is not None
        if found < size:
            raise UserError(f"{path}: cut short, {found} of {size} bytes; {_REMEDY}")
        if found > size:
            raise UserError(
                f"{path}: altered since it was written ({found} bytes, then {size}); {_REMEDY}"
            )
        if shapes is not None:
            _check_shapes(_read_shapes(file, size, str(path)), shapes, str(path))
            file.seek(0)
        content = read_open(file, "a model", most, str(path))
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"{path}: altered since it was written (SHA-256 differs); {_REMEDY}")
    return content


def _entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _read(path: Path, most: int = LARGEST_WEIGHTS) -> bytes:
    return read_file(path, "a regular file", most, missing=f"missing; {_REMEDY}")


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _reader_bytes(reader: "Reader[Any]", folder: Path) -> bytes:
    path = folder / ("reader" + PARTIAL)
    for left in folder.glob(f"{path.name}*"):  # by a process that was killed
        left.unlink()
    reader.save(path)
    content = path.read_bytes()
    path.unlink()
    return content
