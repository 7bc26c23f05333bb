"""Recognise sound while it still comes: `Listener`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor

from kochi.decoders.streaming import StreamingDecoder
from kochi.decoding.streaming import Walk, Written, walk_on
from kochi.encoders.encoder import FrameEncoder
from kochi.errors import UserError
from kochi.inference.predictor import Predictor
from kochi.memory import Frames
from kochi.modalities.audio.frame_stream import FrameStream
from kochi.modalities.audio.reader import SoundReader
from kochi.special_tokens import EOS

PATIENCE_SECONDS = 3.0  # longer than any pause within an utterance


@dataclass(frozen=True)
class Heard:
    """A token that was written while the sound came.

    Attributes:
        text: What it adds to the text, with its space; "" for the end of an utterance.
        utterance: Which one it is of, from 0.
        ends: It ends the utterance.
        look_seconds: Where in the sound the model looked when it wrote it; None behind its end.
        heard_seconds: How much sound had come.
        log_probability: Nats.
    """

    text: str
    utterance: int
    ends: bool
    look_seconds: float | None
    heard_seconds: float
    log_probability: float


class Listener:
    """Write words while their sound still comes.

    The tokens of an utterance are those of ``predictor.predict(..., beam=1)`` on all of it (as
    far as rounding goes: matrix products of fewer rows round otherwise). Where the model writes its
    end mark before the sound has ended, a new utterance begins behind the place that it looked at.
    Where it waits `PATIENCE_SECONDS` for a place to look at, it is made to end, and a new one
    begins with the latter half of the pause. One that looked at nothing is no utterance.

    Args:
        predictor: A model of sound whose encoder reads in one direction ("pyramid" or "conv_rnn"
            with ``bidirectional = false``), whose attention is monotonic or chunkwise and whose
            first state is learned.

    Raises:
        UserError: The model needs what is known at the end only.
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
        """Rate of the samples that are taken in."""
        return self._reader.mel.sample_rate_hz

    def listen(self, blocks: Iterable[Int16[np.ndarray, " samples"]]) -> Iterator[Heard]:
        """Write what is heard, as it comes.

        Args:
            blocks: Mono samples at the model's rate, as `read_blocks` gives them.
        """
        for block in blocks:
            yield from self.push(block)
        yield from self.push(np.zeros(0, np.int16), last=True)

    @torch.inference_mode()
    def push(self, block: Int16[np.ndarray, " samples"], last: bool = False) -> list[Heard]:
        """Take samples in; return the tokens that can now be written.

        Raises:
            UserError: The sound has ended without a single frame.
        """
        self._samples += len(block)
        frames, found = self._frames.push(block, last), list[Heard]()
        while True:
            writing = self._writing
            written = writing.write(frames, last)
            if last and not writing.places and not self._number:
                raise UserError("the sound is shorter than a frame; expected more of it")
            if writing.has_looked or (last and not self._number):  # else it is silence
                found += [self._heard(one) for one in written]
            if not writing.ended or (last and (writing.off_the_end or not len(writing.rest))):
                return found
            frames = writing.rest
            self._number += writing.has_looked
            self._writing = writing.next()

    def _heard(self, one: Written) -> Heard:
        look = None
        if one.place is not None:
            layout = self._writing.layout
            look = layout.centre_seconds(self._writing.begin + one.place)
        return Heard(
            text="".join(self._predictor.target.pieces([one.token])),
            utterance=self._number,
            ends=one.token == EOS,
            look_seconds=look,
            heard_seconds=self._reader.seconds(self._samples),
            log_probability=one.log_probability,
        )


class Utterance:
    """One utterance: the encoder that is fed, and the walk along what it leaves.

    Args:
        predictor: The model.
        begin: Place of the whole sound's memory where it begins.
        skipped: How many of the next frames are of the place before.

    Attributes:
        places: How many places have come.
        has_looked: A token was written with a place to look at.
        off_the_end: It ended where nothing was left to look at.
        next_place: The place behind the one looked at last.
        rest: Frames from there on, as far as they have come.

    Raises:
        ValueError: The model needs what is known at the end only.
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
        self._walker = StreamingDecoder(predictor.model.decoder)
        self._options = predictor.run.search
        nothing = torch.zeros(1, 0, reader.inputs.size)
        values, self._fed = encoder.feed(self._moved(nothing), None, False)
        self._walk = Walk(self._walker.start(values))
        self.places = self.next_place = self._behind = 0
        self.has_looked = self.off_the_end = False
        self.rest = nothing[0]
        self._passed = 0  # frames that come next, but are of the places before

    @property
    def ended(self) -> bool:
        """Say whether the end mark was written."""
        return self._walk.ended

    def next(self) -> "Utterance":
        """Return the utterance that begins behind this one."""
        return Utterance(self._predictor, self.begin + self.next_place, self._passed)

    def write(self, frames: Float[Tensor, "frames size"], last: bool) -> list[Written]:
        """Take frames in; return the tokens that can now be written.

        Place by place, so that blocks of any length give the same.
        """
        skipped = min(self._skipped, len(frames))
        self._skipped, frames = self._skipped - skipped, frames[skipped:]
        values, self._fed = self._encoder.feed(self._moved(frames[None]), self._fed, last)
        written: list[Written] = []
        for place in range(values.shape[1]):
            grown = self._walker.grow(self._walk.state, values[:, place : place + 1])
            self._walk, self.places = replace(self._walk, state=grown), self.places + 1
            written += self._walk_on(last=False)
            if not self.ended and self._waits_too_long:
                written += self._walk_on(last=True)
            if self.ended:
                break
        if last and not self.ended:
            written += self._walk_on(last=True)
        self._keep(frames)
        return written

    def _walk_on(self, last: bool) -> list[Written]:
        options = self._options
        limit = int(self.places * options.max_length_ratio) + options.max_length_extra
        written, self._walk = walk_on(self._walker, self._walk, limit, last)
        for one in written:
            self.off_the_end = one.place is None
            if one.place is not None:
                self.has_looked, self._behind = True, one.place + 1
        return written

    @property
    def _waits_too_long(self) -> bool:
        return (self.places - self._behind) * self.layout.hop_seconds >= PATIENCE_SECONDS

    def _keep(self, frames: Float[Tensor, "frames size"]) -> None:
        """Keep the frames that a next utterance would begin with; some may be still to come."""
        if self.ended and self.off_the_end:  # of a long pause only the latest may be a word
            self._behind = (self.places + self._behind) // 2
        self._passed += (self._behind - self.next_place) * self._encoder.subsampling
        waiting = torch.cat([self.rest, frames])
        gone = min(self._passed, len(waiting))
        self.rest, self._passed = waiting[gone:], self._passed - gone
        self.next_place = self._behind

    def _moved(self, frames: Tensor) -> Tensor:
        return frames.to(self._device, self._precision)
