"""Write scenes as a folder: images, and a manifest for each split."""

import json
from pathlib import Path

import numpy as np

from kochi.errors import UserError
from kochi.scenes.drawing import draw_picture
from kochi.scenes.scene import Scene, draw_scene

SPLITS = ("train", "dev", "test", "seen")


def make_scene(seed: int, split: str, number: int) -> Scene:
    """Return a scene, which is a function of seed, split and number.

    Scenes of "dev" and "test" contain held-out combinations, those of "train" and "seen" do not.
    """
    draws = np.random.default_rng([seed, SPLITS.index(split), number])
    return draw_scene(draws, held_out=split in ("dev", "test"))


def write_scenes(folder: Path, counts: dict[str, int], seed: int) -> None:
    """Write images and manifests such as ``train.tsv``, with columns image, text and boxes.

    Args:
        folder: The output folder, created if it is missing.
        counts: Number of scenes of each split.
        seed: Seed of the random generator.

    Raises:
        UserError: The folder is not empty.
        OSError: The folder cannot be written.
    """
    from PIL import Image

    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: holds something already; choose another folder, or empty it")
    for split, count in counts.items():
        (folder / split).mkdir(parents=True)
        rows = ["image\ttext\tboxes"]
        for number in range(count):
            scene, name = make_scene(seed, split, number), f"{split}/{number:05}.png"
            Image.fromarray(draw_picture(scene)).save(folder / name)
            rows.append(f"{name}\t{scene.caption}\t{json.dumps(scene.boxes)}")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
