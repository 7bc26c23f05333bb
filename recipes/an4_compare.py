"""Which attentions hold on speech that is longer than anything in training?

    python recipes/an4_compare.py DATA RUNS [--only NAME...] [--set KEY=VALUE...]

DATA is what recipes/an4_data.py wrote. Trains recipes/an4.toml with one line changed at a time,
each with its seeds, and tries all of them on the test utterances and on 2, 5 and 10 of them joined,
as Chorowski et al. 2015 do with theirs, https://arxiv.org/abs/1506.07503. What is in RUNS already
is not done again, so that it may be stopped and started.
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
SEEDS = {"content-only": (1, 2, 3), "location-aware": (1, 2, 3)}


def main() -> None:
    """Train and try what is missing; write the table of what is there."""
    parser = argparse.ArgumentParser(description="Compare attentions on long speech.")
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--set", action="append", default=[], help="as for 'kochi train', for all")
    given = parser.parse_args()
    for name in given.only:
        for seed in SEEDS.get(name, (1,)):
            folder = given.runs.resolve() / f"{name}-{seed}"
            if not (folder / "model.safetensors").exists():
                train(folder, given.data, (*VARIANTS[name], *given.set), seed)
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
        code = run_kochi(["evaluate", str(folder), *files, "--metric", "cer", "--json"])
    if code:
        raise SystemExit(f"{folder.name} could not be tried on {test}")
    kept.write_text(out.getvalue(), encoding="utf-8")


def table(runs: Path) -> str:
    """Return a table in Markdown: the CER of each run on each part, with its interval."""
    lines = ["| CER | " + " | ".join(TESTS) + " |", "|---" * (1 + len(TESTS)) + "|"]
    for folder in sorted(path.parent for path in runs.glob(f"*/{TESTS[-1]}.json")):
        cells = []
        for test in TESTS:
            score = json.loads((folder / f"{test}.json").read_text(encoding="utf-8"))
            cer = score["scores"]["cer"]
            cells.append(f"{cer['value']:.1f} [{cer['low']:.1f}, {cer['high']:.1f}]")
        lines.append(f"| {folder.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
