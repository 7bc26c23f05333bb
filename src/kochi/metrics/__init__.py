"""Metrics: corpus scores in percent, with confidence intervals and comparisons.

BLEU and chrF are computed by sacrebleu; WER, CER and PER by jiwer; "exact" is the share of rows
that match exactly. Every metric supports several references per row and counts any run of white
space as one space. `evaluate` computes scores with confidence intervals, `corpus_metric` a single
number quickly, `compare` tests whether two systems differ, `pronunciation` computes the two usual
metrics of grapheme-to-phoneme conversion, and `alignment_scores` the error rate of word alignments.
`Judge` scores predictions according to a run file.
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
