"""Speak sentences with eSpeak NG, each in a process of its own, and note when each word is said.

    python demos/speak.py < jobs.jsonl > spoken.jsonl

A job is an object with ``text``, ``voice`` ("en-us+f2"), ``rate`` (words a minute), ``pitch`` (0 to
99) and ``wav`` (where to). The answer adds ``spans``: words with their start and end in seconds;
little words that eSpeak speaks as one with the next ("on the") are one span.

eSpeak keeps its noise generator and filters from one sentence to the next; in a fresh process the
same job gives the same samples. Needs the package ``espeakng-loader`` (whose library is GPL-3.0).
"""

import ctypes
import json
import multiprocessing
import sys
import wave
from typing import Any

import espeakng_loader

SYNCHRONOUS, POSITION_CHARACTERS, UTF8 = 2, 1, 1
RATE, PITCH = 1, 3  # espeak_PARAMETER
WORD, END = 1, 5  # espeak_EVENT_TYPE; END is the end of what was said


class Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)


def speak(job: dict[str, Any]) -> dict[str, Any]:
    """Speak one sentence into a file.

    Raises:
        ValueError: There is no such voice.
    """
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    sample_rate_hz = library.espeak_Initialize(
        SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0
    )
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # it is seeded with the time of day
    sound = bytearray()
    begins: list[tuple[int, float]] = []
    ends = [0.0]

    def receive(samples: Any, count: int, events: Any) -> int:
        sound.extend(ctypes.string_at(samples, 2 * count) if count else b"")
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == WORD:
                begins.append((event.text_position, event.audio_position / 1000))
            elif event.type == END:
                ends[0] = max(ends[0], event.audio_position / 1000)
            index += 1
        return 0

    callback = Callback(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(job["voice"].encode()):
        raise ValueError(f"no voice {job['voice']}")
    library.espeak_SetParameter(RATE, job["rate"], 0)
    library.espeak_SetParameter(PITCH, job["pitch"], 0)
    text = job["text"].encode()
    library.espeak_Synth(text, len(text) + 1, 0, POSITION_CHARACTERS, 0, UTF8, None, None)
    library.espeak_Synchronize()
    with wave.open(job["wav"], "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(bytes(sound))
    return {**job, "spans": _spans(job["text"], begins, ends[0])}


def _spans(
    text: str, begins: list[tuple[int, float]], end: float
) -> list[tuple[str, float, float]]:
    """Cut the text where eSpeak named a word, from 1; each part ends where the next one starts.

    >>> _spans("on the bus", [(1, 0.0), (8, 0.25)], 0.75)
    [('on the', 0.0, 0.25), ('bus', 0.25, 0.75)]
    """
    stops = [*begins[1:], (len(text) + 1, end)]
    return [
        (text[place - 1 : stop - 1].strip(), start, until)
        for (place, start), (stop, until) in zip(begins, stops, strict=True)
    ]


def main() -> None:
    """Speak what standard input asks for, two sentences at a time."""
    jobs = [json.loads(line) for line in sys.stdin]
    with multiprocessing.Pool(2, maxtasksperchild=1) as pool:
        for spoken in pool.imap(speak, jobs):
            print(json.dumps(spoken))


if __name__ == "__main__":
    main()
