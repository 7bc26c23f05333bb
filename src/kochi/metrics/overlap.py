"""BLEU and chrF: the n-grams that answer and reference share, counted by sacrebleu."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import sacrebleu
from jaxtyping import Float
from typing_extensions import override

from kochi.metrics.metric import Metric, References, count_references

TOKENIZERS = tuple(sacrebleu.BLEU.TOKENIZERS)


class Overlap(Metric):
    """A metric of sacrebleu, with its signature.

    sacrebleu sums the same statistics in `corpus_score`; its own methods count them here and turn
    their sums into a score, so that the value is sacrebleu's to the last digit.

    Args:
        scorer: The metric.
    """

    higher_is_better = True

    def __init__(self, scorer: sacrebleu.BLEU | sacrebleu.CHRF):
        self.scorer = scorer

    @override
    def count(
        self, hypotheses: Sequence[str], references: References
    ) -> Float[np.ndarray, "rows statistics"]:
        """Count n-grams: those of the answer, of the reference, and those they share."""
        streams = list(zip_longest(*references))
        rows = self.scorer._extract_corpus_statistics(hypotheses, streams)
        return np.array(rows, dtype=np.float64)

    def value(self, totals: Float[np.ndarray, " statistics"]) -> float:
        """Give sacrebleu's corpus score, 0 to 100."""
        counts = [round(total) for total in totals.tolist()]
        return self.scorer._compute_score_from_stats(counts).score

    def signature(self, references: References) -> str:
        """Give sacrebleu's signature, such as ``nrefs:1|case:mixed|eff:no|tok:13a|...``."""
        self.scorer.num_refs = count_references(references) or -1
        return str(self.scorer.get_signature())


class Bleu(Overlap):
    """BLEU (Papineni et al. 2002, https://aclanthology.org/P02-1040) as sacrebleu defines it.

    Args:
        lowercase: Whether case is ignored.
        tokenize: sacrebleu's tokenizer: "13a" for plain text; "none" for text that is tokenised
            already (tokenised BLEU: cut at spaces, nothing else); "char", "zh", "intl" and others.

    Raises:
        ValueError: ``tokenize`` is none of `TOKENIZERS`.
    """

    def __init__(self, lowercase: bool = False, tokenize: str = "13a") -> None:
        if tokenize not in TOKENIZERS:
            raise ValueError(f"tokenize = {tokenize!r}; expected one of {', '.join(TOKENIZERS)}")
        # force: no warning about text that looks tokenised; the signature says how it was cut.
        super().__init__(sacrebleu.BLEU(lowercase=lowercase, tokenize=tokenize, force=True))


class Chrf(Overlap):
    """chrF (Popović 2015, https://aclanthology.org/W15-3049): character n-grams, beta 2.

    Of several references each row takes the one with the best score.

    Args:
        lowercase: Whether case is ignored.
    """

    def __init__(self, lowercase: bool = False) -> None:
        super().__init__(sacrebleu.CHRF(lowercase=lowercase))
