"""Relative position terms, which are added to the score. One file per term."""

from kochi.attention.options import SIZES
from kochi.attention.relative.alibi import Alibi
from kochi.attention.relative.base import Relative
from kochi.attention.relative.rotary import Rotary
from kochi.attention.relative.shaw import Shaw
from kochi.attention.relative.t5 import T5
from kochi.components import Slot

RELATIVES: Slot[Relative | Rotary] = Slot(
    "relative",
    (Relative, Rotary),
    {"shaw": Shaw, "t5": T5, "alibi": Alibi, "rotary": Rotary},
    (*SIZES, "dot_scale"),
)

__all__ = ["RELATIVES", "T5", "Alibi", "Relative", "Rotary", "Shaw"]
