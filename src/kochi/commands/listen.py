"""``kochi predict --stream``: recognise audio while it arrives."""

import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from kochi.commands.model import open_model
from kochi.errors import UserError
from kochi.printing import put, put_json, say

if TYPE_CHECKING:
    from kochi.modalities.audio.streaming import RecognizedToken

BLOCK_SECONDS = 0.05


@dataclass(frozen=True)
class Stream:
    """Options of ``kochi predict --stream``.

    Attributes:
        model: The model folder.
        files: One recording, or none or "-" for standard input.
        pcm_hz: Sample rate of standard input if it has no header; None for wav or ogg.
        fast: Do not play a recording in real time.
        as_json: Print one JSON object per token.
        device: Torch's name of the device.
        precision: Precision of the weights.
        trust: Packages whose code the model may run.
    """

    model: Path
    files: tuple[Path, ...]
    pcm_hz: int | None
    fast: bool
    as_json: bool
    device: str
    precision: Literal["fp32", "bf16"]
    trust: tuple[str, ...] = ()

    @property
    def file(self) -> Path | None:
        """The recording; None for standard input."""
        return None if not self.files or str(self.files[0]) == "-" else self.files[0]


@dataclass
class Clock:
    """Latency of tokens, and time of computation.

    Attributes:
        latencies: Seconds from the middle of the attended position, in the audio, until the token
            was written; this includes waiting for audio and computing. If a recording is played in
            real time, these are seconds of wall-clock time.
        computing: Seconds.
    """

    latencies: list[float] = field(default_factory=list)
    computing: float = 0.0

    def report(self, seconds: float) -> str:
        """Format the figures as one line."""
        share = f"computing took {100 * self.computing / max(seconds, 1e-9):.1f} % of the time"
        if not self.latencies:
            return f"{seconds:.1f} s of sound, no tokens; {share}"
        mean, largest = sum(self.latencies) / len(self.latencies), max(self.latencies)
        return (
            f"{seconds:.1f} s of sound, {len(self.latencies)} tokens; latency: mean "
            f"{1000 * mean:.0f} ms, largest {1000 * largest:.0f} ms; {share}"
        )


def listen(options: Stream) -> None:
    """Print tokens to standard output as they are recognised, and the latency to stderr at the end.

    Raises:
        UserError: The model does not support streaming, or the audio is faulty.
    """
    _check(options)
    from kochi.modalities.audio.streaming import Listener

    predictor = open_model(options.model, options.device, options.precision, trust=options.trust)
    listener, clock = Listener(predictor), Clock()
    show = _show_json if options.as_json else _Text()
    heard_seconds, began = 0.0, time.monotonic()
    for block, last in _blocks(options, listener.sample_rate_hz):
        heard_seconds += len(block) / listener.sample_rate_hz
        due = began + heard_seconds
        if options.file is not None and not options.fast:
            time.sleep(max(0.0, due - time.monotonic()))
        else:
            due = time.monotonic()
        started = time.monotonic()
        found = listener.push(block, last)
        now = time.monotonic()
        clock.computing += now - started
        for one in found:
            latency = None
            if one.look_seconds is not None:
                latency = heard_seconds - one.look_seconds + now - due
                clock.latencies.append(latency)
            show(one, latency)
        sys.stdout.flush()
    say(f"kochi: {clock.report(heard_seconds)}", error=True)


def _check(options: Stream) -> None:
    if len(options.files) > 1:
        raise UserError(f"--stream: expected one FILE or -, found {len(options.files)}")
    if options.file is not None and options.pcm_hz is not None:
        raise UserError("--pcm: bare samples come from standard input; leave FILE out")
    if options.file is None and options.fast:
        raise UserError("--fast: standard input comes as it comes; give a FILE, or leave it out")


def _blocks(options: Stream, sample_rate_hz: int) -> Iterator[tuple[Any, bool]]:
    """Stream blocks of samples, and an empty last one."""
    import numpy as np

    from kochi.modalities.audio.blocks import read_blocks, read_pcm

    pipe = cast(io.BufferedReader, sys.stdin.buffer)
    if options.pcm_hz is not None:
        blocks = read_pcm(pipe, options.pcm_hz, sample_rate_hz, BLOCK_SECONDS)
    else:
        blocks = read_blocks(options.file or pipe, sample_rate_hz, BLOCK_SECONDS)
    for block in blocks:
        yield block, False
    yield np.zeros(0, np.int16), True


class _Text:
    """Prints text as it is recognised, one line per utterance."""

    def __init__(self) -> None:
        self._began = False

    def __call__(self, one: "RecognizedToken", latency: float | None) -> None:
        text = one.text if self._began else one.text.lstrip(" ")
        self._began = not one.ends
        put(text, end="\n" if one.ends else "")


def _show_json(one: "RecognizedToken", latency: float | None) -> None:
    record = {
        "text": one.text,
        "utterance": one.utterance,
        "ends": one.ends,
        "look_seconds": _milliseconds(one.look_seconds),
        "heard_seconds": _milliseconds(one.heard_seconds),
        "latency_seconds": _milliseconds(latency),
    }
    put_json(record)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
