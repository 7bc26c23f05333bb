"""Normalisation over a whole image.

Wu and He 2018, "Group normalization", section 3, https://arxiv.org/abs/1803.08494, with one group.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override


class PictureNorm(nn.Module):
    """Normalise a whole image to mean 0 and deviation 1, then scale and shift each channel.

    Cells keep their relative magnitude: empty regions stay small, whereas a norm over the channels
    of each cell would scale them up to the others. The result does not depend on the other images
    of the batch or on padding.

    Args:
        size: Number of channels.
    """

    epsilon = 1e-5

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    @override
    def forward(
        self,
        x: Float[Tensor, "batch rows columns size"],
        mask: Bool[Tensor, "batch rows columns"] | None,
    ) -> Float[Tensor, "batch rows columns size"]:
        """Return the normalised map; ``mask`` is None if there is no padding."""
        if mask is None:
            values = F.group_norm(x.permute(0, 3, 1, 2), 1, self.weight, self.bias, self.epsilon)
            return values.permute(0, 2, 3, 1)
        real = mask.unsqueeze(-1)
        count = (mask.sum((1, 2)).clamp(min=1) * x.shape[-1])[:, None, None, None]
        mean = (x * real).sum((1, 2, 3), keepdim=True) / count
        centred = (x - mean) * real
        variance = centred.square().sum((1, 2, 3), keepdim=True) / count
        return centred * (variance + self.epsilon).rsqrt() * self.weight + self.bias
