"""Score answers as a run file asks for: the one way of training, `kochi evaluate` and `compare`."""

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
    r"""Return a hypothesis or a reference in the form in which both are compared.

    Every score of a model's answers passes through here, on both sides: both are brought to the
    Unicode normal form of ``data.target.normalization``, in which the model writes. White space is
    made alike later, by each metric (`kochi.metrics.metric.plain_spaces`), and case where a metric
    ignores it.

    Args:
        text: What a model wrote, or a right answer as it stands in the data.
        target: How the run file cuts targets.

    >>> comparable("e\u0301", Tokens()) == comparable("\u00e9", Tokens())
    True
    """
    return normalize(text, target.normalization)


def wer_unit(data: BaseData, sources: Sequence[Any]) -> WerUnit:
    """Say what "wer" counts for such data: errors in "words", or "rows" with any error.

    In work on pronunciation the word error rate is the share of words with any error. It is that
    where ``data.row`` is "word". Where ``data.row`` is not set, each row is taken for a word if the
    source is text that is cut into characters, the target is cut at white space (so that its tokens
    are sounds or letters, not words), and more than half of the sources hold no white space.

    Args:
        data: The data table of a run file.
        sources: The sources that are scored.

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
    """Score answers to some sources.

    Args:
        data: The data table of a run file: how targets are cut, and whether case counts.
        sources: The sources.
        references: The right answers to each.
        tokenize: sacrebleu's tokenizer for BLEU; None: as ``data.tokenized`` says.
        lowercase: Ignore case whatever the run file says.

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
        """Return a metric of each row by itself, in percent."""
        metric = make_metric(name, **self._options)
        rows = metric.statistics(self._comparable(answers), self._references)
        return np.array([metric.value(row) for row in rows], dtype=np.float64)

    def signature(self, name: str) -> str:
        """Say how a metric is computed."""
        return make_metric(name, **self._options).signature(self._references)
