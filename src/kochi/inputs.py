"""Descriptions of model inputs (tokens, frames or pixels) for encoders."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenInput:
    """Tokens, which the encoder embeds.

    Attributes:
        vocabulary: Number of tokens, special ones included.
    """

    vocabulary: int

    name = "tokens"

    def __str__(self) -> str:
        return f"{self.vocabulary} tokens"


@dataclass(frozen=True)
class FrameInput:
    """Frames of features that are equally spaced in time, as an audio front end computes them.

    Attributes:
        size: Number of features per frame.
        hop_seconds: Time from the centre of one frame to that of the next.
        first_seconds: Time of the first frame's centre.
    """

    size: int
    hop_seconds: float
    first_seconds: float = 0.0

    name = "frames"

    def __str__(self) -> str:
        return f"frames of {self.size} numbers, one each {1000 * self.hop_seconds:g} ms"


@dataclass(frozen=True)
class PictureInput:
    """Pixels of images, which may differ in size.

    Attributes:
        channels: Number of channels.
        height: Maximum height, in pixels.
        width: Maximum width, in pixels.
    """

    channels: int
    height: int
    width: int

    name = "pictures"

    def __str__(self) -> str:
        size = f"{self.width} x {self.height} pixels (width x height)"
        return f"pictures of at most {size}, {self.channels} numbers a pixel"


Input = TokenInput | FrameInput | PictureInput

__all__ = ["FrameInput", "Input", "PictureInput", "TokenInput"]
