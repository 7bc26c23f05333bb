"""Teach a small model to hear spoken commands, measure it on a voice it has never heard.

eSpeak NG (package ``espeakng-loader``) speaks commands for a house in several voices;
``recipes/listen.toml`` is trained with ``kochi train`` on them and tried on sentences it has never
heard, said by the same voices and by one more. When each word was said is checked against what the
synthesiser says. Everything is written to the folder ``demo-speech/``.
"""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from running import Demo, say, shown

import kochi
from kochi.cli import main as run_kochi
from kochi.metrics import evaluate
from kochi.modalities.detection.split import hash_source

HOME = Path(__file__).resolve().parent.parent
RECIPE = HOME / "recipes" / "listen.toml"
FOLDER = HOME / "demo-speech"
SEED = 1
VOICES = (
    "en-us", "en-us+f2", "en-us+m3", "en-us+f5", "en", "en+f1", "en+m2", "en+m7",
    "en-gb-scotland+m4", "en-gb-scotland+f3", "en-gb-x-rp+m1", "en-gb-x-rp+f4",
)  # fmt: skip
NEW_VOICE = "en-us-nyc+Annie"
NUMBER = {"train": 1600, "dev": 100, "test": 200}  # sentences, each unlike all others
SPLITS = (*NUMBER, "new-voice")  # the last: those of test by the new voice

SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ROOMS = ["kitchen", "bedroom", "bathroom", "garden", "garage", "hall", "office", "cellar"]
THINGS = ["light", "fan", "heater", "radio", "window", "door", "curtain", "alarm", "camera"]


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; with ``--no-training`` on the model that is there already."""
    purpose = "Teach a model to hear spoken commands."
    demo = Demo(purpose, RECIPE, FOLDER, "alignment.png", write_data, report, next_commands)
    return demo.main(arguments)


# ------------------------------------------------------------------------------------------- data


def write_data(folder: Path) -> None:
    """Have the sentences spoken; write a manifest for each split, and the times of the words."""
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    jobs = {split: jobs_of(split, folder / "wav") for split in SPLITS}
    spoken = speak([job for split in SPLITS for job in jobs[split]])
    for split in SPLITS:
        rows = [f"{Path(job['wav']).name}\t{job['text']}" for job in jobs[split]]
        lines = ["audio\ttext", *(f"wav/{row}" for row in rows)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    times = {Path(one["wav"]).name: one["spans"] for one in spoken}
    (folder / "times.json").write_text(json.dumps(times), encoding="utf-8")
    seconds = sum(spans[-1][2] for spans in times.values())
    counts = ", ".join(f"{split} {len(jobs[split]):,}" for split in SPLITS)
    say(f"eSpeak NG: {seconds / 60:.0f} minutes in {len(VOICES) + 1} voices ({counts})")


def sentences() -> Iterator[str]:
    """Draw commands that a house may hear, without an end; the same ones each time."""
    chance = random.Random(SEED)
    while True:
        room, thing, number = chance.choice(ROOMS), chance.choice(THINGS), chance.choice(numbers())
        yield chance.choice(
            (
                f"turn {chance.choice(('on', 'off'))} the {room} {thing}",
                f"{chance.choice(('open', 'close', 'lock'))} the {thing} in the {room}",
                f"set the {room} {thing} to {number} {chance.choice(('percent', 'degrees'))}",
                f"wake me in {number} {chance.choice(('seconds', 'minutes', 'hours'))}",
                f"call {number} {chance.choice(numbers())} {chance.choice(numbers())}",
                f"play song number {number} in the {room}",
            )
        )


def numbers() -> list[str]:
    """Return the numbers from zero to ninety nine."""
    return [*SMALL, *(f"{ten} {one}".strip() for ten in TENS for one in ("", *SMALL[1:10]))]


def jobs_of(split: str, folder: Path) -> list[dict[str, Any]]:
    """Say which sentences of a split are to be spoken, and how."""
    own = "test" if split == "new-voice" else split
    jobs = []
    for number, text in enumerate(split_sentences()[own]):
        chance = random.Random(hash_source(f"{split} {text}", SEED))
        voice = NEW_VOICE if split == "new-voice" else chance.choice(VOICES)
        rate, pitch = chance.randint(140, 190), chance.randint(35, 65)
        wav = str(folder / f"{split}-{number}.wav")
        jobs.append({"text": text, "voice": voice, "rate": rate, "pitch": pitch, "wav": wav})
    return jobs


def split_sentences() -> dict[str, list[str]]:
    """Return the sentences of train, dev and test, each unlike all others."""
    found: dict[str, None] = {}
    stream = sentences()
    while len(found) < sum(NUMBER.values()):
        found[next(stream)] = None
    ordered = iter(found)
    return {split: list(islice(ordered, count)) for split, count in NUMBER.items()}


def speak(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have every job spoken, in a program that starts a process for each."""
    say(f"eSpeak NG speaks {len(jobs):,} sentences ...")
    done = subprocess.run(
        [sys.executable, HOME / "demos" / "speak.py"],
        input="".join(f"{json.dumps(job)}\n" for job in jobs),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit("the demo needs espeakng-loader: pip install 'kochi[demo]'")
    return [json.loads(line) for line in done.stdout.splitlines()]


# ------------------------------------------------------------------------------------- measuring


def report(folder: Path) -> None:
    """Measure the model on sentences it has never heard, in voices it knows and in one more."""
    predictor = kochi.load(folder / "model")
    times = json.loads((folder / "times.json").read_text(encoding="utf-8"))
    say("Sentences it has never heard, 95 % intervals:")
    right: list[tuple[Path, kochi.AudioPrediction]] = []
    for split, whose in (("test", "voices it knows"), ("new-voice", "a voice it does not know")):
        rows = [line.split("\t") for line in (folder / f"{split}.tsv").read_text().splitlines()]
        files, texts = [folder / row[0] for row in rows[1:]], [row[1] for row in rows[1:]]
        answers = predictor.predict(files, need_alignment=True)
        heard = [answer.text for answer in answers]
        say(f"  {evaluate(['wer'], heard, [[text] for text in texts])['wer']}   {whose}")
        found = zip(files, answers, texts, strict=True)
        right += [
            (file, answer)
            for file, answer, text in found
            if isinstance(answer, kochi.AudioPrediction) and answer.text == text
        ]
    say_times(right, times)
    if right:
        draw_one(folder, right[-1][0])


def say_times(
    right: list[tuple[Path, kochi.AudioPrediction]],
    times: dict[str, list[tuple[str, float, float]]],
) -> None:
    """Hold the words' times of sentences heard right against the synthesiser's."""
    starts, ends, inside, even = [], [], [], []
    for file, answer in right:
        spans = times[file.name]
        for (start, end), (_, first, last), blind in zip(
            joined(answer, spans), spans, spread_evenly(spans), strict=True
        ):
            starts.append(abs(start - first))
            ends.append(abs(end - last))
            inside.append(first <= (start + end) / 2 <= last)
            even.append(abs(blind - first))
    if not starts:
        say("No sentence was heard right, so no times can be checked.")
        return
    count = len(starts)
    say(
        f"Times of {count:,} words in {len(right):,} sentences heard right, against the "
        f"synthesiser's: mean error {1000 * sum(starts) / count:.0f} ms of the start, "
        f"{1000 * sum(ends) / count:.0f} ms of the end; {100 * sum(inside) / count:.0f} % of the "
        f"middles lie inside the word. (Words spread evenly: {1000 * sum(even) / count:.0f} ms.)"
    )


def joined(
    answer: kochi.AudioPrediction, spans: list[tuple[str, float, float]]
) -> Iterator[tuple[float, float]]:
    """Join the answer's words to spans of as many words as the synthesiser's."""
    words = list(answer.words or ())
    for text, _, _ in spans:
        own, words = words[: len(text.split())], words[len(text.split()) :]
        yield own[0].start_seconds, own[-1].end_seconds


def spread_evenly(spans: list[tuple[str, float, float]]) -> list[float]:
    """Return where spans would start if all words were equally long: what a blind guess gives."""
    counts = [len(text.split()) for text, _, _ in spans]
    return [spans[-1][2] * sum(counts[:place]) / sum(counts) for place in range(len(counts))]


def draw_one(folder: Path, recording: Path) -> None:
    """Draw a sentence of the new voice with ``kochi show``."""
    picture = folder / "alignment.png"
    say(f"$ kochi show {shown(folder / 'model')} {shown(recording)} --out {shown(picture)}")
    run_kochi(["show", str(folder / "model"), str(recording), "--out", str(picture)])


# ---------------------------------------------------------------------------------------- telling


def next_commands(command: str, model: str) -> list[str]:
    """Return what to type next."""
    example = shown(FOLDER / "wav" / "new-voice-0.wav")
    return [
        f"{command} predict {model} {example} --json",
        f"{command} predict {model} {example} --format srt",
        f"{command} evaluate {model} test",
        f"{command} init FOLDER_WITH_YOUR_RECORDINGS",
    ]


if __name__ == "__main__":
    sys.exit(main())
