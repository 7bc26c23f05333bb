"""What every encoder offers, and what those of frames do."""

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
    """What an encoder that is fed remembers between two calls.

    Attributes:
        rests: What waits for its neighbours to become a place, level by level.
        states: Those of the recurrent layers.
    """

    rests: tuple[Tensor, ...]
    states: tuple[State | None, ...]


class Encoder(nn.Module, ABC):
    """Read a source and leave a `Memory`.

    The constructor is given ``source``, what it reads, or ``embedding``, which embeds the tokens of
    a text.

    Attributes:
        reads: The kind of source.
        inherits: Options that are those of the model table where it names no encoder.
        fewest_layers: As many layers, at least, it then has.
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
        """Return what may be attended to.

        Args:
            source: A batch, and anything at all where there is padding.
            mask: True where there is a source.
        """


class FrameEncoder(Encoder):
    """Read frames of numbers (of sound) and leave a `Memory`, mostly a shorter one.

    n frames leave ceil(n / subsampling) positions, so that one frame is enough. Padding, which
    stands at the end of a row, changes nothing, whatever is in it.

    Args:
        memory_size: Width of the memory's vectors.
        summary_size: Width of the summary.
        subsampling: How many frames become one position.
        layout: When the positions of the memory happen.
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
        """Return what may be looked at.

        Args:
            source: The frames, and anything at all where there is padding.
            mask: True where there is a frame.
        """

    def feed(
        self, frames: Float[Tensor, "1 frames size"], fed: Fed | None, last: bool
    ) -> tuple[Float[Tensor, "1 places memory_size"], Fed]:
        """Read the next frames of one recording as it comes.

        Joined, the places of all calls are the memory of the whole recording.

        Args:
            frames: Perhaps none.
            fed: What the call before returned; None at the beginning.
            last: Nothing comes behind these frames.

        Returns:
            The places that are now complete, and what to give to the next call.

        Raises:
            ValueError: A place of this encoder waits for the end of the recording.
        """
        raise ValueError(
            "the encoder waits for the end of a recording; frames are read as they come by kind "
            "'pyramid' and 'conv_rnn' with bidirectional = false"
        )

    def memory_lengths(self, lengths: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
        """Return how many positions rows of so many frames leave."""
        return (lengths + self.subsampling - 1) // self.subsampling


def quiet_padding(
    values: Float[Tensor, "batch length size"], mask: Bool[Tensor, "batch length"]
) -> Float[Tensor, "batch length size"]:
    """Return zeros for what stands in the padding, were it NaN."""
    return values.masked_fill(~mask.unsqueeze(-1), 0.0)


def join_neighbours(
    values: Float[Tensor, "batch length size"], mask: Bool[Tensor, "batch length"]
) -> tuple[Float[Tensor, "batch half two_sizes"], Bool[Tensor, "batch half"]]:
    """Put each two neighbours side by side; a last one without a neighbour gets zeros.

    >>> import torch
    >>> values, mask = torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[True, True, True]])
    >>> join_neighbours(values, mask)[0].tolist()
    [[[1.0, 2.0], [3.0, 0.0]]]
    """
    odd = values.shape[1] % 2
    values = F.pad(quiet_padding(values, mask), (0, 0, 0, odd))
    return values.unflatten(1, (-1, 2)).flatten(2), mask[:, ::2]


def mean_over_places(
    values: Float[Tensor, "batch length size"], mask: Bool[Tensor, "batch length"]
) -> Float[Tensor, "batch size"]:
    """Return the mean over the places that are not padding; zeros where all are."""
    counts = mask.sum(1, keepdim=True).clamp(min=1)
    return (values * mask.unsqueeze(-1)).sum(1) / counts


def layout_of(source: FrameInput) -> Frames:
    """Return when frames happen."""
    return Frames(source.hop_seconds, source.first_seconds)
