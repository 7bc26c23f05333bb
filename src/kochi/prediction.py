"""What a model predicts for one source.

Each modality extends `Prediction` with what only its sources have: `kochi.TextPrediction`,
`kochi.AudioPrediction`, `kochi.FeaturesPrediction`, `kochi.ImagePrediction`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from kochi.memory import Layout, Words
from kochi.modalities.attended import Attended

if TYPE_CHECKING:
    from kochi.data.readers.base import Reader


WORDS = Words()


@dataclass(frozen=True)
class Output:
    """One of the texts predicted for a source.

    Attributes:
        text: The text; see ``search.unknown`` of the run file for what stands for unknown words.
        score: What hypotheses are ranked by, larger is better: the log-probability in nats over
            length ** length_penalty.
        log_probability: Nats, of the whole text, its end included.
        tokens: The text as the model wrote it.
        finished: False where the text was cut off at its maximum length.
    """

    text: str
    score: float
    log_probability: float
    tokens: tuple[str, ...]
    finished: bool


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one source.

    Attributes:
        source: The text itself, or the name of the recording, array or picture.
        text: The best output; empty where there is none.
        score: Its score, see `Output`.
        tokens: Its tokens.
        n_best: The best outputs, best first and no text twice (or all samples, in the order drawn);
            the first one is ``text``.
        alignment: Row i holds how much each source position was attended to when ``tokens[i]`` was
            written (by the last layer, on average over its heads); a row sums to 1. None if it was
            not requested, or the model has no attention.
        pieces: What each of ``tokens`` adds to the text, with its spaces.
        layout: What the alignment's columns are: tokens, positions in time, or cells of a picture.
        heads: As ``alignment``, for every layer with attention and each of its heads, where that
            was requested.
        unknown: Parts of the source that were never seen in training; only texts have such parts.
        length: Of the source, as its reader counts: tokens without the end mark, samples, frames,
            or bytes of a picture.
        error: Why the source was skipped; None where it was not.
    """

    source: str
    text: str
    score: float
    tokens: tuple[str, ...]
    n_best: tuple[Output, ...]
    alignment: Float[Tensor, "target source"] | None = None
    pieces: tuple[str, ...] = ()
    layout: Layout = WORDS
    heads: Float[Tensor, "layers heads target source"] | None = None
    unknown: tuple[str, ...] = ()
    length: int = 0
    error: str | None = None

    def with_source(self, reader: "Reader[Any]", source: Any, row: Any) -> "Prediction":
        """Return the prediction with the fields that depend on the source.

        Args:
            reader: Reads the source.
            source: As the reader takes it.
            row: What the reader made of it.
        """
        return self

    @property
    def column_labels(self) -> tuple[str, ...]:
        """A label for each column of the alignment: by default its number, from 1."""
        columns = 0 if self.alignment is None else self.alignment.shape[1]
        return tuple(map(str, range(1, columns + 1)))

    @property
    def token_seconds(self) -> tuple[float, ...]:
        """When each of ``tokens`` began; nothing where that is not known."""
        return ()

    def attended(self, reader: "Reader[Any]", source: Any) -> Attended:
        """Return what was attended to while the text was written, to be drawn.

        Args:
            reader: Reads the source.
            source: As it was given to `kochi.Predictor.predict`.
        """
        assert self.alignment is not None
        return Attended(
            reader, source, self.text, self.tokens, self.pieces, self.alignment, self.layout
        )

    def to_record(self) -> dict[str, Any]:
        """Return the prediction as plain values for JSON; of a skipped source, the reason."""
        if self.error is not None:
            return {"source": self.source, "text": "", "error": self.error}
        rows = None if self.alignment is None else self.alignment.tolist()
        return {
            "source": self.source,
            "text": self.text,
            "score": self.score,
            "tokens": list(self.tokens),
            "source_tokens": [],
            "n_best": [
                {"text": one.text, "score": one.score, "tokens": list(one.tokens)}
                for one in self.n_best
            ],
            "alignment": rows and [[round(weight, 6) for weight in row] for row in rows],
            "unknown": list(self.unknown),
        }


class SourceError(ValueError):
    """Report which source cannot be predicted from, and why.

    Attributes:
        place: Its index among the sources.
        reason: What was found and what was expected.
        blank: Whether it is a blank text.
    """

    def __init__(self, place: int, reason: str, blank: bool = False) -> None:
        super().__init__(f"sources[{place}]: {reason}")
        self.place = place
        self.reason = reason
        self.blank = blank


class TargetError(ValueError):
    """Report which of the given targets cannot be written, and why.

    Attributes:
        place: Its index among the targets.
        reason: What was found and what was expected.
    """

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(f"targets[{place}]: {reason}")
        self.place = place
        self.reason = reason
