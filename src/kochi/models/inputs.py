"""What a model reads."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenInput:
    """Tokens: their encoder embeds them.

    Attributes:
        vocabulary: Number of tokens, special ones included.
    """

    vocabulary: int


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


Input = TokenInput | FrameInput | PictureInput
