"""What a model reads: tokens, frames or pixels, and what its encoder must know of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenInput:
    """Tokens: their encoder embeds them.

    Attributes:
        vocabulary: Number of tokens, special ones included.
    """

    vocabulary: int

    name = "tokens"

    def __str__(self) -> str:
        return f"{self.vocabulary} tokens"


@dataclass(frozen=True)
class FrameInput:
    """Frames of numbers at equal distances in time, as a front end makes them of sound.

    Attributes:
        size: Numbers a frame.
        hop_seconds: Time from one frame's centre to the next one's.
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
    """Pixels of pictures, which may be of different sizes.

    Attributes:
        channels: Numbers a pixel.
        height: Pixels of the highest picture.
        width: Pixels of the widest picture.
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
