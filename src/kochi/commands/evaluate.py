"""``kochi evaluate``: how good a model is on data with right answers."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import Summary
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
    Unknown,
    search_options,
)
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.config import Data, Run
    from kochi.data.pairs import Pair
    from kochi.metrics import Score
    from kochi.predictor import Predictor


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
            help="dev or test of the run file, or a file of the same form (source and target "
            "file if the form is parallel).",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="bleu, chrf, wer, cer, per, exact, or for pictures with boxes pointing and "
            "pointing_mass; give it again for more."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the answers, one a line.")] = None,
    beam: Beam = None,
    batch_size: BatchSize = None,
    tokenize: Annotated[
        str | None,
        typer.Option(help="For BLEU: 13a, or none for tokenised text. Default: as data.tokenized."),
    ] = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    strict: Strict = False,
    unknown: Unknown = None,
    max_source_length: MaxSourceLength = None,
    device: Device = "auto",
    precision: Precision = PrecisionName.FP32,
    processes: Processes = 1,
) -> None:
    """Answer the sources of DATA and compare with the right answers.

    Scores are percent, with a 95 % bootstrap interval over the pairs. A source that cannot be read
    or is too long counts as answered by nothing, with a warning; the exit code is then 1.
    """
    from kochi.metrics import METRICS
    from kochi.metrics.pointing import POINTING
    from kochi.predictor import load

    for name in metric or []:
        if name not in (*METRICS, *POINTING):
            known = ", ".join((*METRICS, *POINTING))
            raise UserError(f"--metric {name}: expected one of {known}")
    predictor = load(model, device, precision.value, processes)
    pairs = read_data(predictor.run, data)
    summary = Summary(predictor, "source {} of the data".format)
    options = search_options(beam, batch_size, unknown, max_source_length)
    answers = answer(predictor, pairs, summary, strict, **options)
    summary.close()
    if out is not None:
        out.write_text("".join(f"{answer}\n" for answer in answers), encoding="utf-8")
    tokenize = tokenize or ("none" if predictor.run.data.tokenized else "13a")
    lowercase = lowercase or predictor.run.data.target.lowercase
    names = metric or default_metrics(predictor.run)
    if metric is None and any(pair.boxes for pair in pairs):
        names = [*names, *POINTING]
    of_text = [name for name in names if name not in POINTING]
    scores = _scores(of_text, answers, pairs, tokenize, lowercase)
    if len(of_text) < len(names):
        unanswered = set(summary.unanswered)
        seen = [pair for number, pair in enumerate(pairs, 1) if number not in unanswered]
        if not seen:
            raise UserError(f"none of the {len(pairs):,} pictures could be read")
        found = _pointing(predictor, seen, batch_size)
        scores |= {name: found[name] for name in names if name in POINTING}
    if as_json:
        values = {name: score.to_dict() for name, score in scores.items()}
        record = {"model": str(model), "data": data, "pairs": len(pairs), "scores": values}
        record["unanswered"] = len(summary.unanswered)
        print(json.dumps(record, ensure_ascii=False))
    else:
        print(f"{len(pairs):,} sources")
        for score in scores.values():
            print(f"{score}   {score.signature}")
    if summary.unanswered:
        raise typer.Exit(1)


def default_metrics(run: "Run") -> list[str]:
    """Choose metrics by how the target is cut; the run's own metric comes first."""
    usual = {
        "characters": ["cer", "exact"],
        "whitespace": ["per", "exact"],
        "bpe": ["bleu", "chrf"],
    }
    of_kind = {
        "features": ["wer", "cer"],
        "sound": ["wer", "cer"],
        "picture": ["exact", "bleu", "chrf"],
    }
    others = of_kind.get(run.data.kind, usual[run.data.target.tokens])
    chosen = [run.training.metric, *others]
    return [name for name in dict.fromkeys(chosen) if name != "loss"]


