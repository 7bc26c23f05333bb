"""Selections: how scores become an alignment. One file per selection, named as in its paper."""

from kochi.attention.options import SIZES
from kochi.attention.selections.base import (
    AnySelection,
    Choice,
    RecurrentSelection,
    SampledSelection,
    Selection,
    Walk,
)
from kochi.attention.selections.chunkwise import Chunkwise
from kochi.attention.selections.entmax import Entmax
from kochi.attention.selections.entmax15 import Entmax15
from kochi.attention.selections.gumbel import Gumbel
from kochi.attention.selections.hard import Hard
from kochi.attention.selections.marginal import Marginal, marginal_log_likelihood
from kochi.attention.selections.monotonic import Monotonic
from kochi.attention.selections.smoothed import Smoothed
from kochi.attention.selections.soft import Soft, masked_softmax
from kochi.attention.selections.sparsemax import Sparsemax
from kochi.attention.selections.straight_through import StraightThrough
from kochi.attention.selections.top_k import TopK
from kochi.components import Slot

SELECTIONS: Slot[AnySelection] = Slot(
    "selection",
    (Selection, RecurrentSelection, SampledSelection),
    {
        "soft": Soft,
        "smoothed": Smoothed,
        "sparsemax": Sparsemax,
        "entmax15": Entmax15,
        "entmax": Entmax,
        "top_k": TopK,
        "hard": Hard,
        "straight_through": StraightThrough,
        "gumbel": Gumbel,
        "marginal": Marginal,
        "monotonic": Monotonic,
        "chunkwise": Chunkwise,
    },
    SIZES,
)

__all__ = [
    "SELECTIONS",
    "AnySelection",
    "Choice",
    "Chunkwise",
    "Entmax",
    "Entmax15",
    "Gumbel",
    "Hard",
    "Marginal",
    "Monotonic",
    "RecurrentSelection",
    "SampledSelection",
    "Selection",
    "Smoothed",
    "Soft",
    "Sparsemax",
    "StraightThrough",
    "TopK",
    "Walk",
    "marginal_log_likelihood",
    "masked_softmax",
]
