"""Scopes: which positions may be seen."""

from kochi.attention.scopes.base import Positions, Scope
from kochi.attention.scopes.causal import Causal
from kochi.attention.scopes.everything import Global

__all__ = ["Causal", "Global", "Positions", "Scope"]
