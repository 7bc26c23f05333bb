"""Base classes of encoders, and of encoders of frames."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.inputs import FrameInput, Input
from kochi.layers.recurrent import State
from kochi.memory import Frames, Memory


@dataclass(frozen=True)
class Fed:
    """State of a streaming encoder between two calls of `FrameEncoder.feed`.

    Attributes:
        rests: For each level, inputs that are not yet complete enough to form a position.
        states: States of the recurrent layers.
    """

    rests: tuple[Tensor, ...]
    states: tuple[State | None, ...]


class Encoder(nn.Module, ABC):
    """Encode a source into a `Memory`.

    The constructor receives ``source``, which describes the input, or ``embedding``, the embedding
    of text tokens.

    Attributes:
        reads: The kind of source.
        inherits: Options that are taken from the model table if the run file names no encoder.
        fewest_layers: Minimum number of layers in that case.
        memory_size: Width of the memory's vectors.
        summary_size: Width of the summary.
    """

    reads: ClassVar[type[Input]]
    inherits: ClassVar[tuple[str, ...]] = ("dropout",)
    fewest_layers: ClassVar[int] = 1
    memory_size: int
    summary_size: int

    @abstractmethod
    def forward(self, source: Tensor, mask: Tensor) -> Memory:
        """Return the memory to attend to.

        Args:
            source: A batch; values in the padding are arbitrary.
            mask: True at the source, False at padding.
        """


class FrameEncoder(Encoder):
    """Encode frames (of audio) into a `Memory`, which is usually shorter.

    n frames become ceil(n / subsampling) positions, so one frame is enough. Padding is at the end
    of a row; its values have no effect.

    Args:
        memory_size: Width of the memory's vectors.
        summary_size: Width of the summary.
        subsampling: Number of frames per position.
        layout: The times of the memory's positions.
    """

    reads = FrameInput

    def __init__(
        self, memory_size: int, summary_size: int, subsampling: int, layout: Frames
    ) -> None:
        super().__init__()
        self.memory_size, self.summary_size = memory_size, summary_size
        self.subsampling, self.layout = subsampling, layout

    @abstractmethod
    def forward(
        self, source: Float[Tensor, "batch frames size"], mask: Bool[Tensor, "batch frames"]
    ) -> Memory:
        """Return the memory to attend to.

        Args:
            source: The frames; values in the padding are arbitrary.
            mask: True at frames, False at padding.
        """

    def feed(
        self, frames: Float[Tensor, "1 frames size"], fed: Fed | None, last: bool
    ) -> tuple[Float[Tensor, "1 positions memory_size"], Fed]:
        """Encode the next frames of one recording while it arrives.

        Concatenated, the positions of all calls are the memory of the whole recording.

        Args:
            frames: The next frames; may be empty.
            fed: The state returned by the previous call; None at the beginning.
            last: Whether these are the last frames.

        Returns:
            The positions that are now complete, and the state for the next call.

        Raises:
            ValueError: This encoder needs the whole recording.
        """
        raise ValueError(
            "the encoder needs the whole recording; for streaming use kind 'pyramid' or "
            "'conv_rnn' with bidirectional = false"
        )

    def memory_lengths(self, lengths: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
        """Return the number of positions for rows with these numbers of frames."""
        return (lengths + self.subsampling - 1) // self.subsampling


def quiet_padding(
    values: Float[Tensor, "batch length size"], mask: Bool[Tensor, "batch length"]
) -> Float[Tensor, "batch length size"]:
    """Zero the padding, even if it is NaN."""
    return values.masked_fill(~mask.unsqueeze(-1), 0.0)


def join_neighbours(
    values: Float[Tensor, "batch length size"], mask: Bool[Tensor, "batch length"]
) -> tuple[Float[Tensor, "batch half two_sizes"], Bool[Tensor, "batch half"]]:
    """Concatenate pairs of neighbours; a last one without a neighbour is joined with zeros.

    >>> import torch
    >>> values, mask = torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[True, True, True]])
    >>> join_neighbours(values, mask)[0].tolist()
    [[[1.0, 2.0], [3.0, 0.0]]]
    """
    odd = values.shape[1] % 2
    values = F.pad(quiet_padding(values, mask), (0, 0, 0, odd))
    return values.unflatten(1, (-1, 2)).flatten(2), mask[:, ::2]


def mean_over_positions(
    values: Float[Tensor, "batch length size"], mask: Bool[Tensor, "batch length"]
) -> Float[Tensor, "batch size"]:
    """Return the mean over positions that are not padding; zeros if all are padding."""
    counts = mask.sum(1, keepdim=True).clamp(min=1)
    return (values * mask.unsqueeze(-1)).sum(1) / counts


def layout_of(source: FrameInput) -> Frames:
    """Return the times of the input frames."""
    return Frames(source.hop_seconds, source.first_seconds)
