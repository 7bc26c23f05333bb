"""Hypotheses decoded: from the tokens of a search to a prediction that a user reads."""

import math
from typing import Any

from kochi.data.readers.base import Reader, Unreadable
from kochi.data.tokenizer import Tokenizer
from kochi.decoding import Hypothesis
from kochi.inference.request import Request, Searched
from kochi.inference.sources import EncodedSource
from kochi.inference.unknown_words import Copier, Unknown
from kochi.prediction import Output, Prediction, SourceError


class OutputDecoder:
    """Turns what a search found into predictions.

    Args:
        kind: The type of the predictions; its modality's.
        source: Reads the sources.
        target: Joins the tokens of outputs.
    """

    def __init__(self, kind: type[Prediction], source: Reader[Any], target: Tokenizer) -> None:
        self._kind, self._source, self._target = kind, source, target

    def decode(self, encoded: EncodedSource, searched: Searched, request: Request) -> Prediction:
        """Return the prediction for a source."""
        source, row = encoded
        replaced = self._replaced(source, row, searched, request.unknown)
        pairs = zip(searched.hypotheses, replaced, strict=True)
        outputs = [self._output(*pair) for pair in pairs]
        if request.n_best is not None:
            outputs = _different(outputs)[: request.n_best]
        heads, best = searched.heads, outputs[0]
        return self._kind(
            source=self._source.describe(source),
            text=best.text,
            score=best.score,
            tokens=best.tokens,
            n_best=tuple(outputs),
            alignment=None if heads is None else heads[-1].mean(0),
            pieces=tuple(self._target.pieces(searched.hypotheses[0].tokens, replaced[0])),
            layout=searched.layout,
            heads=heads if request.need_heads else None,
            length=len(row),
        ).with_source(self._source, source, row)

    def skipped(self, source: Any, error: SourceError) -> Prediction:
        """Return the prediction for a blank text, or for a source that was skipped."""
        named = isinstance(source, str | Unreadable)
        name = getattr(source, "source", source) if named else self._source.describe(source)
        return self._kind(
            source=str(name),
            text="",
            score=0.0 if error.blank else -math.inf,
            tokens=(),
            n_best=(Output("", 0.0, 0.0, (), True),) if error.blank else (),
            error=None if error.blank else error.reason,
        )

    def _replaced(
        self, source: Any, row: Any, searched: Searched, unknown: Unknown
    ) -> list[dict[int, str]]:
        """Return for each hypothesis which of its tokens are replaced, and by what."""
        if not searched.origins:
            return [{} for _ in searched.hypotheses]
        copier = Copier(unknown, self._target, self._source, source, row)
        pairs = zip(searched.hypotheses, searched.origins, strict=True)
        return [copier.replace(one.tokens, alignment) for one, alignment in pairs]

    def _output(self, hypothesis: Hypothesis, replaced: dict[int, str]) -> Output:
        return Output(
            text=self._target.join(hypothesis.tokens, replaced),
            score=hypothesis.score,
            log_probability=hypothesis.log_probability,
            tokens=tuple(self._target.tokens(hypothesis.tokens)),
            finished=hypothesis.finished,
        )


def _different(outputs: list[Output]) -> list[Output]:
    """Keep the best output of each text; white space does not tell texts apart."""
    kept: dict[str, Output] = {}
    for output in outputs:
        kept.setdefault(" ".join(output.text.split()), output)
    return list(kept.values())