def read_data(run: "Run", data: list[str]) -> "list[Pair]":
    """Read what DATA names: dev or test of the run file, or files of the same form.

    Raises:
        UserError: There is no such data, or it cannot be read.
    """
    from kochi.data.pairs import read_pairs

    match data:
        case ["dev"]:
            return list(read_pairs(run.data, "dev"))
        case ["test"]:
            return list(read_pairs(run.data, "test"))
    return list(read_pairs(_with_test(run.data, [Path(name) for name in data]), "test"))


def _with_test(data: "Data", files: list[Path]) -> "Data":
    """Return the data table with other test files, which start where the command runs."""
    from kochi.config import (
        FeatureFiles,
        FeaturesData,
        HuggingFaceData,
        ManifestData,
        ParallelData,
        ParallelFiles,
    )
    from kochi.data.elsewhere import for_manifest

    files = [Path.cwd() / file for file in files]
    if isinstance(data, HuggingFaceData):
        raise UserError("the run's data are a Hugging Face data set: expected dev or test as DATA")
    if isinstance(data, ParallelData):
        if len(files) < 2:
            raise UserError("the run's data are parallel: expected a source and a target file")
        test = ParallelFiles(source=files[0], target=list(files[1:]))
        return data.model_copy(update={"test": test})
    if isinstance(data, FeaturesData):
        if len(files) > 2:
            raise UserError("the run's data are features: expected a manifest and an .npz file")
        test = FeatureFiles(manifest=files[0], arrays=files[1] if len(files) > 1 else None)
        if test.arrays is None:
            data = for_manifest(data, files[0])
        return data.model_copy(update={"test": test, "split_column": None})
    if isinstance(data, ManifestData) and len(files) == 1:
        data = for_manifest(data, files[0]).model_copy(update={"split_column": None})
    if len(files) != 1:
        raise UserError(f"the run's data are {data.kind}: expected one file, found {len(files)}")
    return data.model_copy(update={"test": files[0]})


def answer(
    predictor: "Predictor",
    pairs: "list[Pair]",
    summary: Summary,
    strict: bool = False,
    **options: Any,
) -> list[str]:
    """Answer the sources, each in one line, and show how far it is.

    Args:
        predictor: The model.
        pairs: Whose sources are answered; one without an answer is answered by an empty line.
        summary: Takes note of each prediction.
        strict: Whether a source without an answer is an error.
        options: Of `kochi.Predictor.predict`.

    Raises:
        UserError: With ``strict``: a source cannot be answered.
    """
    from rich.console import Console
    from rich.progress import track

    sources = (pair.source for pair in pairs)
    stream = predictor.predict_stream(sources, errors="skip", **options)
    shown = track(
        stream,
        "answering",
        total=len(pairs),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    answers = []
    for prediction in shown:
        if strict and prediction.error is not None:
            raise UserError(summary.refuse(prediction))
        summary.add(prediction)
        answers.append(" ".join(prediction.text.splitlines()))
    return answers


def _scores(
    names: list[str], answers: list[str], pairs: "list[Pair]", tokenize: str, lowercase: bool
) -> "dict[str, Score]":
    from kochi.metrics import evaluate as score

    references = [list(pair.references) for pair in pairs]
    try:
        return score(names, answers, references, tokenize=tokenize, lowercase=lowercase)
    except ValueError as error:
        raise UserError(str(error)) from None


def _pointing(
    predictor: "Predictor", pairs: "list[Pair]", batch_size: int | None
) -> "dict[str, Score]":
    """Score where the model looks while it writes the right answers."""
    from kochi.looking import picture_reader, points_of
    from kochi.metrics.pointing import pointing

    picture_reader(predictor)  # before all the work, whether it can look
    texts = [pair.references[0] for pair in pairs]
    written = predictor.align([pair.source for pair in pairs], texts, batch_size)
    return pointing(points_of(predictor, pairs, written))
