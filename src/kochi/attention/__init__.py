"""Attention as a combination of components: score, scope, selection and kernel.

>>> import torch
>>> attention = build("additive", query_size=8, memory_size=6)
>>> memory = attention.project(torch.zeros(2, 5, 6))
>>> attention(torch.zeros(2, 3, 8), memory).context.shape
torch.Size([2, 3, 6])

This package imports torch and nothing else of kochi, so that it can be used on its own.
"""

from kochi.attention.alignment_request import AlignmentOf
from kochi.attention.attend import Attention, AttentionBase
from kochi.attention.building import build, build_multihead
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask
from kochi.attention.multihead import Joined, MultiHeadAttention
from kochi.attention.nn_multihead import MultiheadAttention, from_torch, to_torch
from kochi.attention.output import START, AttentionOutput, AttentionState, Draws
from kochi.attention.positions import Positions
from kochi.attention.projected_memory import ProjectedMemory
from kochi.attention.relative import RELATIVES, Relative, Rotary
from kochi.attention.scopes import (
    SCOPES,
    Band,
    PredictedScope,
    RecurrentScope,
    Scope,
    Window,
    Windows,
    coverage_loss,
)
from kochi.attention.scores import SCORES, RecurrentScore, Score
from kochi.attention.selections import (
    SELECTIONS,
    Choice,
    RecurrentSelection,
    SampledSelection,
    Selection,
    marginal_log_likelihood,
    masked_softmax,
)

__all__ = [
    "RELATIVES",
    "SCOPES",
    "SCORES",
    "SELECTIONS",
    "START",
    "AlignmentOf",
    "Attention",
    "AttentionBase",
    "AttentionMask",
    "AttentionOutput",
    "AttentionState",
    "Band",
    "Choice",
    "Draws",
    "Joined",
    "MultiHeadAttention",
    "MultiheadAttention",
    "Past",
    "Positions",
    "PredictedScope",
    "ProjectedMemory",
    "RecurrentScope",
    "RecurrentScore",
    "RecurrentSelection",
    "Relative",
    "Rotary",
    "SampledSelection",
    "Scope",
    "Score",
    "Selection",
    "Window",
    "Windows",
    "build",
    "build_multihead",
    "coverage_loss",
    "from_torch",
    "marginal_log_likelihood",
    "masked_softmax",
    "to_torch",
]
