"""Scopes: which positions may be seen."""

from kochi.attention.scopes.base import (
    AnyScope,
    Band,
    PredictedScope,
    RecurrentScope,
    Scope,
    Window,
    Windows,
)
from kochi.attention.scopes.causal import Causal
from kochi.attention.scopes.coverage import Coverage, coverage_loss
from kochi.attention.scopes.everything import Global
from kochi.attention.scopes.joined import join_scopes
from kochi.attention.scopes.local_m import LocalM
from kochi.attention.scopes.local_p import LocalP
from kochi.attention.scopes.sliding_window import SlidingWindow

__all__ = [
    "AnyScope",
    "Band",
    "Causal",
    "Coverage",
    "Global",
    "LocalM",
    "LocalP",
    "PredictedScope",
    "RecurrentScope",
    "Scope",
    "SlidingWindow",
    "Window",
    "Windows",
    "coverage_loss",
    "join_scopes",
]
