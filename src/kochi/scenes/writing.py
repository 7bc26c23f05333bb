"""Write scenes as a folder: pictures, and a manifest for each split."""

import json
from pathlib import Path

import numpy as np

from kochi.errors import UserError
from kochi.scenes.drawing import draw_picture
from kochi.scenes.scene import Scene, draw_scene

SPLITS = ("train", "dev", "test", "seen")


def make_scene(seed: int, split: str, number: int) -> Scene:
    """Return a scene; the same for the same seed, split and number.

    Scenes of "dev" and "test" show held-out combinations, those of "train" and "seen" show none.
    """
    draws = np.random.default_rng([seed, SPLITS.index(split), number])
    return draw_scene(draws, held_out=split in ("dev", "test"))


def write_scenes(folder: Path, counts: dict[str, int], seed: int) -> None:
    """Write pictures and manifests: ``train.tsv`` and its like, columns image, text and boxes.

    Args:
        folder: Is made if it is missing.
        counts: How many scenes of each split.
        seed: Governs what is drawn.

    Raises:
        UserError: The folder holds something already.
        OSError: It cannot be written.
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
