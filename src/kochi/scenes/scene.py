"""The content of a scene and its caption.

Its groups are named by a number, a size, a colour and a shape. One of eight names is held out, so
that any three words of a name occur together in training.
"""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

SIDE = 64  # height and width of an image in pixels
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "yellow": (240, 200, 30),
    "purple": (140, 60, 170),
    "black": (30, 30, 30),
}
SHAPES = ("circle", "square", "triangle", "star")
SIZES = {"small": (9, 11), "large": (16, 18)}  # side length in pixels
COUNTS = ("a", "two", "three")
GAP = 3  # pixels between the shapes of a group
CLEARLY = 5  # minimum difference in pixels of the groups' vertical and horizontal distances
MARGIN = 3  # pixels around a group that belong to its box: both sides of an outline are visible
EDGE = 1  # pixels that stay white around the image
SECOND_SHARE = 0.75  # fraction of scenes with two groups
HELD_OUT_EVERY = 8  # one of this many names of groups is held out


class Name(NamedTuple):
    """The name of a group: a number, a size, a colour, a shape."""

    number: int
    size: str
    colour: str
    shape: str

    @property
    def held_out(self) -> bool:
        """Whether training scenes never contain such a group, though all but one of its words.

        >>> [count for count in (1, 2, 3) if Name(count, "small", "blue", "square").held_out]
        [1]
        """
        places = (
            self.number,
            2 * list(SIZES).index(self.size),
            3 * list(COLOURS).index(self.colour),
            SHAPES.index(self.shape),
        )
        return sum(places) % HELD_OUT_EVERY == 0

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the name.

        >>> Name(2, "small", "red", "star").words
        ('two', 'small', 'red', 'stars')
        """
        plural = "s" if self.number > 1 else ""
        return COUNTS[self.number - 1], self.size, self.colour, self.shape + plural


NAMES = [Name(*one) for one in product((1, 2, 3), SIZES, COLOURS, SHAPES)]


class Place(NamedTuple):
    """The square of a shape, in pixels from the upper left corner."""

    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Group:
    """Equal shapes in a row or in a column.

    Attributes:
        name: The name of the group; its number is the number of shapes.
        places: The square of each shape.
    """

    name: Name
    places: tuple[Place, ...]

    @property
    def middle(self) -> tuple[float, float]:
        """The centre of all its shapes, from the left and from the top."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the bounding box: all its shapes, with a margin."""
        first, last = self.places[0], self.places[-1]
        return (
            first.left - MARGIN,
            first.top - MARGIN,
            last.left + last.side + MARGIN,
            last.top + last.side + MARGIN,
        )


@dataclass(frozen=True)
class Scene:
    """One group, or two, of which the first is above or to the left of the second.

    Attributes:
        groups: The groups, in the order of the caption.
        upright: Whether the first is above the second.
    """

    groups: tuple[Group, ...]
    upright: bool

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the caption."""
        relation = ("above",) if self.upright else ("left", "of")
        first, *others = self.groups
        rest = (word for group in others for word in (*relation, *group.name.words))
        return (*first.name.words, *rest)

    @property
    def caption(self) -> str:
        """The caption."""
        return " ".join(self.words)

    @property
    def boxes(self) -> list[tuple[int, int, int, int, int]]:
        """The boxes of words: the index in the caption, then left, top, right, bottom.

        Size, colour and shape of a group have a box around all its shapes, with `MARGIN`. The
        number and the spatial relation have no box.
        """
        found, start = [], 0
        for group in self.groups:
            named = range(start + 1, start + len(group.name.words))
            found += [(word, *group.box) for word in named]
            start = named.stop + (1 if self.upright else 2)
        return found


def draw_scene(draws: np.random.Generator, held_out: bool) -> Scene:
    """Draw a random scene.

    Args:
        draws: Random generator.
        held_out: Whether one of its groups has a held-out name; otherwise none has.
    """
    count = 2 if draws.random() < SECOND_SHARE else 1
    upright = bool(draws.integers(2))
    ordinary = [name for name in NAMES if not name.held_out]
    names = [ordinary[draws.integers(len(ordinary))] for _ in range(count)]
    if held_out:
        others = [name for name in NAMES if name.held_out]
        names[draws.integers(count)] = others[draws.integers(len(others))]
    while True:
        groups = [_group(draws, name, upright, part, count) for part, name in enumerate(names)]
        if count == 1 or _is_clear(groups[0], groups[1], upright):
            return Scene(tuple(groups), upright)


def _is_clear(first: Group, second: Group, upright: bool) -> bool:
    """Return whether the groups' centres are further apart in the direction of the caption."""
    across, down = (abs(a - b) for a, b in zip(first.middle, second.middle, strict=True))
    return down - across >= CLEARLY if upright else across - down >= CLEARLY


def _group(
    draws: np.random.Generator, name: Name, upright: bool, part: int, num_parts: int
) -> Group:
    """Draw a group at a random position in its part of the image, across the division."""
    low, high = SIZES[name.size]
    side = int(draws.integers(low, high, endpoint=True))
    length = name.number * side + (name.number - 1) * GAP
    along = int(draws.integers(EDGE, SIDE - EDGE - length, endpoint=True))
    room = SIDE // num_parts
    start = part * room
    across = int(draws.integers(start + EDGE, start + room - EDGE - side, endpoint=True))
    starts = [along + number * (side + GAP) for number in range(name.number)]
    places = [Place(s, across, side) if upright else Place(across, s, side) for s in starts]
    return Group(name, tuple(places))
