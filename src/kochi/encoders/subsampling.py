"""Two strided convolutions that subsample frames by four.

As before the Transformer of Dong, Xu and Xu 2018, "Speech-Transformer",
https://doi.org/10.1109/ICASSP.2018.8462506, and in the Conformer, Gulati et al. 2020, section 2,
https://arxiv.org/abs/2005.08100.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import quiet_padding
from kochi.memory import Frames
from kochi.products import Linear

KERNEL = 3


class ConvSubsampling(nn.Module):
    """Convolve time and frequency twice with 3 x 3 filters, stride 2 and ReLU, then project.

    Frames are padded with zeros, so that n frames become ceil(n / 4) and one frame is enough.
    Position i depends on frames 4 i - 3 to 4 i + 3, with frame 4 i as its centre; if ``causal``, on
    frames 4 i - 6 to 4 i.

    Args:
        input_size: Size of a frame, whose bins are in order of frequency.
        output_size: Size of an output vector.
        channels: Number of filters of each convolution.
        causal: Use no later frame.
    """

    factor = 4

    def __init__(self, input_size: int, output_size: int, channels: int, causal: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, KERNEL, stride=2, padding=(0, 1))
        self.second = nn.Conv2d(channels, channels, KERNEL, stride=2, padding=(0, 1))
        bands = -(-input_size // self.factor)
        self.output_proj = Linear(channels * bands, output_size)
        self.before = KERNEL - 1 if causal else 1  # zeros in front of the frames
        for layer in (self.first, self.second):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
        nn.init.xavier_uniform_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def layout(self, layout: Frames) -> Frames:
        """Return the times of the output positions for frames with these times."""
        return Frames(layout.hop_seconds * self.factor, layout.first_seconds)

    def feed(
        self, frames: Float[Tensor, "1 frames size"], rests: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "1 positions output_size"], tuple[Tensor, ...]]:
        """Process the next frames of one recording, if causal; see `FrameEncoder.feed`.

        Args:
            frames: The next frames.
            rests: For each convolution, the rows that its next filters still need; empty at the
                beginning.
        """
        values, after = frames.unsqueeze(1), []
        for number, layer in enumerate((self.first, self.second)):
            if rests:
                values = torch.cat([rests[number], values], 2)
            else:
                values = F.pad(values, (0, 0, self.before, 0))
            count = max(0, (values.shape[2] - KERNEL) // 2 + 1)
            after.append(values[:, :, 2 * count :])
            if count:
                values = layer(values).relu()
            else:
                values = values.new_zeros(1, layer.out_channels, 0, (values.shape[3] + 1) // 2)
        return self.output_proj(values.transpose(1, 2).flatten(2)), tuple(after)

    @override
    def forward(
        self, source: Float[Tensor, "batch frames size"], mask: Bool[Tensor, "batch frames"]
    ) -> tuple[Float[Tensor, "batch length output_size"], Bool[Tensor, "batch length"]]:
        """Return the subsampled frames and their mask."""
        values = quiet_padding(source, mask).unsqueeze(1)
        for layer in (self.first, self.second):
            values = layer(F.pad(values, (0, 0, self.before, KERNEL - 1 - self.before))).relu()
            mask = mask[:, ::2]
            values = values * mask[:, None, :, None]  # the next filters reach into the padding
        return self.output_proj(values.transpose(1, 2).flatten(2)), mask
