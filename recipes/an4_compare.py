"""Which attentions hold on speech that is longer than anything in training?

    python recipes/an4_compare.py DATA RUNS [--base MODEL] [--only NAME...] [--seeds N]

DATA is what recipes/an4_data.py wrote. Trains recipes/an4.toml with one line changed at a time,
each with its seeds, and tries all of them on the test utterances and on 2, 5 and 10 of them joined,
as Chorowski et al. 2015 do with theirs, https://arxiv.org/abs/1506.07503. With ``--base`` each
begins with the weights of that model (which ``kochi train recipes/an4.toml`` made) and is trained
on for 10 epochs: less time, but their encoders then have a common past. What is in RUNS
already is not done again, so that it may be stopped and started.
"""

import argparse
import contextlib
import io
import json
from pathlib import Path

from kochi.cli import main as run_kochi

RECIPE = Path(__file__).resolve().parent / "an4.toml"
TESTS = ("test", "test-x2", "test-x5", "test-x10")
PLACES_A_TOKEN = 3.4  # of 40 ms, in the training data: how fast the window of local-m walks
VARIANTS = {
    "content-only": ("model.attention.score=additive",),
    "location-aware": ("model.attention.score=location_aware",),
    "smoothed": ("model.attention.selection=smoothed",),
    "local-m": (
        "model.attention.score=additive",
        f'model.attention.scope={{ kind = "local_m", width = 25, ratio = {PLACES_A_TOKEN} }}',
    ),
    "monotonic": (
        "model.attention.score=additive",
        'model.attention.selection={ kind = "monotonic", offset = -3.0 }',
    ),
}
BEGUN = (  # what differs where a variant begins with the weights of another model
    "training.epochs=10",
    "training.learning_rate=1e-3",
    'training.schedule={ kind = "cosine", warmup_steps = 100 }',
)
METRICS = ("cer", "wer")
SEEDS = {"content-only": (1, 2, 3), "location-aware": (1, 2, 3)}


def main() -> None:
    """Train and try what is missing; write the table of what is there."""
    parser = argparse.ArgumentParser(description="Compare attentions on long speech.")
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--base", type=Path, help="begin with the weights of this model")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3, help="at most so many of each")
    parser.add_argument("--set", action="append", default=[], help="as for 'kochi train', for all")
    given = parser.parse_args()
    common = [*given.set]
    if given.base is not None:
        common = [f"training.start_from={given.base.resolve()}", *BEGUN, *common]
    for name in given.only:
        for seed in SEEDS.get(name, (1,))[: given.seeds]:
            folder = given.runs.resolve() / f"{name}-{seed}"
            if not (folder / "model.safetensors").exists():
                train(folder, given.data, (*VARIANTS[name], *common), seed)
            for test in TESTS:
                evaluate(folder, given.data, test)
    print(table(given.runs))


def train(folder: Path, data: Path, changes: tuple[str, ...], seed: int) -> None:
    """Train one variant, or go on with it."""
    settings = (f"data.folder={data.resolve()}", f"output={folder}", f"seed={seed}", *changes)
    words = ["train", str(RECIPE), *(part for one in settings for part in ("--set", one))]
    if run_kochi([*words, "--resume"] if (folder / "training").exists() else words):
        raise SystemExit(f"{folder.name} could not be trained")


def evaluate(folder: Path, data: Path, test: str) -> None:
    """Keep what ``kochi evaluate --json`` says of one test part."""
    kept = folder / f"{test}.json"
    if kept.exists():
        return
    files = [str(data.resolve() / f"{test}{ending}") for ending in (".tsv", ".npz")]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        metrics = [part for metric in METRICS for part in ("--metric", metric)]
        code = run_kochi(["evaluate", str(folder), *files, *metrics, "--json"])
    if code:
        raise SystemExit(f"{folder.name} could not be tried on {test}")
    kept.write_text(out.getvalue(), encoding="utf-8")


def table(runs: Path) -> str:
    """Return tables in Markdown: the error rate of each run on each part, with its interval."""
    lines = []
    for metric in METRICS:
        lines += [f"| {metric.upper()} | " + " | ".join(TESTS) + " |"]
        lines += ["|---" * (1 + len(TESTS)) + "|"]
        for folder in sorted(path.parent for path in runs.glob(f"*/{TESTS[-1]}.json")):
            cells = []
            for test in TESTS:
                score = json.loads((folder / f"{test}.json").read_text(encoding="utf-8"))
                rate = score["scores"][metric]
                cells.append(f"{rate['value']:.1f} [{rate['low']:.1f}, {rate['high']:.1f}]")
            lines.append(f"| {folder.name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
