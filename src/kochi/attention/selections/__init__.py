"""Selections: how scores become an alignment."""

from kochi.attention.selections.base import Selection
from kochi.attention.selections.soft import Soft

__all__ = ["Selection", "Soft"]
