"""The model folder: all that a trained model needs, as data that cannot run code.

    run.toml  model.safetensors  source.json  target.json  metrics.json  README.md  manifest.json

The manifest holds the size and SHA-256 of every other file. It is written last, so a folder with a
manifest is whole, and a file that was cut short or altered later is noticed when it is loaded.
"""

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from kochi import config
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.data.readers.base import Reader
    from kochi.data.tokenizer import Tokenizer
    from kochi.models.inputs import Input
    from kochi.models.seq2seq import Seq2Seq

RUN, WEIGHTS, MANIFEST = "run.toml", "model.safetensors", "manifest.json"
SOURCE, TARGET, METRICS, CARD = "source.json", "target.json", "metrics.json", "README.md"
FILES = (RUN, WEIGHTS, SOURCE, TARGET, METRICS, CARD)
PARTIAL = ".partial"

_building = threading.Lock()


@dataclass(frozen=True)
class ModelFolder:
    """What a model folder holds.

    Attributes:
        run: The resolved run file.
        weights: Tensors by name; of tied weights only the first name is there.
        source: Reader of the source side.
        target: Tokenizer of the target side.
        metrics: What was measured when the training ended.
    """

    run: config.Run
    weights: dict[str, Tensor]
    source: "Reader[Any]"
    target: "Tokenizer"
    metrics: dict[str, Any]

    def model(self) -> "Seq2Seq":
        """Build the model and give it the weights, ready to answer.

        Raises:
            UserError: The weights do not belong to the model that the run file describes.
        """
        from kochi.models.build import build_model

        # Weights are drawn first; the user's random numbers must not change by that.
        with _building, torch.random.fork_rng(devices=[]):
            model = build_model(
                self.run.model,
                model_input(self.source),
                self.target.size,
                ctc=self.run.training.ctc_weight > 0,
            )
        load_weights(model, self.weights, WEIGHTS)
        return model.eval()


def model_input(source: "Reader[Any]") -> "Input":
    """Return what a model is built to read."""
    from kochi.data.readers.base import FrameShape
    from kochi.models.inputs import FrameInput, PictureInput, TokenInput

    found = source.inputs
    if isinstance(found, int):
        return TokenInput(found)
    if not isinstance(found, FrameShape):
        return PictureInput(found.channels, found.height, found.width)
    return FrameInput(found.size, found.hop_seconds, found.first_seconds)


# --------------------------------------------------------------------------------- writing a file


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that, whatever happens, the old or the new content is there, whole.

    Raises:
        OSError: The content could not be written; the old file is still there.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        write_through(partial, content)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None  # with the name


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
    seen: set[int] = set()
    weights = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            weights[name] = tensor.detach().cpu().contiguous()
    return weights


def load_weights(model: nn.Module, weights: dict[str, Tensor], where: str) -> None:
    """Copy weights that `weights_of` gave into a model of the same making.

    Raises:
        UserError: A tensor is missing, has no place or has another shape; the first is named.
    """
    wanted = weights_of(model)
    for name in sorted(wanted.keys() | weights.keys()):
        found = tuple(weights[name].shape) if name in weights else "nothing"
        expected = tuple(wanted[name].shape) if name in wanted else "nothing"
        if found != expected:
            raise UserError(
                f"{where}: weight {name} has shape {found}, the model of run.toml expects "
                f"{expected}; weights and run file must be of one training"
            )
    model.load_state_dict(weights, strict=False)


def pack_weights(weights: dict[str, Tensor]) -> bytes:
    """Return the bytes of a safetensors file."""
    return save_tensors(weights, metadata={"format": "pt"})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        UserError: The file is missing or is no whole safetensors file.
    """
    return _unpack_weights(_read(path), path)


def _unpack_weights(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file ({error})") from None


# ---------------------------------------------------------------------------------------- folder


def is_whole(folder: Path) -> bool:
    """Say whether a model was written there to its end (the files are not read)."""
    return (folder / MANIFEST).is_file()


def save_folder(
    folder: Path,
    run: config.Run,
    weights: dict[str, Tensor],
    source: "Reader[Any]",
    target: "Tokenizer",
    metrics: dict[str, Any],
    card: str,
) -> None:
    """Write a model folder. All files are written beside their names, then renamed.

    An older model in the same folder stays until every new file is on the disk.

    Raises:
        OSError: A file could not be written; an older model is still whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        RUN: tomli_w.dumps(run.model_dump(mode="json", exclude_none=True)).encode(),
        WEIGHTS: pack_weights(weights),
        METRICS: _json(metrics),
        CARD: card.encode(),
        SOURCE: _reader_bytes(source, folder),
        TARGET: _reader_bytes(target, folder),
    }
    entries = {name: _entry(content) for name, content in sorted(contents.items())}
    contents[MANIFEST] = _json({"format": 1, "files": entries})
    partials = {name: folder / (name + PARTIAL) for name in contents}
    try:
        for name, content in contents.items():
            write_through(partials[name], content)
    except OSError:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        raise
    (folder / MANIFEST).unlink(missing_ok=True)
    for name, partial in partials.items():  # the manifest is the last
        os.replace(partial, folder / name)
    _sync_folder(folder)


def load_folder(folder: Path) -> ModelFolder:
    """Read a model folder and check every file against the manifest.

    Raises:
        UserError: The folder or one of its files is missing, cut short or altered.
    """
    from kochi.data.readers.making import load_reader
    from kochi.data.tokenizer import Tokenizer

    contents = _checked_contents(folder)
    try:
        run = config.check_run(_toml(contents[RUN]), str(folder / RUN))
        metrics = json.loads(contents[METRICS])
    except ValueError as error:
        raise UserError(f"{folder}: cannot be read ({error}); {_REMEDY}") from None
    return ModelFolder(
        run=run,
        weights=_unpack_weights(contents[WEIGHTS], folder / WEIGHTS),
        source=load_reader(run.data, folder / SOURCE),
        target=Tokenizer.load(folder / TARGET),
        metrics=metrics,
    )


_REMEDY = "copy the model folder again, or train it again"


def _checked_contents(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model folder; 'kochi train' writes one")
    if not is_whole(folder):
        raise UserError(
            f"{folder}: not a finished model folder ({MANIFEST} is missing); finish it with "
            f"'kochi train RUN.toml --resume', or give the folder that 'kochi train' wrote"
        )
    entries = _manifest(folder)
    contents = {}
    for name in FILES:
        if name not in entries:
            raise UserError(f"{folder / MANIFEST}: {name} is not listed; {_REMEDY}")
        contents[name] = _read(folder / name)
        _check(folder / name, contents[name], entries[name])
    return contents


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(_read(path))
        entries = manifest["files"]
        return {name: (int(e["bytes"]), str(e["sha256"])) for name, e in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: is not a manifest of kochi (damaged?); {_REMEDY}") from None


def _check(path: Path, content: bytes, expected: tuple[int, str]) -> None:
    size, digest = expected
    if len(content) < size:
        raise UserError(f"{path}: cut short, {len(content)} of {size} bytes; {_REMEDY}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"{path}: altered since it was written (SHA-256 differs); {_REMEDY}")


def _entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: missing; {_REMEDY}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from None


def _toml(content: bytes) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(content.decode())


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _reader_bytes(reader: "Reader[Any]", folder: Path) -> bytes:
    path = folder / ("reader" + PARTIAL)
    reader.save(path)
    content = path.read_bytes()
    path.unlink()
    return content
