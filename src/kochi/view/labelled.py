"""Alignments with their token labels, and titles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from kochi.visible import visible

Weights = Shaped[Tensor, "target source"] | Shaped[np.ndarray, "target source"]


@dataclass(frozen=True)
class LabelledAlignment:
    """An alignment with its source and target tokens.

    Attributes:
        weights: The alignment; a row sums to 1, or to 0 if everything was masked.
        source_tokens: Source tokens, one per column.
        target_tokens: Target tokens, one per row.
        title: A line above the drawing, or None.
    """

    weights: Float[np.ndarray, "target source"]
    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    title: str | None = None


def label_alignment(
    alignment: Weights,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    title: str | None = None,
) -> LabelledAlignment:
    """Combine an alignment with its tokens, after checking both.

    Args:
        alignment: Weights of any number type, on any device.
        source_tokens: Source tokens.
        target_tokens: Target tokens.
        title: A line above the drawing.

    Raises:
        ValueError: The tokens do not match the alignment's shape, or a weight is NaN or infinite.
    """
    if isinstance(alignment, Tensor):
        alignment = alignment.detach().to("cpu", torch.float64).numpy()
    weights = np.asarray(alignment, dtype=np.float64)
    expected = (len(target_tokens), len(source_tokens))
    if weights.shape != expected:
        raise ValueError(
            f"alignment: got shape {weights.shape}, but the target and source tokens need "
            f"{expected}"
        )
    if not np.isfinite(weights).all():
        raise ValueError("alignment: a weight is NaN or infinite; expected numbers from 0 to 1")
    return LabelledAlignment(weights, tuple(source_tokens), tuple(target_tokens), title)


def scale_top(weights: Float[np.ndarray, "target source"]) -> float:
    """Return the top of the scale: the smallest of 1, 0.5, 0.2, 0.1, ... that covers all weights.

    Diffuse alignments (long inputs, averaged heads) would look empty on a scale up to 1.

    >>> scale_top(np.array([[0.9, 0.1]])), scale_top(np.array([[0.13, 0.12]]))
    (1.0, 0.2)
    """
    largest = float(weights.max(initial=0.0))
    if largest <= 0.0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    steps = (step * power for step in (1.0, 2.0, 5.0, 10.0))
    rounding = 1.005  # a bfloat16 0.1 is a little more than 0.1
    return min(1.0, next(step for step in steps if largest <= step * rounding))


def labelled_positions(count: int, every: int) -> list[int]:
    """Return the positions whose labels are drawn: every ``every``-th, and always the last one.

    >>> labelled_positions(5, 2), labelled_positions(8, 3)
    ([0, 2, 4], [0, 3, 7])
    """
    positions = list(range(0, count, every))
    if positions and positions[-1] != count - 1:
        last = count - 1
        if last - positions[-1] < every and len(positions) > 1:
            positions.pop()  # too near to the last one
        positions.append(last)
    return positions


def thinned_note(count: int, every: int, what: str) -> str:
    """Return a note about which labels are drawn.

    >>> thinned_note(700, 2, "columns")
    'labels: every 2nd of 700 columns, and the last'
    """
    ending = {2: "nd", 3: "rd"}.get(every % 10, "th") if every // 10 % 10 != 1 else "th"
    ending = "st" if every % 10 == 1 and every % 100 != 11 else ending
    return f"labels: every {every}{ending} of {count:,} {what}, and the last"


def visible_title(title: str) -> str:
    r"""Escape a title to one safe line.

    >>> visible_title("two\twords")
    'two words'
    """
    return " ".join(visible(word) for word in title.split())


def shorten_middle(text: str, most: int) -> str:
    """Shorten a long text in its middle, since names differ at their ends.

    >>> shorten_middle("recordings/speaker-07/take-0123.wav", 20)
    'recordings…-0123.wav'
    """
    if len(text) <= most:
        return text
    kept = most - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def answer_title(model: str, source: str, answer: str) -> str:
    """Return a title with model, source and prediction, each shortened in the middle.

    >>> answer_title("demo/model", "photograph", "F OW T AH G R AE F")
    'demo/model: photograph → F OW T AH G R AE F'
    """
    named, read, written = (
        shorten_middle(" ".join(text.split()), most)
        for text, most in ((model, 32), (source, 40), (answer, 60))
    )
    return f"{named}: {read} → {written or '(empty)'}"
