"""Image augmentation in training: shift, rotate, zoom, mirror, change the contrast.

All random numbers come from the given generator, so that a batch is a function of its position in
training.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """The maximum of each distortion; the amounts are drawn uniformly up to it.

    Attributes:
        shift: Shift, as a fraction of a side.
        turn_degrees: Rotation, in degrees.
        zoom: Change of size, as a fraction.
        contrast: Change of the distance from white, as a fraction.
        mirror: Whether half of the images are flipped left to right.
    """

    shift: float = 0.0
    turn_degrees: float = 0.0
    zoom: float = 0.0
    contrast: float = 0.0
    mirror: bool = False


def distort(
    picture: Float32[Tensor, "channels height width"],
    options: Distortion,
    draws: np.random.Generator,
) -> Float32[Tensor, "channels height width"]:
    """Distort one image; areas outside of it are white.

    Args:
        picture: An image whose white is 0.
        options: The maximum of each distortion.
        draws: Random generator; six numbers per image are drawn, independently of the options.
    """
    right, down, turn, zoom, contrast, mirror = (2 * draws.random(6) - 1).tolist()
    angle = math.radians(options.turn_degrees * turn)
    factor = math.exp(math.log1p(options.zoom) * zoom)
    side = -1.0 if options.mirror and mirror > 0 else 1.0
    height, width = picture.shape[1:]
    cos, sin = math.cos(angle) / factor, math.sin(angle) / factor
    matrix = torch.tensor(
        [
            [side * cos, -sin * height / width, 2 * options.shift * right],
            [side * sin * width / height, cos, 2 * options.shift * down],
        ]
    )
    changed = picture * (1.0 + options.contrast * contrast)
    if torch.equal(matrix, torch.eye(2, 3)):
        return changed
    places = F.affine_grid(matrix[None], [1, *picture.shape], align_corners=False)
    return F.grid_sample(changed[None], places, align_corners=False)[0]
