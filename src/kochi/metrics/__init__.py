"""How good the answers are: corpus scores in percent, with intervals and comparisons.

BLEU and chrF are sacrebleu's, WER, CER and PER are jiwer's, "exact" is the share of rows answered
exactly. Every score takes several references a row, and counts any run of white space as one
space. `evaluate` gives scores with confidence intervals, `corpus_metric` one number quickly,
`compare` says whether two systems differ, `pronunciation` gives the two numbers of
grapheme-to-phoneme work, `alignment_scores` the error rate of word alignments. `Judge` scores
answers as a run file asks for.
"""

from kochi.metrics.alignment import GoldLinks, alignment_scores, read_links
from kochi.metrics.compare import Comparison, compare
from kochi.metrics.evaluate import Score, corpus_metric, evaluate, pronunciation
from kochi.metrics.judge import Judge, comparable, wer_unit
from kochi.metrics.metric import Metric
from kochi.metrics.names import METRICS, higher_is_better

__all__ = [
    "METRICS",
    "Comparison",
    "GoldLinks",
    "Judge",
    "Metric",
    "Score",
    "alignment_scores",
    "comparable",
    "compare",
    "corpus_metric",
    "evaluate",
    "higher_is_better",
    "pronunciation",
    "read_links",
    "wer_unit",
]
