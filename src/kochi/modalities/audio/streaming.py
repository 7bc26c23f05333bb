"""Recognise audio while it arrives: `Listener`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor

from kochi.decoders.streaming import StreamingDecoder
from kochi.decoding.streaming import StreamedToken, StreamState, advance
from kochi.encoders.encoder import FrameEncoder
from kochi.errors import UserError
from kochi.inference.predictor import Predictor
from kochi.memory import Frames
from kochi.modalities.audio.frame_stream import FrameStream
from kochi.modalities.audio.reader import SoundReader
from kochi.special_tokens import EOS

PATIENCE_SECONDS = 3.0  # longer than any pause within an utterance


@dataclass(frozen=True)
class RecognizedToken:
    """A token that was recognised while audio arrived.

    Attributes:
        text: The text that it adds, including a space; "" for the end of an utterance.
        utterance: The index of its utterance, from 0.
        ends: Whether it ends the utterance.
        look_seconds: Time of the position attended to; None if it is beyond the end.
        heard_seconds: Seconds of audio that had arrived.
        log_probability: Nats.
    """

    text: str
    utterance: int
    ends: bool
    look_seconds: float | None
    heard_seconds: float
    log_probability: float


class Listener:
    """Recognise words while their audio arrives.

    The tokens of an utterance are those of ``predictor.predict(..., beam=1)`` for all of it (up to
    rounding: matrix products of fewer rows round differently). If the model predicts its end mark
    before the audio has ended, a new utterance begins after the position attended to last. If it
    finds no position to attend to within `PATIENCE_SECONDS`, it is forced to end, and a new one
    begins with the second half of the pause. An utterance that attended to nothing is dropped.

    Args:
        predictor: A model of audio with a unidirectional encoder ("pyramid" or "conv_rnn" with
            ``bidirectional = false``), monotonic or chunkwise attention and a learned initial
            state.

    Raises:
        UserError: The model needs the whole utterance.
    """

    def __init__(self, predictor: Predictor) -> None:
        if not isinstance(predictor.source, SoundReader):
            raise UserError("only a model of sound can listen; this one reads something else")
        self._predictor, self._reader = predictor, predictor.source
        try:
            self._frames = FrameStream(predictor.source)
            self._writing = Utterance(predictor, 0)
        except ValueError as error:
            raise UserError(f"this model cannot listen: {error}") from None
        self._samples = 0
        self._number = 0

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of the input."""
        return self._reader.mel.sample_rate_hz

    def listen(self, blocks: Iterable[Int16[np.ndarray, " samples"]]) -> Iterator[RecognizedToken]:
        """Recognise audio as it arrives.

        Args:
            blocks: Mono samples at the model's rate, as returned by `read_blocks`.
        """
        for block in blocks:
            yield from self.push(block)
        yield from self.push(np.zeros(0, np.int16), last=True)

    @torch.inference_mode()
    def push(
        self, block: Int16[np.ndarray, " samples"], last: bool = False
    ) -> list[RecognizedToken]:
        """Add samples; return the tokens that can now be predicted.

        Raises:
            UserError: The audio has ended without a single frame.
        """
        self._samples += len(block)
        frames, found = self._frames.push(block, last), list[RecognizedToken]()
        while True:
            writing = self._writing
            written = writing.write(frames, last)
            if last and not writing.positions and not self._number:
                raise UserError("the sound is shorter than a frame; expected more of it")
            if writing.has_attended or (last and not self._number):  # otherwise it is silence
                found += [self._recognized(one) for one in written]
            if not writing.ended or (last and (writing.off_the_end or not len(writing.rest))):
                return found
            frames = writing.rest
            self._number += writing.has_attended
            self._writing = writing.next()

    def _recognized(self, one: StreamedToken) -> RecognizedToken:
        look = None
        if one.position is not None:
            layout = self._writing.layout
            look = layout.centre_seconds(self._writing.begin + one.position)
        return RecognizedToken(
            text="".join(self._predictor.target.pieces([one.token])),
            utterance=self._number,
            ends=one.token == EOS,
            look_seconds=look,
            heard_seconds=self._reader.seconds(self._samples),
            log_probability=one.log_probability,
        )


