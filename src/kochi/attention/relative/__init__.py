"""Relative terms: what positions add to a dot product. One file a term."""

from kochi.attention.relative.alibi import Alibi
from kochi.attention.relative.base import Relative
from kochi.attention.relative.shaw import Shaw
from kochi.attention.relative.t5 import T5

__all__ = ["T5", "Alibi", "Relative", "Shaw"]
