"""Detect text data and write a commented run file that trains on them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from kochi.config import Run, check_run
from kochi.data.left_out import LeftOut
from kochi.data.pair import Pair
from kochi.data.tables import TableForm
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.opening import NO_EARLY_STOP, form_table, opening, relative, toml
from kochi.modalities.detection.split import (
    SPLIT_HINT,
    TOO_FEW,
    choose_sources,
    rows_wanted,
    shares_of,
    source_key,
    write_splits,
)
from kochi.modalities.detection.started import Started
from kochi.modalities.pairs import read_pairs
from kochi.modalities.text.detection import Found, find_data
from kochi.modalities.text.heuristics import Guess, count_side, guess_run

SAMPLE = 20_000


def write_text(data: Path, run_file: Path, output: str, seed: int, choices: Choices) -> Started:
    """Write a run file for pairs of text; split them first if they are a single piece.

    Raises:
        UserError: The data cannot be read or interpreted.
    """
    found = find_data(data, choices)
    notes = list(found.notes)
    if found.tags:
        columns = ", ".join(map(str, found.tags))
        notes.append(
            f"column of tags: {columns}, read as whole symbols in front of the source; to leave "
            "them out: --no-tags"
        )
    if choices.split is not None and len(found.splits) > 1:
        unused = [paths[0].name for split, paths in found.splits.items() if split != "train"]
        notes.append(f"not used, as --split was given: {', '.join(unused)}")
        found = replace(found, splits={"train": found.splits["train"]})
    left_out = LeftOut()
    num_pairs = sum(1 for _ in _read(found, "train", left_out))
    if (remark := left_out.remark(num_pairs)) is not None:
        notes.append(remark)
    if "dev" not in found.splits:
        found, num_pairs, note = _split(found, run_file, num_pairs, seed, choices)
        notes.append(note)
    sample = list(islice(_read(found, "train"), SAMPLE))
    sides = (
        count_side(source_key(pair, bool(found.tags)) for pair in sample),
        count_side(pair.references[0] for pair in sample),
    )
    guess = guess_run(*sides, num_pairs)
    if found.tags:
        guess = replace(guess, shared=False)  # tags are symbols of the source only
    text = run_text(found, guess, run_file, output, seed, num_pairs)
    run_file.write_text(text, encoding="utf-8")
    chosen = f"tokens: {guess.source} to {guess.target}; model: {guess.model}"
    return Started(run_file, found.kind, num_pairs, chosen, tuple(notes))


def _read(found: Found, split: str, left_out: LeftOut | None = None) -> Iterator[Pair]:
    """Read the pairs of a split, one per row, with the same reader as training."""
    tree = {"data": {**_data_table(found, {"train": found.splits[split]}, Path.cwd())}}
    run: Run = check_run({**tree, "model": {"kind": "rnn"}}, "kochi init")
    return read_pairs(run.data, "train", left_out or LeftOut())


def _split(
    found: Found, run_file: Path, num_pairs: int, seed: int, choices: Choices
) -> tuple[Found, int, str]:
    """Split off missing splits; return all splits, the number of training pairs, and a remark."""
    wanted = [split for split in ("dev", "test") if split not in found.splits]
    tagged = bool(found.tags)
    rows = rows_wanted(num_pairs, wanted, shares_of(choices))
    try:
        sources = (source_key(pair, tagged) for pair in _read(found, "train"))
        chosen = choose_sources(sources, rows, seed)
    except ValueError as error:
        return found, num_pairs, f"{error}{TOO_FEW}"
    kind = _kind_of_splits(found)
    folder = run_file.parent / f"{run_file.stem}-data"
    files = {split: _split_files(found, kind, folder, split) for split in ("train", *rows)}
    counts = write_splits(_read(found, "train"), chosen, seed, files, tagged)
    splits = {**found.splits, **files}
    written = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    note = f"no dev file found: split the pairs by source into {folder}/ ({written}){SPLIT_HINT}"
    if kind == "parallel":
        return replace(found, splits=splits, form=TableForm()), counts["train"], note
    tags = ("tags",) if tagged else ()
    made = Found(kind, splits, "source", "target", tags=tags, tags_separator=found.tags_separator)
    return made, counts["train"], note


def _kind_of_splits(found: Found) -> str:
    """Choose the format of split files: JSON if text may contain tabs or line breaks."""
    if found.kind == "tsv" and (found.form.quoted or found.form.separator != "\t"):
        texts = (text for pair in _read(found, "train") for text in (pair.source, *pair.references))
        most = 1 if found.tags else 0  # the tab between a source and its tags
        odd = any(text.count("\t") > most or "\n" in text or "\r" in text for text in texts)
        return "jsonl" if odd else "tsv"
    return found.kind


def _split_files(found: Found, kind: str, folder: Path, split: str) -> tuple[Path, ...]:
    packed = ".gz" if found.splits["train"][0].suffix == ".gz" else ""
    endings = (found.source, found.target) if kind == "parallel" else (kind,)
    return tuple(folder / f"{split}.{ending}{packed}" for ending in endings)


def _data_table(found: Found, splits: dict[str, tuple[Path, ...]], base: Path) -> dict[str, object]:
    """Return the run file's ``data`` table, without tokens, with paths relative to ``base``."""
    table: dict[str, object] = {"kind": found.kind}
    for split, paths in splits.items():
        names = [relative(path, base) for path in paths]
        table[split] = names[0] if len(names) == 1 else {"source": names[0], "target": names[1]}
    table |= form_table(found.form)
    what = {"tsv": "column", "jsonl": "field"}.get(found.kind)
    if what is not None:
        table |= {f"source_{what}": found.source, f"target_{what}": found.target}
        if found.tags:
            table[f"tags_{what}"] = found.tags[0] if len(found.tags) == 1 else list(found.tags)
            table["tags_separator"] = found.tags_separator
    return table


def run_text(
    found: Found, guess: Guess, run_file: Path, output: str, seed: int, num_pairs: int
) -> str:
    """Compose the run file: every value that you may want to change, with an explanation."""
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
    if guess.source_normalization != "nfc":
        result.append(
            f"source.normalization = {toml(guess.source_normalization)}  # syllables as letters"
        )
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
        f"embedding_size = {guess.embedding_size}",
        f"hidden_size = {guess.hidden_size}",
        f"dropout = {guess.dropout}  # raise it when the dev metric falls while the loss falls",
        'attention.score = "additive"  # or general; dot and scaled_dot need sizes that fit',
        '# attention.selection = "sparsemax"  # or another; kochi mechanisms lists all parts',
    ]


def _training_lines(guess: Guess) -> list[str]:
    when = "optimizer steps" if guess.evaluate_every else "every epoch"
    return [
        "[training]",
        f"epochs = {guess.epochs}",
        f"batch_tokens = {guess.batch_tokens}  # tokens in a batch, padding included",
        f"learning_rate = {guess.learning_rate}",
        f'schedule = {{ kind = "cosine", warmup_steps = {guess.warmup_steps} }}',
        f"evaluate_every = {guess.evaluate_every}  # {when}; the best on dev is kept",
        f"metric = {toml(guess.metric)}  # on dev: bleu, chrf, wer, cer, per, exact or loss",
        *NO_EARLY_STOP,
    ]
