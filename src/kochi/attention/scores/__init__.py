"""Scores: how well a query matches a key. One file a score, named by its paper's word."""

from kochi.attention.scores.additive import Additive
from kochi.attention.scores.base import AnyScore, RecurrentScore, Score
from kochi.attention.scores.cosine import Cosine
from kochi.attention.scores.dot import Dot
from kochi.attention.scores.general import General
from kochi.attention.scores.location import Location
from kochi.attention.scores.location_aware import LocationAware
from kochi.attention.scores.scaled_dot import ScaledDot

__all__ = [
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