class Utterance:
    """A single utterance: the streaming encoder, and monotonic decoding along its output.

    Args:
        predictor: The model.
        begin: Position of the start of the utterance in the memory of the whole audio.
        skipped: Number of frames at the start of the input that belong to the previous position.

    Attributes:
        positions: Number of positions so far.
        has_attended: Whether a token has attended to a position.
        off_the_end: Whether it ended because there was no position left to attend to.
        next_position: The position after the one attended to last.
        rest: Frames from that position on, as far as they have arrived.

    Raises:
        ValueError: The model needs the whole utterance.
    """

    def __init__(self, predictor: Predictor, begin: int, skipped: int = 0) -> None:
        encoder, reader = predictor.model.encoder, predictor.source
        assert isinstance(reader, SoundReader)
        assert isinstance(encoder, FrameEncoder) and isinstance(encoder.layout, Frames)
        self._encoder, self._device, self._precision = (
            encoder, predictor.device, predictor.precision
        )  # fmt: skip
        self._predictor, self._skipped = predictor, skipped
        self.layout, self.begin = encoder.layout, begin
        self._decoder = StreamingDecoder(predictor.model.decoder)
        self._options = predictor.run.search
        nothing = torch.zeros(1, 0, reader.inputs.size)
        values, self._fed = encoder.feed(self._moved(nothing), None, False)
        self._search = StreamState(self._decoder.start(values))
        self.positions = self.next_position = self._behind = 0
        self.has_attended = self.off_the_end = False
        self.rest = nothing[0]
        self._passed = 0  # upcoming frames that belong to previous positions

    @property
    def ended(self) -> bool:
        """Return whether the end mark was predicted."""
        return self._search.ended

    def next(self) -> "Utterance":
        """Return the utterance that begins after this one."""
        return Utterance(self._predictor, self.begin + self.next_position, self._passed)

    def write(self, frames: Float[Tensor, "frames size"], last: bool) -> list[StreamedToken]:
        """Add frames; return the tokens that can now be predicted.

        Decodes position by position, so that the result does not depend on the length of blocks.
        """
        skipped = min(self._skipped, len(frames))
        self._skipped, frames = self._skipped - skipped, frames[skipped:]
        values, self._fed = self._encoder.feed(self._moved(frames[None]), self._fed, last)
        written: list[StreamedToken] = []
        for position in range(values.shape[1]):
            grown = self._decoder.grow(self._search.state, values[:, position : position + 1])
            self._search, self.positions = replace(self._search, state=grown), self.positions + 1
            written += self._advance(last=False)
            if not self.ended and self._waits_too_long:
                written += self._advance(last=True)
            if self.ended:
                break
        if last and not self.ended:
            written += self._advance(last=True)
        self._keep(frames)
        return written

    def _advance(self, last: bool) -> list[StreamedToken]:
        options = self._options
        limit = int(self.positions * options.max_length_ratio) + options.max_length_extra
        written, self._search = advance(self._decoder, self._search, limit, last)
        for one in written:
            self.off_the_end = one.position is None
            if one.position is not None:
                self.has_attended, self._behind = True, one.position + 1
        return written

    @property
    def _waits_too_long(self) -> bool:
        return (self.positions - self._behind) * self.layout.hop_seconds >= PATIENCE_SECONDS

    def _keep(self, frames: Float[Tensor, "frames size"]) -> None:
        """Keep the frames that the next utterance will begin with; some may still be missing."""
        if self.ended and self.off_the_end:  # in a long pause, only the latest frames may be a word
            self._behind = (self.positions + self._behind) // 2
        self._passed += (self._behind - self.next_position) * self._encoder.subsampling
        waiting = torch.cat([self.rest, frames])
        gone = min(self._passed, len(waiting))
        self.rest, self._passed = waiting[gone:], self._passed - gone
        self.next_position = self._behind

    def _moved(self, frames: Tensor) -> Tensor:
        return frames.to(self._device, self._precision)
