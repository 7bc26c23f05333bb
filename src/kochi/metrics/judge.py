"""Score predictions according to a run file, in training, `kochi evaluate` and `kochi compare`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from kochi.metrics.compare import Comparison, compare
from kochi.metrics.evaluate import Score, corpus_metric, evaluate
from kochi.metrics.metric import References
from kochi.metrics.names import WerUnit, make_metric
from kochi.modalities import modality_of
from kochi.modalities.tables import BaseData, Tokens
from kochi.normal_forms import normalize


def comparable(text: str, target: Tokens) -> str:
    r"""Normalise a hypothesis or a reference before both are compared.

    Both sides of every score are converted to the Unicode normal form of
    ``data.target.normalization``, in which the model writes. Each metric later normalises white
    space (`kochi.metrics.metric.plain_spaces`), and case if it ignores case.

    Args:
        text: A prediction, or a reference from the data.
        target: How the run file tokenizes targets.

    >>> comparable("e\u0301", Tokens()) == comparable("\u00e9", Tokens())
    True
    """
    return normalize(text, target.normalization)


def wer_unit(data: BaseData, sources: Sequence[Any]) -> WerUnit:
    """Return what "wer" counts for these data: errors in "words", or "rows" with any error.

    In work on pronunciation, the word error rate is the share of words with any error. "wer" is
    that if ``data.row`` is "word". If ``data.row`` is not set, each row is assumed to be a word if
    the source is text tokenized into characters, the target is split at white space (so that its
    tokens are sounds or letters, not words), and more than half of the sources contain no white
    space.

    Args:
        data: The data table of a run file.
        sources: The sources to be scored.

    >>> from kochi.modalities.text.tables import TsvData
    >>> table = {"kind": "tsv", "train": "a.tsv", "source": {"tokens": "characters"}}
    >>> table["target"] = {"tokens": "whitespace"}
    >>> sounds = TsvData.model_validate(table)
    >>> wer_unit(sounds, ["cat", "dog"]), wer_unit(sounds, ["It cost $5.", "Call at 9."])
    ('rows', 'words')
    """
    if data.row is not None:
        return "rows" if data.row == "word" else "words"
    return "rows" if modality_of(data).rows_are_words(sources) else "words"


class Judge:
    """Score predictions for a list of sources.

    Args:
        data: The data table of a run file: how targets are tokenized, and whether case counts.
        sources: The sources.
        references: The references of each source.
        tokenize: sacrebleu's tokenizer for BLEU; None to follow ``data.tokenized``.
        lowercase: Ignore case, regardless of the run file.

    Attributes:
        wer: What "wer" counts; see `wer_unit`.
    """

    def __init__(
        self,
        data: BaseData,
        sources: Sequence[Any],
        references: References,
        *,
        tokenize: str | None = None,
        lowercase: bool = False,
    ) -> None:
        self.wer: WerUnit = wer_unit(data, sources)
        self._target = data.target
        self._references = [self._comparable(row) for row in references]
        self._tokenize = tokenize or ("none" if data.tokenized else "13a")
        self._lowercase = lowercase or data.target.lowercase

    def _comparable(self, texts: Sequence[str]) -> list[str]:
        return [comparable(text, self._target) for text in texts]

    @property
    def _options(self) -> dict[str, Any]:
        return {"tokenize": self._tokenize, "lowercase": self._lowercase, "wer": self.wer}

    def scores(self, names: Sequence[str], answers: Sequence[str]) -> dict[str, Score]:
        """Return scores with intervals; see `kochi.metrics.evaluate`."""
        return evaluate(names, self._comparable(answers), self._references, **self._options)

    def value(self, name: str, answers: Sequence[str]) -> float:
        """Return one metric in percent; see `kochi.metrics.corpus_metric`."""
        return corpus_metric(name, self._comparable(answers), self._references, **self._options)

    def compare(self, name: str, first: Sequence[str], second: Sequence[str]) -> Comparison:
        """Compare two systems; see `kochi.metrics.compare`."""
        both = self._comparable(first), self._comparable(second)
        return compare(name, *both, self._references, **self._options)

    def row_values(self, name: str, answers: Sequence[str]) -> Float[np.ndarray, " rows"]:
        """Return a metric for each row separately, in percent."""
        metric = make_metric(name, **self._options)
        rows = metric.statistics(self._comparable(answers), self._references)
        return np.array([metric.value(row) for row in rows], dtype=np.float64)

    def signature(self, name: str) -> str:
        """Return the signature of a metric, which describes how it is computed."""
        return make_metric(name, **self._options).signature(self._references)
