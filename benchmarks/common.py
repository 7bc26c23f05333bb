"""What the benchmarks share: options, interleaved rounds, the result page and the history."""

import argparse
import datetime
import hashlib
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = ROOT / "docs" / "results"
HISTORY = "history.jsonl"  # every figure of every run, one a line
WORKERS = HERE / "workers"
PEER_SCRIPTS = HERE / "peers"
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")

Command = Sequence[str | Path]
Measures = dict[str, float]

# ---------------------------------------------------------------------------------------- options


@dataclass(frozen=True)
class Options:
    """What every benchmark takes on its command line."""

    data: Path | None
    peers: Path
    work: Path
    results: Path
    rounds: int
    threads: int
    quick: bool
    again: bool

    def peer(self, name: str) -> Path:
        """Return the Python of a peer's virtual environment."""
        python = self.peers / name / "bin" / "python"
        if not python.exists():
            sys.exit(
                f"{python} is missing; run: {sys.executable} {PEER_SCRIPTS / 'setup.py'} "
                f"--peers {self.peers}"
            )
        return python

    def text(self) -> Path:
        """Return the folder of the prepared data, which is made on first use."""
        if self.data is None or not any(self.data.glob("train*.en*")):
            sys.exit(missing_data(self.data))
        folder = self.work / "data"
        done = folder / "prepared.txt"
        if not done.exists() or done.read_text().strip() != str(self.data.resolve()):
            script = PEER_SCRIPTS / "prepare.py"
            run([self.peer("transformers"), script, self.data, folder], self.threads)
        return folder


def missing_data(data: Path | None) -> str:
    return f"--data {data}: expected a folder laid out like Multi30k's raw text (train.en.gz, ...)"


