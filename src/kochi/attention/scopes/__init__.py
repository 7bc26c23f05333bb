"""Scopes: which positions a query may attend to."""

from kochi.attention.options import SIZES
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
from kochi.components import Slot

SCOPES: Slot[AnyScope] = Slot(
    "scope",
    (Scope, PredictedScope, RecurrentScope),
    {
        "global": Global,
        "causal": Causal,
        "sliding_window": SlidingWindow,
        "local_m": LocalM,
        "local_p": LocalP,
        "coverage": Coverage,
    },
    SIZES,
)

__all__ = [
    "SCOPES",
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
