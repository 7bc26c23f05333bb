"""Decoding: from a decoder's next-token scores to whole outputs.

The entry points are `search` (beam search; beam 1 is greedy) and `sample`. A decoder needs only
``start``, ``step``, ``reorder`` and ``keep`` (`StepDecoder`). The output for a sentence does not
depend on the rest of its batch: each sentence has its own limits, stopping and random numbers.
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
