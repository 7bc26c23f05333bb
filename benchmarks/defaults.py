"""How good is what ``kochi init`` proposes, by the number of rows?

    python benchmarks/defaults.py train --data SIGMORPHON --names dut fre kor --rows 100 800
    python benchmarks/defaults.py train --inflection --rows 100 800
    python benchmarks/defaults.py train --translation MULTI30K --rows 1000 3000
    python benchmarks/defaults.py show --picture defaults.svg

`train` cuts training files to a number of rows, trains what `kochi init` would propose for them
(``--label before`` trains what it proposed until November 2026, ``--change`` changes some values)
and appends one JSON line a training to ``--out``; what is there already is not trained again.
`show` prints the tables of such a file and draws the curve.

SIGMORPHON holds ``NAME_train.tsv``, ``NAME_dev.tsv`` and ``NAME_test.tsv`` without header: source
and target, and, for inflection, tags (``N;PL;DAT``), which are read as ``tags_column``. MULTI30K
holds ``train.en.gz``, ``val.en.gz`` and the like, raw text. ``--inflection`` needs no data: it
makes up an agglutinative language with vowel harmony.

Rows are cut by the hash of the source, so that fewer rows are a subset of more. A tenth of as many
rows (20 to 500) out of the dev file choose the checkpoint, as a user's dev set would; the figure is
measured on 500 other rows of it. Of dev files of fewer than 1,000 rows all rows do both. With
``--test`` the dev file chooses and the test file is measured.
"""

import argparse
import csv
import gzip
import hashlib
import itertools
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kochi.config import Run, read_run
from kochi.data.tags import with_tags, without_tags
from kochi.modalities.text.heuristics import Side, count_side, guess_run
from kochi.modalities.text.template import _model_lines, _training_lines

MEASURED = 500  # rows of the dev file that only the figure is taken from

Pair = tuple[str, str]


class Task(NamedTuple):
    """Pairs of one language."""

    name: str
    train: list[Pair]
    dev: list[Pair]
    test: list[Pair]
    metric: str  # "wer": share of wrong words; "bleu"


# ------------------------------------------------------------------------------------------- data


def read_words(folder: Path, name: str) -> Task:
    """Read one language of SIGMORPHON's form."""
    rows = {
        split: [
            line.split("\t")
            for line in (folder / f"{name}_{split}.tsv").read_text("utf-8").splitlines()
        ]
        for split in ("train", "dev", "test")
    }
    return _task(name, rows)


def _task(name: str, rows: dict[str, list[list[str]]]) -> Task:
    """Write the tags of a third column, if there is one, as kochi does: after the source's text."""

    def pair(row: list[str]) -> Pair:
        return (with_tags(row[0], row[2]) if len(row) > 2 else row[0]), row[1]

    splits = {split: [pair(row) for row in found] for split, found in rows.items()}
    return Task(name, splits["train"], splits["dev"], splits["test"], "wer")


def read_translation(folder: Path) -> Task:
    """Read Multi30k, raw, English to German."""
    files = {"train": "train", "dev": "val", "test": "test_2016_flickr"}
    splits = {
        split: list(zip(*(_lines(folder, f"{name}.{end}") for end in ("en", "de")), strict=True))
        for split, name in files.items()
    }
    return Task("en-de", splits["train"], splits["dev"], splits["test"], "bleu")


def _lines(folder: Path, name: str) -> list[str]:
    if (folder / name).exists():
        return (folder / name).read_text("utf-8").splitlines()
    with gzip.open(folder / f"{name}.gz", "rt", encoding="utf-8") as file:
        return file.read().splitlines()


