"""Attention as freely combined parts: score, scope, selection, and the kernel that computes them.

>>> import torch
>>> attention = build("additive", query_size=8, memory_size=6)
>>> memory = attention.project(torch.zeros(2, 5, 6))
>>> attention(torch.zeros(2, 3, 8), memory).context.shape
torch.Size([2, 3, 6])

This package imports torch and nothing else of kochi: it can be used alone.
"""

from kochi.attention.attend import Attention, AttentionBase, AttentionState, Readout
from kochi.attention.building import SCOPES, SCORES, SELECTIONS, build, build_multihead
from kochi.attention.kernels.base import Visible
from kochi.attention.multihead import MultiHeadAttention
from kochi.attention.projected import Projected
from kochi.attention.scopes import Positions, Scope
from kochi.attention.scores import Score
from kochi.attention.selections import Selection

__all__ = [
    "SCOPES",
    "SCORES",
    "SELECTIONS",
    "Attention",
    "AttentionBase",
    "AttentionState",
    "MultiHeadAttention",
    "Positions",
    "Projected",
    "Readout",
    "Scope",
    "Score",
    "Selection",
    "Visible",
    "build",
    "build_multihead",
]
