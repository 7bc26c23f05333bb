"""Scopes: which positions may be seen."""

from kochi.attention.scopes.base import AnyScope, PredictedScope, RecurrentScope, Scope, Window
from kochi.attention.scopes.causal import Causal
from kochi.attention.scopes.everything import Global

__all__ = ["AnyScope", "Causal", "Global", "PredictedScope", "RecurrentScope", "Scope", "Window"]