# A made-up language: suffixes in a fixed order, with vowels that follow the last one of the stem
# ("A": a or e; "I": ı, i, u or ü), a buffer letter after a vowel (in brackets), consonants that are
# voiceless after voiceless ones ("D"), and final p, t, k, ç that are voiced before a vowel.
VOWELS = "aeıioöuü"
NUMBERS = {"SG": "", "PL": "lAr"}
OWNERS = {"": "", "PSS1S": "(I)m", "PSS2S": "(I)n", "PSS3S": "(s)I", "PSS1P": "(I)mIz"}
CASES = {"NOM": "", "ACC": "(y)I", "DAT": "(y)A", "LOC": "DA", "ABL": "DAn", "GEN": "(n)In"}
TENSES = {"PST": "DI", "PRS": "(I)yor", "FUT": "(y)AcAk", "COND": "sA"}
PERSONS = {"1;SG": "(I)m", "2;SG": "sIn", "3;SG": "", "1;PL": "(y)Iz", "3;PL": "lAr"}


def make_inflection(num_lemmas: int = 1200, seed: int = 1) -> Task:
    """Make up the language; dev and test are of lemmas that are not trained on, one in two."""
    draw = random.Random(seed)
    lemmas: dict[str, str] = {}
    while len(lemmas) < num_lemmas:
        lemmas[_stem(draw)] = draw.choice("NNV")
    rows = []
    for lemma, kind in lemmas.items():
        forms = list(_paradigm(lemma, kind))
        rows += [[lemma, form, tags] for form, tags in draw.sample(forms, 6)]
    draw.shuffle(rows)
    unseen = {lemma for lemma in lemmas if _hash(lemma) % 4 == 0}
    seen_rows = [row for row in rows if row[0] not in unseen]
    unseen_rows = [row for row in rows if row[0] in unseen]
    held = [[*seen_rows[500 * i : 500 * (i + 1)], *unseen_rows[500 * i :][:500]] for i in (0, 1)]
    return _task("made-up", {"train": seen_rows[1000:], "dev": held[0], "test": held[1]})


def _stem(draw: random.Random) -> str:
    group = draw.choice(["aıou", "eiöü"])
    syllables = draw.choice([1, 2, 2, 3])
    text = draw.choice(["", *"bdfghklmnprsştvyz"])
    for syllable in range(syllables):
        inside = "bcçdfgğhklmnprsştvyz" if syllable < syllables - 1 else "pçtkrlnşmz"
        text += draw.choice(group) + draw.choice(inside)
    return text + draw.choice(["", "", "", *group])


def _paradigm(lemma: str, kind: str) -> Iterable[tuple[str, str]]:
    if kind == "N":
        for number, owner, case in itertools.product(NUMBERS, OWNERS, CASES):
            suffixes = [NUMBERS[number], OWNERS[owner], CASES[case]]
            tags = ["N", case, number, *([owner] if owner else [])]
            yield _inflect(lemma, suffixes), ";".join(tags)
    else:
        for tense, person in itertools.product(TENSES, PERSONS):
            yield _inflect(lemma, [TENSES[tense], PERSONS[person]]), f"V;{tense};{person}"


def _inflect(stem: str, suffixes: Iterable[str]) -> str:
    text = stem
    for suffix in filter(None, suffixes):
        if suffix.startswith("("):
            buffer, rest = suffix[1], suffix[3:]
            after_vowel = text[-1] in VOWELS
            if buffer == "I":
                suffix = rest if after_vowel else "I" + rest
            else:
                suffix = buffer + rest if after_vowel else rest
        if suffix[0] in "AI" and text[-1] in "pçtk" and len(text) > 3:
            text = text[:-1] + dict(zip("pçtk", "bcdğ", strict=True))[text[-1]]
        for letter in suffix:
            text += _harmony(text, letter)
    return text