def read_options(question: str, rounds: int) -> Options:
    parser = argparse.ArgumentParser(description=question)
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
    found = parser.parse_args()
    work = found.work.resolve() / ("quick" if found.quick else "full")
    results = work / "results" if found.quick else found.results.resolve()
    return Options(
        data=found.data and found.data.resolve(),
        peers=found.peers.resolve(),
        work=work,
        results=results,
        rounds=1 if found.quick else found.rounds,
        threads=found.threads,
        quick=found.quick,
        again=found.again,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    env = os.environ
    data = Path(env["BENCH_DATA"]) if env.get("BENCH_DATA") else None
    peers = Path(env.get("KOCHI_PEERS") or ROOT / "build" / "peers")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--data", type=Path, default=data, help="text like Multi30k (BENCH_DATA)")
    parser.add_argument("--peers", type=Path, default=peers, help="their folder (KOCHI_PEERS)")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "bench", help="scratch folder"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where result pages go")
    parser.add_argument("--threads", type=int, default=cores, help=f"per contestant ({cores})")
    parser.add_argument("--quick", action="store_true", help="tiny and noisy: does it work at all?")
    parser.add_argument("--again", action="store_true", help="measure anew what is finished")


# ----------------------------------------------------------------------------------------- rounds


def run(command: Command, threads: int) -> str:
    """Run a command and return what it printed; if it fails, everything stops."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
    }
    words = [str(word) for word in command]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(words)}\n{done.stdout}{done.stderr}\nexit code {done.returncode}")
    return done.stdout


def measure(
    name: str, contestants: Mapping[str, Command], options: Options
) -> dict[str, list[Measures]]:
    """Run all contestants in turn, round after round, each in a process of its own.

    A contestant prints one JSON object on its last line: the measures of each of its variants (one
    with an empty name, where there are none). They are kept on disk at once, so that an interrupted
    benchmark goes on where it stopped; a change of our source or of a command starts anew.

    Returns:
        The measures of every contestant's every variant, round by round.
    """
    store = options.work / "rounds" / f"{name}-{_fingerprint(contestants, options)}.jsonl"
    store.parent.mkdir(parents=True, exist_ok=True)
    if options.again:
        store.unlink(missing_ok=True)
    kept = [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []
    finished = {(row["round"], row["contestant"]): row["variants"] for row in kept}
    for turn in range(options.rounds):
        for contestant, command in contestants.items():
            if (turn, contestant) in finished:
                continue
            print(f"{name}: round {turn + 1} of {options.rounds}: {contestant}", flush=True)
            variants = json.loads(run(command, options.threads).splitlines()[-1])
            finished[turn, contestant] = variants
            row = {"round": turn, "contestant": contestant, "variants": variants}
            with store.open("a") as file:
                file.write(json.dumps(row) + "\n")
    return {
        f"{contestant} {variant}".strip(): [
            finished[turn, contestant][variant] for turn in range(options.rounds)
        ]
        for contestant in contestants
        for variant in finished[0, contestant]
    }


def _fingerprint(contestants: Mapping[str, Command], options: Options) -> str:
    words = [[str(word) for word in command] for command in contestants.values()]
    digest = hashlib.sha256(json.dumps([words, options.threads]).encode())
    for path in sorted([*(ROOT / "src").rglob("*.py"), *HERE.rglob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# ---------------------------------------------------------------------------------------- results


@dataclass
class Page:
    """The latest result of one question: on what machine, what came out, what was demanded."""

    name: str
    title: str
    options: Options
    parts: list[str] = field(default_factory=list)
    records: list[dict[str, object]] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.parts.append(text)

    def add_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        lines = [head, ["---"] * len(head), *rows]
        self.add("\n".join(f"| {' | '.join(line)} |" for line in lines))

    def add_measures(self, found: dict[str, list[Measures]], measure: str, unit: str) -> None:
        """Add a table of median, smallest and largest value of one measure over the rounds."""
        rows = []
        for contestant, rounds in found.items():
            values = [measures[measure] for measures in rounds if measure in measures]
            if values:
                numbers = [statistics.median(values), min(values), max(values)]
                self._record(contestant, unit, numbers)
                rows.append(
                    [contestant, *(f"{v:,.4g}" if v < 100 else f"{v:,.0f}" for v in numbers)]
                )
        self.add_table([f"{unit}", "median", "min", "max"], rows)

    def add_ratios(self, ratios: Sequence["Ratio"]) -> None:
        head = ["ratio", "of medians", "over rounds", "demanded", "verdict"]
        self.add_table(head, [ratio.row() for ratio in ratios])
        for ratio in ratios:
            self._record(ratio.label, "ratio", [ratio.value, min(ratio.pairs), max(ratio.pairs)])

    def _record(self, label: str, unit: str, numbers: Sequence[float]) -> None:
        figures = dict(zip(("median", "min", "max"), numbers, strict=True))
        self.records.append({"label": label, "unit": unit, **figures})

    def write(self) -> Path:
        """Write the page RESULTS/name.md, print it, and append its figures to the history."""
        head = [f"# {self.title}", machine(self.options), f"Command: `{shown_command()}`"]
        if self.options.quick:
            head.append("**A quick run: it shows that the script works; the numbers say nothing.**")
        text = "\n\n".join([*head, *self.parts]) + "\n"
        self.options.results.mkdir(parents=True, exist_ok=True)
        path = self.options.results / f"{self.name}.md"
        path.write_text(text, encoding="utf-8")
        shared = {
            "question": self.name,
            "date": datetime.datetime.now().isoformat(" ", "minutes"),
            "commit": commit(),
            "machine": processor(),
            "torch": metadata.version("torch"),
            "threads": self.options.threads,
            "rounds": self.options.rounds,
        }
        with (self.options.results / HISTORY).open("a", encoding="utf-8") as file:
            for record in self.records:
                file.write(json.dumps(shared | record) + "\n")
        print(f"\n{text}\nwritten: {path}", flush=True)
        return path


@dataclass(frozen=True)
class Ratio:
    """One contestant against another in one measure, and what was demanded of the ratio.

    ``at_least`` or ``at_most`` is None where the ratio is only reported.
    """

    label: str
    upper: list[float]
    lower: list[float]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        return statistics.median(self.upper) / statistics.median(self.lower)

    @property
    def pairs(self) -> list[float]:
        """The ratio of each round."""
        return [a / b for a, b in zip(self.upper, self.lower, strict=True)]

    def row(self) -> list[str]:
        demand, verdict = "", ""
        if self.at_least is not None:
            demand = f"at least {self.at_least:g}"
            verdict = "met" if self.value >= self.at_least else "**not met**"
        if self.at_most is not None:
            demand = f"at most {self.at_most:g}"
            verdict = "met" if self.value <= self.at_most else "**not met**"
        spread = f"{min(self.pairs):.2f} to {max(self.pairs):.2f}"
        return [self.label, f"{self.value:.2f}", spread, demand, verdict]


def values(found: dict[str, list[Measures]], contestant: str, measure: str) -> list[float]:
    return [measures[measure] for measures in found[contestant]]


def processor() -> str:
    """Return the processor's name, its cores and the instructions that matter."""
    with open("/proc/cpuinfo") as file:
        info = dict(line.split(":", 1) for line in file if ":" in line)
    info = {key.strip(): value.strip() for key, value in info.items()}
    features = [name for name in CPU_FEATURES if name in info.get("flags", "").split()]
    name = info.get("model name", platform.processor())
    return f"{name}, {len(os.sched_getaffinity(0))} cores ({', '.join(features)})"


def machine(options: Options) -> str:
    """Describe what the figures were measured on: date, processor, memory, load, versions."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    lines = [
        f"- Date: {datetime.datetime.now():%Y-%m-%d %H:%M}",
        f"- Machine: {processor()}, {gigabytes:.0f} GiB, "
        f"{platform.system()} {platform.release()}; load when this was written: {load}",
        f"- Threads per contestant: {options.threads}; rounds: {options.rounds}, interleaved",
        f"- kochi: {commit()}; Python {platform.python_version()}, "
        f"{versions('torch', 'lightning-fabric')}",
    ]
    return "\n".join(lines)


def versions(*names: str) -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def peer_versions(options: Options, peer: str, *names: str) -> str:
    """Return "name version, ..." as installed in a peer's environment."""
    code = "import sys; from importlib.metadata import version as v; "
    code += "print(', '.join(f'{n} {v(n)}' for n in sys.argv[1:]))"
    return run([options.peer(peer), "-c", code, *names], options.threads).strip()


def commit() -> str:
    git = ["git", "-C", str(ROOT)]
    found = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--short", "src"], capture_output=True, text=True)
    if found.returncode:
        return f"version {metadata.version('kochi')}"
    return f"commit {found.stdout.strip()}" + (", with changes" if changed.stdout else "")


def shown_command() -> str:
    """Return the command line as a reader can repeat it, without this machine's folders."""
    words = ["python", f"benchmarks/{Path(sys.argv[0]).name}"]
    private = {"--data": "DATA", "--peers": "PEERS", "--work": "WORK", "--results": "RESULTS"}
    hidden = None
    for word in sys.argv[1:]:
        name, equals, _ = word.partition("=")
        words.append(hidden or (f"{name}={private[name]}" if equals and name in private else word))
        hidden = private.get(word)
    return shlex.join(words)
