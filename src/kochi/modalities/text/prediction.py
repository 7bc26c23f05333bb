"""Predictions for texts."""

from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from kochi.data.readers.base import Reader
from kochi.modalities.attended import Attended
from kochi.prediction import Prediction


@dataclass(frozen=True)
class TextPrediction(Prediction):
    """A prediction for a text. See `kochi.Prediction` for the other attributes.

    Attributes:
        source_tokens: The tokens of the source; the last one is the end mark.
        unknown: Characters (or words, for word-level models) of the source that did not occur in
            training.
    """

    source_tokens: tuple[str, ...] = ()

    @override
    def with_source(self, reader: Reader[Any], source: Any, row: Any) -> "TextPrediction":
        unknown = reader.unknown(source, row)
        return replace(self, source_tokens=reader.labels(row), unknown=unknown)

    @property
    @override
    def column_labels(self) -> tuple[str, ...]:
        return self.source_tokens

    @override
    def attended(self, reader: Reader[Any], source: Any) -> Attended:
        return replace(super().attended(reader, source), source_tokens=self.source_tokens)

    @override
    def to_record(self) -> dict[str, Any]:
        record = super().to_record()
        return record if self.error else record | {"source_tokens": list(self.source_tokens)}
