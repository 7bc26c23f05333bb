"""Drawings of alignments and training curves: in the terminal, and as PNG, SVG or PDF."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kochi.view.page import PictureSide, Side, TextSide, TimeSide
    from kochi.view.picture import save_alignment

_HOMES = {
    "PictureSide": "kochi.view.page",
    "Side": "kochi.view.page",
    "TextSide": "kochi.view.page",
    "TimeSide": "kochi.view.page",
    "save_alignment": "kochi.view.picture",
}
__all__ = ["PictureSide", "Side", "TextSide", "TimeSide", "save_alignment"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kochi.view' has no attribute {name!r}")
