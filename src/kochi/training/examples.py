"""A few dev rows with the model's predictions, to judge a model by reading."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.memory import Memory
from kochi.modalities.attended import Attended
from kochi.modalities.base import Modality
from kochi.models.seq2seq import Seq2Seq
from kochi.special_tokens import BOS
from kochi.visible import visible_text

LONGEST = 200  # characters of a text that are shown


@dataclass(frozen=True)
class Example:
    """A dev row with the model's prediction, by greedy search.

    Attributes:
        source: The text, or the name of the source file.
        references: The references.
        prediction: The prediction.
        finished: False if the prediction was truncated.
        modality: Modality of the source.
        attended: The alignment of the prediction (last layer, averaged over its heads); None for a
            model without attention or an empty prediction.
    """

    source: str
    references: tuple[str, ...]
    prediction: str
    finished: bool
    modality: Modality[Any] | None = None
    attended: Attended | None = None

    def texts(self) -> dict[str, str]:
        """Return the texts to show, by name; each is safe to print on one line."""
        return {
            "source": shown(self.source),
            "target": shown(" | ".join(self.references)),
            "prediction": shown(self.prediction) + ("" if self.finished else " …"),
        }


def shown(text: str, longest: int = LONGEST) -> str:
    r"""Make a text safe to print on one line, and truncate a very long one.

    >>> shown("two\nlines")
    'two␊lines'
    """
    return visible_text(text if len(text) <= longest else text[:longest] + "…")


def spread(count: int, rows: int) -> list[int]:
    """Choose evenly spaced rows, deterministically.

    >>> spread(2, 100), spread(3, 2), spread(0, 5)
    ([25, 75], [0, 1], [])
    """
    count = min(count, rows)
    return [(2 * number + 1) * rows // (2 * count) for number in range(count)]


def align(
    model: Seq2Seq, memory: Memory, tokens: list[int]
) -> Float[Tensor, "target source"] | None:
    """Return the alignment of the given tokens to a memory with a single row."""
    if not tokens:
        return None
    inputs = torch.tensor([[BOS, *tokens[:-1]]], device=memory.mask.device)
    alignment = model.decoder.write(memory, inputs, need_alignment=True).alignment
    return None if alignment is None else alignment[0].float().cpu()
