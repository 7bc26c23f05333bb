"""Normalisation over a whole picture.

Wu and He 2018, "Group normalization", section 3, https://arxiv.org/abs/1803.08494, with one group.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override


class PictureNorm(nn.Module):
    """Bring all numbers of a picture to mean 0 and deviation 1, then scale and shift each channel.

    Places keep their strength beside each other: where there is nothing to see, little is left,
    while a norm over the channels of a place would make it as loud as the rest. It depends on no
    other picture of the batch and on no padding.

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
        """Return the normalised map; ``mask`` is None where every place is real."""
        if mask is None:
            values = F.group_norm(x.permute(0, 3, 1, 2), 1, self.weight, self.bias, self.epsilon)
            return values.permute(0, 2, 3, 1)
        real = mask.unsqueeze(-1)
        count = (mask.sum((1, 2)).clamp(min=1) * x.shape[-1])[:, None, None, None]
        mean = (x * real).sum((1, 2, 3), keepdim=True) / count
        centred = (x - mean) * real
        variance = centred.square().sum((1, 2, 3), keepdim=True) / count
        return centred * (variance + self.epsilon).rsqrt() * self.weight + self.bias
