"""Decoding: from a decoder's next-token scores to whole answers.

`search` (beam; beam 1 is greedy) and `sample` are the two doors. A decoder is known only through
``start``, ``step``, ``reorder`` and ``keep`` (`StepDecoder`). The answer to a sentence does not
depend on what shares its batch: limits, stopping and random numbers are the sentence's own.
"""

from kochi.decoding.beam import beam_search
from kochi.decoding.candidates import NotFiniteError
from kochi.decoding.ctc import CtcPrefixScore
from kochi.decoding.decoder import StepDecoder
from kochi.decoding.external_scorer import ExternalScorer
from kochi.decoding.forced import score_targets
from kochi.decoding.greedy import greedy
from kochi.decoding.hypothesis import Hypothesis, normalise
from kochi.decoding.limits import length_limits
from kochi.decoding.sampling import sample, sentence_seeds
from kochi.decoding.search import search

__all__ = [
    "CtcPrefixScore",
    "ExternalScorer",
    "Hypothesis",
    "NotFiniteError",
    "StepDecoder",
    "beam_search",
    "greedy",
    "length_limits",
    "normalise",
    "sample",
    "score_targets",
    "search",
    "sentence_seeds",
]
