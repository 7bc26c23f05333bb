"""Search: from a decoder's next-token scores to whole answers.

`search` (beam; beam 1 is greedy) and `sample` are the two doors. A decoder is known only through
``start``, ``step``, ``reorder`` and ``keep`` (`StepDecoder`). The answer to a sentence does not
depend on what shares its batch: limits, stopping and random numbers are the sentence's own.
"""

from kochi.search.beam import beam_search
from kochi.search.candidates import NotFiniteError
from kochi.search.ctc import CtcPrefixScore
from kochi.search.decoder import StepDecoder
from kochi.search.forced import score_targets
from kochi.search.greedy import greedy
from kochi.search.hypothesis import Hypothesis, normalise
from kochi.search.joint import JointScore
from kochi.search.limits import length_limits
from kochi.search.parallel import in_parallel, num_workers, settle_threads, share_size
from kochi.search.processes import Processes
from kochi.search.sampling import sample, sentence_seeds
from kochi.search.search import search

__all__ = [
    "CtcPrefixScore",
    "Hypothesis",
    "JointScore",
    "NotFiniteError",
    "Processes",
    "StepDecoder",
    "beam_search",
    "greedy",
    "in_parallel",
    "length_limits",
    "normalise",
    "num_workers",
    "sample",
    "score_targets",
    "search",
    "sentence_seeds",
    "settle_threads",
    "share_size",
]
