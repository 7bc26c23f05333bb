"""Watch the memory of ``kochi train`` on made-up pairs.

    kochi_memory.py FOLDER PAIRS STEPS

Prints the phases of the run with their seconds and largest sizes, and the largest resident size of
the whole run.
"""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import chain, islice, product
from pathlib import Path

import numpy as np

WORDS, PHRASES = 500_000, 1_000_000
CHUNK = 50_000
SAMPLE_SECONDS = 0.02
RUN_FILE = """
seed = 1
output = "model"
[data]
kind = "parallel"
max_length = 64
train = {{ source = "train.source", target = "train.target" }}
dev = {{ source = "dev.source", target = "dev.target" }}
[data.source]
tokens = "bpe"
vocabulary_size = 4000
[data.target]
tokens = "bpe"
vocabulary_size = 4000
[model]
kind = "transformer"
size = 64
feedforward_size = 128
encoder_layers = 1
decoder_layers = 1
[training]
max_steps = {steps}
batch_tokens = 2048
metric = "loss"
"""

# -------------------------------------------------------------------------------------- the pairs


def write_pairs(folder: Path, pairs: int) -> None:
    """Write made-up sentences, and the same with the letters of each word turned round.

    The n-th word comes in proportion to 1 / n, as in real text, so that rare words are many.
    """
    draw = np.random.default_rng(0)
    words = make_words()
    lengths = draw.integers(2, 6, PHRASES)
    ranks = np.exp(draw.random(lengths.sum()) * np.log(WORDS)).astype(int) - 1
    phrases: list[list[str]] = []
    for vocabulary in (words, [word[::-1] for word in words]):
        stream = iter(ranks.tolist())
        phrases.append([" ".join(vocabulary[i] for i in islice(stream, n)) for n in lengths])
    for name, count in (("dev", 100), ("train", pairs)):
        with (
            (folder / f"{name}.source").open("w") as sources,
            (folder / f"{name}.target").open("w") as targets,
        ):
            for start in range(0, count, CHUNK):
                rows = draw.integers(0, PHRASES, (min(CHUNK, count - start), 3)).tolist()
                for text, file in zip(phrases, (sources, targets), strict=True):
                    file.writelines(f"{text[a]} {text[b]} {text[c]}\n" for a, b, c in rows)


def make_words() -> list[str]:
    """Return words of syllables, short ones first."""
    syllables = ["".join(pair) for pair in product("tsnrkmdlpgbvfz", "aeiou")]
    every = chain.from_iterable(product(syllables, repeat=count) for count in range(1, 5))
    return ["".join(word) for word in islice(every, WORDS)]


# ------------------------------------------------------------------------------------- the watcher


@dataclass
class Phase:
    """A part of the run: its time, and the largest sizes seen in it, in GB (10^9 bytes)."""

    name: str
    seconds: float = 0.0
    resident: float = 0.0
    anonymous: float = 0.0


@dataclass
class Watch:
    """Sizes of a process and its children, phase by phase."""

    pid: int
    phases: list[Phase] = field(default_factory=list)
    peak: float = 0.0

    def sample(self, phase: str) -> None:
        if not self.phases or self.phases[-1].name != phase:
            self.phases.append(Phase(phase))
        sizes = [process_sizes(pid) for pid in family(self.pid)]
        current = self.phases[-1]
        current.resident = max(current.resident, sum(size[0] for size in sizes))
        current.anonymous = max(current.anonymous, sum(size[1] for size in sizes))
        self.peak = max(self.peak, current.resident, sizes[0][2])


def family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in family(int(child)))]


def process_sizes(pid: int) -> tuple[float, float, float]:
    """Return resident, anonymous and largest resident GB so far; 0 if the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0, 0.0
    found = dict(line.split(":", 1) for line in lines)
    keys = ("VmRSS", "RssAnon", "VmHWM")
    resident, anonymous, peak = (int(found.get(key, "0").split()[0]) * 1024e-9 for key in keys)
    return resident, anonymous, peak


def which_phase(output: Path) -> str:
    """Tell from the files that are there how far the run has come."""
    logs = list(output.rglob("train.csv"))
    if logs and len(logs[0].read_text().splitlines()) > 1:
        return "training"
    if list(output.rglob("corpus.json")):
        return "starting to train"
    if list(output.rglob("target.json")):
        return "cutting into tokens"
    return "training the tokenizers"


def train(folder: Path) -> Watch:
    """Run ``kochi train`` and watch it."""
    command = [sys.executable, "-m", "kochi", "train", str(folder / "run.toml")]
    with (folder / "train.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        watch = Watch(process.pid)
        last = time.perf_counter()
        while process.poll() is None:
            watch.sample(which_phase(folder / "model"))
            time.sleep(SAMPLE_SECONDS)
            now = time.perf_counter()
            watch.phases[-1].seconds += now - last
            last = now
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{(folder / 'train.log').read_text()}")
    return watch


def main() -> None:
    folder, pairs, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "run.toml").write_text(RUN_FILE.format(steps=steps))
    started = time.perf_counter()
    write_pairs(folder, pairs)
    making = Phase("making up the pairs (not kochi)", time.perf_counter() - started)
    watch = train(folder)
    shutil.rmtree(folder)
    result = {"phases": [asdict(phase) for phase in (making, *watch.phases)], "peak": watch.peak}
    print(json.dumps({"": result}))


if __name__ == "__main__":
    main()
