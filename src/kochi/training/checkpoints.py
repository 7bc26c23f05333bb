"""Checkpoints and weights of evaluated steps: written atomically, read as data only.

Each checkpoint contains its checksum, and those of the evaluated weights that it refers to. The
previous checkpoint is kept, and there are two copies of all weights, so that damage to one file
costs at most the steps since the previous checkpoint.
"""

import contextlib
import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from kochi import config
from kochi.errors import UserError
from kochi.folder import write_atomic
from kochi.quiet import Quiet
from kochi.reading import read_file
from kochi.training import monitor
from kochi.training.layout import PREVIOUS, Layout
from kochi.training.sealed import LARGEST, Damaged, read_sealed, seal
from kochi.training.state import Evaluation, RunState

STATE_KEY = "kochi"
_torch_about_strange_files = Quiet(module="torch")


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint atomically, and keep the previous one."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    with buffer.getbuffer() as content:
        line = seal(content)
    buffer.seek(0, io.SEEK_END)
    buffer.write(line)
    write_atomic(path, buffer.getvalue(), previous=path.with_name(PREVIOUS))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint on the CPU.

    Raises:
        Damaged: The file differs from what was written, or contains more than data.
    """
    content = read_sealed(path)
    try:
        with _torch_about_strange_files():  # the error is about them, too
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError):
        raise Damaged(f"{path}: not a checkpoint of kochi ({len(content)} bytes)") from None


def read_state(path: Path) -> RunState:
    """Read the state of a run from a checkpoint.

    Raises:
        Damaged: The checkpoint is not what this version of kochi wrote.
    """
    try:
        found = read_checkpoint(path)
        _ = found["objective"], found["optimizer"]
        return RunState.from_dict(found[STATE_KEY])
    except (KeyError, TypeError) as error:
        raise Damaged(f"{path}: written by another version of kochi ({error})") from None


def newest(layout: Layout) -> Path | None:
    """Return the checkpoint to resume from; None if there is none."""
    return next((path for path in (layout.checkpoint, layout.previous) if path.exists()), None)


def take_up(layout: Layout, training: config.Training, say: Callable[[str], object]) -> RunState:
    """Return the state of a run from the newest intact checkpoint.

    A damaged last checkpoint is set aside, so that `newest` no longer returns it.

    Args:
        layout: The run.
        training: The training table, which determines the evaluated weights that are needed.
        say: Called with one line about each damaged file.

    Raises:
        UserError: There are checkpoints, and none can be used.
    """
    found = [path for path in (layout.checkpoint, layout.previous) if path.exists()]
    problems: list[Damaged] = []
    for path in found:
        try:
            state = read_state(path)
            for evaluation in _needed(state.evaluations, training):
                weights_bytes(layout, evaluation, say)
        except Damaged as error:
            problems.append(error)
            continue
        if problems:
            _set_aside(layout)
            say(f"warning: {problems[0]}; going on from the checkpoint before, step {state.step}")
        return state
    if len(found) > 1:
        raise UserError(
            f"{'; '.join(map(str, problems))}: no checkpoint is intact; restore the files from a "
            "copy to resume, or start over with --overwrite"
        )
    if found:
        os.replace(found[0], layout.damaged)
        say(f"warning: {problems[0]}; no checkpoint came before: going on from step 0")
    return RunState()


def _set_aside(layout: Layout) -> None:
    os.replace(layout.checkpoint, layout.damaged)


def _needed(evaluations: list[Evaluation], training: config.Training) -> list[Evaluation]:
    steps = monitor.kept(evaluations, training)
    return [evaluation for evaluation in evaluations if evaluation.step in steps]


# --------------------------------------------------------------------- weights of evaluated steps


def write_weights(layout: Layout, step: int, content: bytes) -> str:
    """Write the weights of an evaluated step, twice, and return their SHA-256."""
    for path in (layout.weights_at(step), layout.copy_at(step)):
        write_atomic(path, content)
    return hashlib.sha256(content).hexdigest()


def weights_bytes(
    layout: Layout, evaluation: Evaluation, say: Callable[[str], object] = lambda line: None
) -> bytes:
    """Return the weights of an evaluated step; a damaged copy is repaired from the other one.

    Raises:
        Damaged: No copy is whole.
    """
    paths = [layout.weights_at(evaluation.step), layout.copy_at(evaluation.step)]
    whole, bad = None, []
    for path in paths:
        content = None
        with contextlib.suppress(UserError):
            content = read_file(path, "weights", LARGEST)
        if content is not None and hashlib.sha256(content).hexdigest() == evaluation.sha256:
            whole = content
        else:
            bad.append(path)
    if whole is None:
        raise Damaged(f"{paths[0]}: damaged (SHA-256 differs from when it was written)")
    for path in bad:
        write_atomic(path, whole)
        say(f"warning: {path}: was damaged or missing; written again from its other copy")
    return whole


def prune_weights(layout: Layout, evaluations: list[Evaluation], training: config.Training) -> None:
    """Delete weights that neither of the last two checkpoints refers to."""
    needed = [*_needed(evaluations, training), *_needed(evaluations[:-1], training)]
    kept = {path_of(e.step) for e in needed for path_of in (layout.weights_at, layout.copy_at)}
    for path in layout.weights.iterdir():
        if path not in kept:
            path.unlink()
