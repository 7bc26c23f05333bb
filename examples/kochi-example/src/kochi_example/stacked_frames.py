"""An encoder of recordings that only stacks frames."""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.encoders import FrameEncoder
from kochi.inputs import FrameInput
from kochi.memory import Frames, Memory


class StackedFrames(FrameEncoder):
    """Put neighbouring frames side by side and multiply them by one matrix.

    Args:
        source: The frames.
        stack: How many frames become one position.
        size: Width of the memory.
    """

    def __init__(self, source: FrameInput, *, stack: int = 4, size: int = 64) -> None:
        middle = source.first_seconds + (stack - 1) / 2 * source.hop_seconds
        super().__init__(size, size, stack, Frames(stack * source.hop_seconds, middle))
        self.proj = nn.Linear(stack * source.size, size)

    def forward(
        self, source: Float[Tensor, "batch frames size"], mask: Bool[Tensor, "batch frames"]
    ) -> Memory:
        """Return the memory; what stands in the padding counts as zeros."""
        stack = self.subsampling
        quiet = source.masked_fill(~mask[..., None], 0.0)
        quiet = F.pad(quiet, (0, 0, 0, -source.shape[1] % stack))
        values = self.proj(quiet.unflatten(1, (-1, stack)).flatten(2)).tanh()
        mask = mask[:, ::stack]
        values = values * mask[..., None]
        summary = values.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return Memory(values, mask, summary, self.layout)
