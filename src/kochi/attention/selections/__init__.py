"""Selections: how scores become an alignment."""

from kochi.attention.selections.base import (
    AnySelection,
    Choice,
    RecurrentSelection,
    SampledSelection,
    Selection,
)
from kochi.attention.selections.soft import Soft

__all__ = ["AnySelection", "Choice", "RecurrentSelection", "SampledSelection", "Selection", "Soft"]
