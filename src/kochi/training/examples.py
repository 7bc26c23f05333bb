"""A few dev rows as the model answers them: people judge a model by reading."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.data.padding import BOS
from kochi.memory import Memory
from kochi.modalities.attended import Attended
from kochi.modalities.base import Modality
from kochi.models.seq2seq import Seq2Seq
from kochi.visible import visible_text

LONGEST = 200  # characters of a text that are shown


@dataclass(frozen=True)
class Example:
    """A dev row and what the model writes, by greedy search.

    Attributes:
        source: The text, or the name of what was read.
        references: The right answers.
        prediction: What the model wrote.
        finished: False where the prediction was cut off.
        modality: Of the source.
        attended: What the model attended to while it wrote the prediction (the last layer, on
            average over its heads); None for a model without attention or an empty prediction.
    """

    source: str
    references: tuple[str, ...]
    prediction: str
    finished: bool
    modality: Modality[Any] | None = None
    attended: Attended | None = None

    def texts(self) -> dict[str, str]:
        """Return what is shown, by its name: safe to print, each on one line."""
        return {
            "source": shown(self.source),
            "target": shown(" | ".join(self.references)),
            "prediction": shown(self.prediction) + ("" if self.finished else " …"),
        }


def shown(text: str, longest: int = LONGEST) -> str:
    r"""Make a text safe to print on one line, and cut it where it is very long.

    >>> shown("two\nlines")
    'two␊lines'
    """
    return visible_text(text if len(text) <= longest else text[:longest] + "…")


def spread(count: int, rows: int) -> list[int]:
    """Choose rows that lie spread over all of them: always the same ones.

    >>> spread(2, 100), spread(3, 2), spread(0, 5)
    ([25, 75], [0, 1], [])
    """
    count = min(count, rows)
    return [(2 * number + 1) * rows // (2 * count) for number in range(count)]


def align(
    model: Seq2Seq, memory: Memory, tokens: list[int]
) -> Float[Tensor, "target source"] | None:
    """Return where the model attends while it writes the tokens of the only row of a memory."""
    if not tokens:
        return None
    inputs = torch.tensor([[BOS, *tokens[:-1]]], device=memory.mask.device)
    alignment = model.decoder.write(memory, inputs, need_alignment=True).alignment
    return None if alignment is None else alignment[0].float().cpu()
