"""``kochi evaluate``: score a model on data with references."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import Summary, one_line, warn
from kochi.commands.model import open_model
from kochi.commands.options import (
    BatchSize,
    Beam,
    Device,
    MaxSourceLength,
    ModelFolder,
    Precision,
    PrecisionName,
    Processes,
    Strict,
    Trust,
    Unknown,
    search_options,
)
from kochi.errors import UserError
from kochi.printing import put_json, say, unguarded

if TYPE_CHECKING:
    from kochi.config import Data, Run
    from kochi.data.pair import Pair, Split
    from kochi.inference.predictor import Predictor
    from kochi.metrics import Judge, Score


@worked_example(
    "$ kochi evaluate model test",
    "$ kochi evaluate model more.tsv --metric cer --metric exact --json",
)
def evaluate(
    model: ModelFolder,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="dev or test of the run file, or a file in the same format (source and target "
            "file for parallel text).",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="bleu, chrf, wer, cer, per or exact; for images with boxes also pointing and "
            "pointing_mass. Can be given several times. For pronunciation data, wer is the share "
            "of words with any error (data.row)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the predictions to this file, one line per source.")
    ] = None,
    beam: Beam = None,
    batch_size: BatchSize = None,
    tokenize: Annotated[
        str | None,
        typer.Option(
            help="Tokenizer for BLEU: 13a, or none for tokenized text. Default: by data.tokenized."
        ),
    ] = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    strict: Strict = False,
    unknown: Unknown = None,
    max_source_length: MaxSourceLength = None,
    device: Device = "auto",
    trust: Trust = None,
    precision: Precision = PrecisionName.FP32,
    processes: Processes = 1,
) -> None:
    """Predict the targets of DATA and score them against the references.

    Rows with the same source count as one source with several references, of which the best match
    counts. Scores are in percent, with a 95 % bootstrap interval over the sources. A source that
    cannot be read or is too long counts as an empty prediction, with a warning; the exit code is
    then 1.
    """
    from kochi.commands.metrics import check_metric
    from kochi.data.pair import count_rows, show_counts
    from kochi.folder import write_output
    from kochi.metrics import Judge
    from kochi.metrics.pointing import POINTING

    for name in metric or []:
        check_metric(name, also=POINTING)
    predictor = open_model(model, device, precision.value, processes, trust)
    beam = beam or predictor.run.search.beam
    pairs = read_data(predictor.run, data)
    summary = Summary(predictor, "source {} of the data".format)
    options = search_options(beam, batch_size, unknown, max_source_length)
    answers = answer(predictor, pairs, summary, strict, **options)
    summary.close()
    if out is not None:
        lines = [f"{one_line(answer)}\n" for answer in answers]
        write_output(out, "".join(lines).encode())
    sources, references = [pair.source for pair in pairs], [pair.references for pair in pairs]
    judge = Judge(predictor.run.data, sources, references, tokenize=tokenize, lowercase=lowercase)
    names = metric or default_metrics(predictor.run, judge.wer)
    if "wer" in names and judge.wer == "rows" and _counted_phones(predictor):
        warn(
            f"{model}: trained by an older kochi whose 'wer' counted the target's tokens, as 'per' "
            "does; here 'wer' is the share of words with any error"
        )
    if metric is None and any(pair.boxes for pair in pairs):
        names = [*names, *POINTING]
    of_text = [name for name in names if name not in POINTING]
    scores = _scores(judge, of_text, answers)
    if len(of_text) < len(names):
        unanswered = set(summary.unanswered)
        seen = [pair for number, pair in enumerate(pairs, 1) if number not in unanswered]
        if not seen:
            raise UserError(f"none of the {len(pairs):,} images could be read")
        pointed = _pointing(predictor, seen, batch_size)
        scores |= {name: pointed[name] for name in names if name in POINTING}
    if as_json:
        values = {name: score.to_dict() for name, score in scores.items()}
        counts = {"rows": count_rows(pairs), "pairs": len(pairs), "beam": beam}
        record = {"model": str(model), "data": data, **counts, "scores": values}
        record["unanswered"] = len(summary.unanswered)
        put_json(record)
    else:
        say(show_counts(count_rows(pairs), len(pairs)))
        for score in scores.values():
            say(f"{score}   {score.signature}|{search_signature([beam])}")
    if summary.unanswered:
        raise typer.Exit(1)


def default_metrics(run: "Run", wer: str) -> list[str]:
    """Return the usual metrics for the data, with the run's own metric first.

    Args:
        run: The run file.
        wer: What "wer" counts. With "rows" it is reported beside "per".
    """
    from kochi.modalities import modality_of

    chosen = [run.training.metric, *modality_of(run.data).metrics(wer)]
    return [name for name in dict.fromkeys(chosen) if name != "loss"]


def _counted_phones(predictor: "Predictor") -> bool:
    """Return whether the model was selected by the "wer" of a version without ``data.row``."""
    dev = predictor.metrics.get("dev", {})
    return predictor.run.training.metric == "wer" and "signature" not in dev


def search_signature(beams: Iterable[int]) -> str:
    """Return how predictions were searched, in the format of a metric's signature.

    >>> search_signature([5]), search_signature([1, 5, 1])
    ('search:beam-5', 'search:greedy,beam-5')
    """
    names = ("greedy" if beam == 1 else f"beam-{beam}" for beam in dict.fromkeys(beams))
    return f"search:{','.join(names)}"


def read_data(run: "Run", data: list[str]) -> "list[Pair]":
    """Read the pairs that DATA names: dev or test of the run file, or files in the same format.

    Raises:
        UserError: The data do not exist or cannot be read.
    """
    from kochi.data.left_out import bad_rows, remark
    from kochi.data.pair import count_rows
    from kochi.modalities import modality_of
    from kochi.modalities.pairs import read_pairs

    bad = bad_rows(run.data)
    match data:
        case ["dev" | "test" as split]:
            _check_there(run.data, split)
            pairs = list(read_pairs(run.data, split, bad))
        case _:
            named = modality_of(run.data).with_test([Path.cwd() / name for name in data])
            pairs = list(read_pairs(named, "test", bad))
    if (left_out := remark(bad, count_rows(pairs))) is not None:
        warn(left_out)
    return pairs


def _check_there(data: "Data", split: "Split") -> None:
    """Refuse a split whose files do not exist where the model folder expects them.

    Raises:
        UserError: A file is missing, or the data have no such split.
    """
    from kochi.modalities.pairs import split_files

    missing = [path for path in split_files(data, split) if not path.exists()]
    if missing:
        raise UserError(
            f"{missing[0]}: no such file; the model folder stores the path of its {split} data "
            "relative to itself, and either was moved or was trained on data outside its parent "
            "folder: name the data instead of the split, as in 'kochi evaluate MODEL FILE'"
        )


def answer(
    predictor: "Predictor",
    pairs: "list[Pair]",
    summary: Summary,
    strict: bool = False,
    **options: Any,
) -> list[str]:
    """Predict the targets of all sources, with a progress bar.

    Args:
        predictor: The model.
        pairs: The pairs with the sources. A source that fails gets an empty prediction.
        summary: Collects each prediction for the final report.
        strict: Raise an error at the first source that fails.
        options: Options of `kochi.Predictor.predict`.

    Raises:
        UserError: With ``strict``, a source failed.
    """
    from rich.console import Console
    from rich.progress import track

    sources = (pair.source for pair in pairs)
    stream = predictor.predict_stream(sources, errors="skip", **options)
    shown = track(
        stream,
        "predicting",
        total=len(pairs),
        console=Console(file=unguarded(sys.stderr)),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    answers = []
    for prediction in shown:
        if strict and prediction.error is not None:
            raise UserError(summary.refuse(prediction))
        summary.add(prediction)
        answers.append(prediction.text)
    return answers


def _scores(judge: "Judge", names: list[str], answers: list[str]) -> "dict[str, Score]":
    try:
        return judge.scores(names, answers)
    except ValueError as error:
        raise UserError(str(error)) from None


def _pointing(
    predictor: "Predictor", pairs: "list[Pair]", batch_size: int | None
) -> "dict[str, Score]":
    """Score where the model attends while it is forced to write each row's reference."""
    from kochi.metrics.pointing import pointing
    from kochi.modalities.image.pointing import picture_reader, points_of

    picture_reader(predictor)  # fail early if the model does not attend to an image
    rows = [row for pair in pairs for row in pair.rows]
    texts = [row.references[0] for row in rows]
    written = predictor.align([row.source for row in rows], texts, batch_size)
    return pointing(points_of(predictor, rows, written))
