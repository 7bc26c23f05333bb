"""A small residual network over pixels.

He, Zhang, Ren and Sun 2016, "Identity mappings in deep residual networks", figure 1b,
https://arxiv.org/abs/1603.05027: norm, ReLU and convolution, twice, plus the identity. The norm is
over the whole image, and each stage begins with a convolution as wide as its stride, as in Liu
et al. 2022, "A ConvNet for the 2020s", section 2.2, https://arxiv.org/abs/2201.03545.
"""

from typing import Annotated, cast

from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.picture import quiet, to_multiple
from kochi.layers.initial import is_outlined
from kochi.layers.picture_norm import PictureNorm
from kochi.tables import Positive

Channels = Annotated[tuple[Positive, ...], Field(min_length=1)]  # filters of each stage


class ResidualNetwork(nn.Module):
    """Stages that each halve height and width, of ``blocks`` residual blocks.

    Cell i of a direction is centred on pixels i * cell to (i + 1) * cell - 1.

    Args:
        input_channels: Number of channels of a pixel.
        channels: Number of filters of each stage.
        blocks: Number of residual blocks per stage.
        patch: Width and height, in pixels, of a cell of the first stage's input.
    """

    def __init__(
        self, input_channels: int, channels: tuple[int, ...], blocks: int, patch: int
    ) -> None:
        super().__init__()
        sizes = (input_channels, *channels)
        self.cell, self.first = patch * 2 ** len(channels), 2 * patch
        self.norms = nn.ModuleList(PictureNorm(size) for size in channels)
        strides = (self.first, *[2] * (len(channels) - 1))
        self.shrinking = nn.ModuleList(
            nn.Conv2d(*pair, stride, stride=stride)
            for pair, stride in zip(zip(sizes, channels, strict=False), strides, strict=True)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(ResidualBlock(size) for _ in range(blocks)) for size in channels
        )
        for layer in self.shrinking:
            _initialise(layer)

    @override
    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        mask: Bool[Tensor, "batch height width"],
    ) -> tuple[Float[Tensor, "batch rows columns size"], Bool[Tensor, "batch rows columns"]]:
        """Return the last map, normalised, and its mask."""
        whole = bool(mask.all())
        values = to_multiple(quiet(source, mask), self.first)
        for number, (layer, stage) in enumerate(zip(self.shrinking, self.stages, strict=True)):
            step = 2 if number else self.first
            mask = mask[:, ::step, ::step]
            seen = None if whole else mask
            values = layer(values).permute(0, 2, 3, 1)
            for block in cast(nn.ModuleList, stage):
                values = block(values, seen)
            values = self.norms[number](values, seen)
            if number < len(self.stages) - 1:
                values = to_multiple(_hidden(values, seen).permute(0, 3, 1, 2), 2)
        return values, mask


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), with 3 x 3 filters.

    Args:
        size: Number of filters.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(PictureNorm(size) for _ in range(2))
        self.layers = nn.ModuleList(nn.Conv2d(size, size, 3, padding=1) for _ in range(2))
        for layer in self.layers:
            _initialise(layer)

    @override
    def forward(
        self,
        x: Float[Tensor, "batch rows columns size"],
        mask: Bool[Tensor, "batch rows columns"] | None,
    ) -> Float[Tensor, "batch rows columns size"]:
        """Return the next map; ``mask`` is None if there is no padding."""
        inner = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            values = _hidden(norm(inner, mask), mask).permute(0, 3, 1, 2)
            inner = layer(values).permute(0, 2, 3, 1)
        return x + inner


def _hidden(values: Tensor, mask: Tensor | None) -> Tensor:
    """Apply the ReLU and zero the padding, which the next filters reach into."""
    values = values.relu()
    return values if mask is None else values * mask.unsqueeze(-1)


def _initialise(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    if not is_outlined():
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
