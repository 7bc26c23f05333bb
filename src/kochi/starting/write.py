"""Look at data and write a commented run file that trains on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kochi.config import Run, check_run
from kochi.data.pairs import Pair, read_pairs
from kochi.errors import UserError
from kochi.starting.find import Found, find_data
from kochi.starting.guess import Guess, count_side, guess_run
from kochi.starting.hear import find_hearing
from kochi.starting.opening import opening, relative, toml
from kochi.starting.see import find_seeing
from kochi.starting.split import choose_sources, write_splits
from kochi.starting.write_hearing import write_hearing
from kochi.starting.write_seeing import write_seeing

SAMPLE = 20_000


@dataclass(frozen=True)
class Started:
    """What `start` wrote.

    Attributes:
        run_file: The run file.
        kind: What the data are: "tsv", "sound", ...
        num_pairs: Pairs to train on.
        chosen: Tokens and model, in a line.
        notes: Remarks for the user.
    """

    run_file: Path
    kind: str
    num_pairs: int
    chosen: str
    notes: tuple[str, ...]


def start(data: Path, run_file: Path, output: str, seed: int = 1) -> Started:
    """Look at ``data`` and write ``run_file``; split the data first if they are in one piece.

    Split files go to a folder beside the run file. ``output`` is the model folder's name as the run
    file is to give it.

    Raises:
        UserError: The data cannot be read or understood, or are too few to split.
    """
    heard = find_hearing(data) if data.exists() else None
    if heard is not None:
        return Started(run_file, heard.kind, *write_hearing(heard, run_file, output, seed))
    seen = find_seeing(data) if data.exists() else None
    if seen is not None:
        return Started(run_file, seen.kind, *write_seeing(seen, run_file, output, seed))
    found = find_data(data)
    num_pairs = sum(1 for _ in _read(found, "train"))
    if not num_pairs:
        raise UserError(f"{data}: no pairs found; expected one pair of source and target a line")
    notes = list(found.notes)
    if len(found.splits) < 3 and "dev" not in found.splits:
        found, counts = _split(found, run_file, num_pairs, seed)
        num_pairs = counts["train"]
        written = ", ".join(f"{split} {count:,}" for split, count in counts.items())
        folder = found.splits["train"][0].parent
        notes.append(f"no dev file found: split the pairs by source into {folder}/ ({written})")
    sample = list(islice(_read(found, "train"), SAMPLE))
    sides = (
        count_side(pair.source for pair in sample),
        count_side(pair.references[0] for pair in sample),
    )
    guess = guess_run(*sides, num_pairs)
    text = run_text(found, guess, run_file, output, seed, num_pairs)
    run_file.write_text(text, encoding="utf-8")
    chosen = f"tokens: {guess.source} to {guess.target}; model: {guess.model}"
    return Started(run_file, found.kind, num_pairs, chosen, tuple(notes))


def _read(found: Found, split: str) -> Iterator[Pair]:
    """Read the pairs of one split, one a row, through the same reader that training uses."""
    tree = {"data": {**_data_table(found, {"train": found.splits[split]}, Path.cwd())}}
    run: Run = check_run({**tree, "model": {"kind": "rnn"}}, "kochi init")
    return read_pairs(run.data, "train")


def _split(found: Found, run_file: Path, num_pairs: int, seed: int) -> tuple[Found, dict[str, int]]:
    wanted = [split for split in ("dev", "test") if split not in found.splits]
    try:
        chosen = choose_sources(_read(found, "train"), wanted, seed, num_pairs)
    except ValueError as error:
        where = found.splits["train"][0]
        raise UserError(
            f"{where}: {error} to split off {' and '.join(wanted)}; add pairs, or files named "
            f"{' and '.join(wanted)}"
        ) from None
    folder = run_file.parent / f"{run_file.stem}-data"
    files = {split: _split_files(found, folder, split) for split in ("train", *wanted)}
    counts = write_splits(_read(found, "train"), chosen, seed, files)
    splits = {**found.splits, **files}
    if found.kind == "parallel":
        return Found(found.kind, splits, found.source, found.target), counts
    return Found(found.kind, splits, "source", "target"), counts


def _split_files(found: Found, folder: Path, split: str) -> tuple[Path, ...]:
    packed = ".gz" if found.splits["train"][0].suffix == ".gz" else ""
    endings = (found.source, found.target) if found.kind == "parallel" else (found.kind,)
    return tuple(folder / f"{split}.{ending}{packed}" for ending in endings)


def _data_table(found: Found, splits: dict[str, tuple[Path, ...]], base: Path) -> dict[str, object]:
    """Return the run file's ``data`` table, without tokens, with paths relative to ``base``."""
    table: dict[str, object] = {"kind": found.kind}
    for split, paths in splits.items():
        names = [relative(path, base) for path in paths]
        table[split] = names[0] if len(names) == 1 else {"source": names[0], "target": names[1]}
    if found.kind == "tsv":
        table |= {"source_column": found.source, "target_column": found.target}
    if found.kind == "jsonl":
        table |= {"source_field": found.source, "target_field": found.target}
    return table


