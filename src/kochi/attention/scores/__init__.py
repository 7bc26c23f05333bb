"""Scores: how well a query matches a key. One file per score, named as in its paper."""

from kochi.attention.options import SIZES
from kochi.attention.scores.additive import Additive
from kochi.attention.scores.base import AnyScore, RecurrentScore, Score
from kochi.attention.scores.cosine import Cosine
from kochi.attention.scores.dot import Dot
from kochi.attention.scores.general import General
from kochi.attention.scores.location import Location
from kochi.attention.scores.location_aware import LocationAware
from kochi.attention.scores.scaled_dot import ScaledDot
from kochi.components import Slot

SCORES: Slot[AnyScore] = Slot(
    "score",
    (Score, RecurrentScore),
    {
        "dot": Dot,
        "scaled_dot": ScaledDot,
        "general": General,
        "cosine": Cosine,
        "additive": Additive,
        "location": Location,
        "location_aware": LocationAware,
    },
    SIZES,
)

__all__ = [
    "SCORES",
    "Additive",
    "AnyScore",
    "Cosine",
    "Dot",
    "General",
    "Location",
    "LocationAware",
    "RecurrentScore",
    "ScaledDot",
    "Score",
]
