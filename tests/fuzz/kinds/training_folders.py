"""Folders of a training that was stopped, damaged before it is resumed."""

from pathlib import Path
from random import Random

from tests.fuzz.case import Case, Outcome
from tests.fuzz.mutate import copy_folder, damage, pick, replace_file

WEIGHTS = "model.safetensors"


def make(draw: Random, seeds: Path, folder: Path) -> Case:
    """Damage one file, then resume; the model is to be the one of an undamaged training."""
    trained = copy_folder(seeds / "half_trained", folder / "half")
    training = trained / "model" / "training"
    files = sorted(path for path in training.rglob("*") if path.is_file())
    # Each file as likely as another, whatever lies in the folder of TensorBoard.
    groups = sorted({path.relative_to(training).parts[0] for path in files})
    group = pick(draw, groups)
    path = pick(draw, [one for one in files if one.relative_to(training).parts[0] == group])
    action = draw.random()
    if action < 0.6:
        path.write_bytes(damage(draw, path.read_bytes(), 4_000))
    elif action < 0.75:
        path.unlink()
    elif action < 0.85:
        path.write_bytes(pick(draw, files).read_bytes())
    else:
        replace_file(draw, path)
    expected = (seeds / "half_trained-resumed" / "model" / WEIGHTS).read_bytes()

    def check(outcome: Outcome) -> str | None:
        found = outcome.folder / "half" / "model" / WEIGHTS
        if found.read_bytes() != expected:
            return f"another model than without the damage to {path.relative_to(training)}"
        return None

    steps = ["--set", "training.max_steps=6"]
    return Case(["train", "half/run.toml", "--resume", *steps], check=check)