def run_text(
    found: Found, guess: Guess, run_file: Path, output: str, seed: int, num_pairs: int
) -> str:
    """Compose the run file: every value that one may want to change, with what it does."""
    table = _data_table(found, found.splits, run_file.parent)
    return "\n".join(
        [
            *opening(f"{num_pairs:,} training pairs", run_file, output, seed, table),
            *_token_lines(guess),
            "",
            *_model_lines(guess),
            "",
            *_training_lines(guess),
            "",
            "[search]",
            "beam = 5  # 1 is greedy: faster, a little worse",
            "",
        ]
    )


def _token_lines(guess: Guess) -> list[str]:
    sides = [f"source.tokens = {toml(guess.source)}", f"target.tokens = {toml(guess.target)}"]
    result = [
        "# How each side is cut: characters, whitespace (cut at spaces), or bpe (learned pieces).",
        *sides,
    ]
    for side, kind in (("source", guess.source), ("target", guess.target)):
        if kind == "bpe":
            result.append(f"{side}.vocabulary_size = {guess.vocabulary_size}  # learned pieces")
    if guess.shared:
        result.append("shared_vocabulary = true  # one set of pieces for both sides")
    result.append("max_length = 256  # longer pairs (in tokens) are left out of training")
    return result


def _model_lines(guess: Guess) -> list[str]:
    if guess.model == "transformer":
        return [
            '# Other models: kind = "rnn" (LSTM or GRU with attention), "plain" (no attention).',
            "[model]",
            'kind = "transformer"',
            "size = 256",
            "feedforward_size = 1024",
            "encoder_layers = 3",
            "decoder_layers = 3",
            f"dropout = {guess.dropout}  # raise it when the dev metric falls while the loss falls",
            '# self_attention.scope = { kind = "sliding_window", left = 8, right = 8 }  # nearby',
            f"tie_embeddings = {toml('all' if guess.shared else 'target')}",
        ]
    return [
        '# Other models: kind = "transformer", kind = "plain" (no attention).',
        "[model]",
        'kind = "rnn"',
        'cell = "lstm"',
        'order = "luong"  # step, then attend; "bahdanau" attends first: slower to train',
        "input_feeding = false  # true: each step also sees where it looked; slower to train",
        "embedding_size = 256",
        "hidden_size = 256",
        f"dropout = {guess.dropout}  # raise it when the dev metric falls while the loss falls",
        'attention.score = "additive"  # or general; dot and scaled_dot need sizes that fit',
        '# attention.selection = "sparsemax"  # or another; kochi mechanisms lists all parts',
    ]


def _training_lines(guess: Guess) -> list[str]:
    return [
        "[training]",
        f"epochs = {guess.epochs}",
        f"batch_tokens = {guess.batch_tokens}  # tokens in a batch, padding included",
        f"learning_rate = {guess.learning_rate}",
        f'schedule = {{ kind = "cosine", warmup_steps = {guess.warmup_steps} }}',
        f"metric = {toml(guess.metric)}  # on dev: bleu, chrf, wer, cer, per, exact or loss",
        "patience = 10  # stop when it has not improved for so many evaluations",
    ]
