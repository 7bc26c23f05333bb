"""Scopes: which positions may be seen."""

from kochi.attention.scopes.base import (
    AnyScope,
    Band,
    PredictedScope,
    RecurrentScope,
    Scope,
    Window,
)
from kochi.attention.scopes.causal import Causal
from kochi.attention.scopes.everything import Global
from kochi.attention.scopes.sliding_window import SlidingWindow

__all__ = [
    "AnyScope",
    "Band",
    "Causal",
    "Global",
    "PredictedScope",
    "RecurrentScope",
    "Scope",
    "SlidingWindow",
    "Window",
]