def _harmony(text: str, letter: str) -> str:
    last = next(sign for sign in reversed(text) if sign in VOWELS)
    match letter:
        case "A":
            return "a" if last in "aıou" else "e"
        case "I":
            return {"a": "ı", "ı": "ı", "e": "i", "i": "i", "o": "u", "u": "u"}.get(last, "ü")
        case "D":
            return "t" if text[-1] in "pçtkfhsş" else "d"
        case _:
            return letter


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def cut(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """Take ``count`` pairs by the hash of their source: of fewer, all are among those of more."""
    return sorted(pairs, key=lambda pair: _hash("|".join(pair)))[:count]


# --------------------------------------------------------------------------------------- training


def before(source: Side, target: Side, num_pairs: int) -> list[str]:
    """Return what `kochi init` proposed until November 2026, as changes of the run file."""
    guess = guess_run(source, target, num_pairs)
    kinds = ((source, guess.source), (target, guess.target))
    words = {"characters": 0.0, "whitespace": 1.0, "bpe": 0.75}
    length = 1 + max(
        side.characters_per_text if kind == "characters" else side.words_per_text / words[kind]
        for side, kind in kinds
    )
    total = num_pairs * length
    batch_tokens = 64 * round(min(4096.0, max(256.0, total / 60)) / 64)
    steps = max(1, round(total / batch_tokens))
    epochs = max(8, min(100, round(2000 / steps)))
    model = {
        "embedding_size": 256,
        "hidden_size": 256,
        "order": "luong",
        "input_feeding": "false",
        "encoder_layers": 1,
        "decoder_layers": 1,
        "dropout": 0.3,
        "attention.score": "additive",
    }
    training = {
        "epochs": epochs,
        "batch_tokens": batch_tokens,
        "evaluate_every": 0,
        "learning_rate": 0.002,
        "schedule.kind": "cosine",
        "schedule.warmup_steps": min(1000, max(10, epochs * steps // 10)),
        "patience": 10,
        "average_last": 1,
    }
    tables = {"model": model, "training": training}
    return [
        f"{name}.{key}={value}" for name, table in tables.items() for key, value in table.items()
    ]


def sides(pairs: Sequence[Pair]) -> tuple[Side, Side]:
    """Count both sides, sources without their tags."""
    texts = [without_tags(source) if "\t" in source else source for source, _ in pairs]
    return count_side(texts), count_side(target for _, target in pairs)


def run_file(task: Task, rows: int, test: bool, folder: Path, seed: int) -> Path:
    """Write the cut data and the run file of what would be proposed for them."""
    dev = cut(task.dev, len(task.dev))
    if test or len(dev) < 2 * MEASURED:
        chooses, measured = dev[:MEASURED], task.test if test else dev
    else:
        chooses, measured = dev[: min(MEASURED, max(20, rows // 10))], dev[-MEASURED:]
    splits = {"train": cut(task.train, rows), "dev": chooses, "test": measured}
    for split, pairs in splits.items():
        text = "".join(f"{source}\t{target}\n" for source, target in pairs)
        (folder / f"{split}.tsv").write_text(text, encoding="utf-8")
    guess = guess_run(*sides(splits["train"]), rows)
    columns = ["source_column = 1", "target_column = 2"]
    if any("\t" in source for source, _ in splits["train"]):
        columns = ["source_column = 1", "tags_column = 2", "target_column = 3"]
    lines = [
        f"seed = {seed}",
        'output = "model"',
        "[data]",
        'kind = "tsv"',
        *(f'{split} = "{split}.tsv"' for split in splits),
        *columns,
        f'source.tokens = "{guess.source}"',
        f'target.tokens = "{guess.target}"',
    ]
    for side, kind in (("source", guess.source), ("target", guess.target)):
        if kind == "bpe":
            lines.append(f"{side}.vocabulary_size = {guess.vocabulary_size}")
    if guess.shared:
        lines.append("shared_vocabulary = true")
    lines += [*_model_lines(guess), *_training_lines(guess)]
    path = folder / "run.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def train(task: Task, rows: int, label: str, changes: list[str], seed: int, test: bool) -> Any:
    """Train once and measure; return the JSON line."""
    import kochi
    from kochi.training import train as train_run
    from kochi.training.progress import Progress

    folder = Path(tempfile.mkdtemp(prefix="defaults-"))
    try:
        path = run_file(task, rows, test, folder, seed)
        if label == "before":
            changes = [*before(*sides(cut(task.train, rows)), rows), *changes]
        run = read_run(path, changes)
        started = time.monotonic()
        train_run(run, progress=Progress(silent=True))
        seconds = time.monotonic() - started
        with (run.output / "training" / "evaluations.csv").open() as file:
            steps = [int(row["step"]) for row in csv.DictReader(file)]
        best = json.loads((run.output / "metrics.json").read_text())["averaged_steps"]
        predictor = kochi.load(run.output)
        score = _measure(task, run, predictor)
        return {
            "task": task.name,
            "rows": rows,
            "label": label,
            "seed": seed,
            "split": "test" if test else "dev",
            "metric": task.metric,
            **score,
            "seconds": round(seconds),
            "steps": steps[-1],
            "best": best,
            "changes": changes,
        }
    finally:
        shutil.rmtree(folder)


def _measure(task: Task, run: Run, predictor: Any) -> dict[str, float]:
    from kochi.metrics import evaluate
    from kochi.modalities.pairs import read_pairs

    pairs = list(read_pairs(run.data, "test"))
    found = predictor.predict([pair.source for pair in pairs])
    answers = [prediction.text for prediction in found]
    references = [list(pair.references) for pair in pairs]
    name = "bleu" if task.metric == "bleu" else "exact"
    score = evaluate([name], answers, references)[name]
    if name == "bleu":
        return {"value": score.value, "low": score.low, "high": score.high}
    return {"value": 100 - score.value, "low": 100 - score.high, "high": 100 - score.low}


# ------------------------------------------------------------------------------------ command line

KEY = ("task", "rows", "label", "seed", "split")


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read the trainings that are done."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def train_all(options: argparse.Namespace) -> None:
    """Train what is asked for and is not done."""
    tasks = [read_words(options.data, name) for name in options.names or []]
    if options.inflection:
        tasks.append(make_inflection())
    if options.translation is not None:
        tasks.append(read_translation(options.translation))
    done = {tuple(row[key] for key in KEY) for row in read_results(options.out)}
    split = "test" if options.test else "dev"
    for rows, seed, task in itertools.product(options.rows, options.seeds, tasks):
        if (task.name, rows, options.label, seed, split) in done:
            continue
        row = train(task, rows, options.label, options.change, seed, options.test)
        print({key: row[key] for key in (*KEY, "value", "seconds", "steps", "best")}, flush=True)
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


# ------------------------------------------------------------------------------ tables and picture

LABELS = {"before": "before", "proposed": "proposed now"}


class Figure(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def mean(rows: Sequence[dict[str, Any]]) -> Figure:
    """Average seeds; the interval knows of other test rows, and adds up variances."""
    value = statistics.fmean(row["value"] for row in rows)
    reach = sum(((row["high"] - row["low"]) / 2) ** 2 for row in rows) ** 0.5 / len(rows)
    return Figure(value, value - reach, value + reach)


class Point(NamedTuple):
    """What was found for a number of rows, under each label that was measured."""

    rows: int
    figures: dict[str, Figure]
    steps: dict[str, int]
    seeds: int


def curve(results: Sequence[dict[str, Any]], task: str, split: str) -> list[Point]:
    """Return the points of a task, over the seeds that its labels share."""
    points = []
    wanted = [row for row in results if (row["task"], row["split"]) == (task, split)]
    for rows in sorted({row["rows"] for row in wanted}):
        of = {
            label: {
                row["seed"]: row for row in wanted if (row["rows"], row["label"]) == (rows, label)
            }
            for label in LABELS
        }
        of = {label: found for label, found in of.items() if found}
        seeds = sorted(set.intersection(*map(set, of.values()))) if of else []
        if seeds:
            found = {label: [of[label][seed] for seed in seeds] for label in of}
            figures = {label: mean(rows) for label, rows in found.items()}
            steps = {label: round(mean_of(rows, "steps")) for label, rows in found.items()}
            points.append(Point(rows, figures, steps, len(seeds)))
    return points


def mean_of(rows: Sequence[dict[str, Any]], key: str) -> float:
    """Average one number."""
    return statistics.fmean(row[key] for row in rows)


def show(options: argparse.Namespace) -> None:
    """Print the table and draw the picture."""
    results = read_results(options.out)
    metrics = {row["task"]: row["metric"] for row in results}
    head = ["task", "split", "rows", "seeds", *LABELS.values(), "steps before", "steps now"]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for split, task in itertools.product(("dev", "test"), metrics):
        for rows, figures, steps, seeds in curve(results, task, split):
            shown = [str(figures[label]) if label in figures else "" for label in LABELS]
            counts = [f"{steps[label]:,}" if label in steps else "" for label in LABELS]
            print(f"| {' | '.join([task, split, f'{rows:,}', str(seeds), *shown, *counts])} |")
    if options.picture is not None:
        found = {task: curve(results, task, "dev") for task in metrics}
        draw(
            {task: points for task, points in found.items() if len(points) > 1},
            metrics,
            options.picture,
        )


def draw(found: dict[str, list[Point]], metrics: dict[str, str], path: Path) -> None:
    """Draw a panel for each task with several numbers of rows: the figure by that number."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(2.9 * len(found), 3.4), layout="constrained")
    panels = canvas.subplots(1, len(found), squeeze=False)[0]
    styles = (("#ee6677", "s", "--"), ("#4477aa", "o", "-"))
    for panel, (task, points) in zip(panels, found.items(), strict=True):
        for label, (colour, mark, stroke) in zip(LABELS, styles, strict=True):
            there = [point for point in points if label in point.figures]
            figures = [point.figures[label] for point in there]
            panel.errorbar(
                [point.rows for point in there],
                [figure.value for figure in figures],
                yerr=[
                    [figure.value - figure.low for figure in figures],
                    [figure.high - figure.value for figure in figures],
                ],
                label=LABELS[label],
                color=colour,
                marker=mark,
                linestyle=stroke,
                capsize=3,
            )
        wrong = metrics[task] == "wer"
        panel.set(
            xscale="log",
            ylim=(0, None),
            title=task,
            xlabel="training pairs",
            ylabel="wrong words, % (less is better)" if wrong else "BLEU (more is better)",
        )
        panel.set_xticks([point.rows for point in points], [f"{point.rows:,}" for point in points])
        panel.minorticks_off()
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    canvas.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(required=True)
    training = verbs.add_parser("train", help="train and measure")
    training.add_argument("--data", type=Path, help="folder of NAME_train.tsv, NAME_dev.tsv, ...")
    training.add_argument("--names", nargs="+", help="languages in --data")
    training.add_argument("--inflection", action="store_true", help="the made-up language")
    training.add_argument(
        "--translation", type=Path, help="folder of train.en.gz, train.de.gz, ..."
    )
    training.add_argument("--rows", type=int, nargs="+", required=True)
    training.add_argument("--seeds", type=int, nargs="+", default=[1])
    training.add_argument("--label", default="proposed", help="name of these settings")
    training.add_argument("--change", nargs="*", default=[], help="KEY=VALUE of the run file")
    training.add_argument("--test", action="store_true", help="measure on the test file")
    training.set_defaults(do=train_all)
    showing = verbs.add_parser("show", help="print the tables and draw the curve")
    showing.add_argument("--picture", type=Path, help="where to draw, such as defaults.svg")
    showing.set_defaults(do=show)
    for verb in (training, showing):
        verb.add_argument("--out", type=Path, default=Path("defaults.jsonl"), help="the trainings")
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
