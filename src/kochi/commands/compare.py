"""``kochi compare``: compare models on the same data."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kochi.commands.evaluate import answer, default_metrics, read_data, search_signature
from kochi.commands.example import worked_example
from kochi.commands.messages import Summary
from kochi.commands.model import open_model
from kochi.commands.options import (
    BatchSize,
    Beam,
    Device,
    MaxSourceLength,
    Strict,
    Trust,
    Unknown,
    search_options,
)
from kochi.errors import UserError
from kochi.printing import draw, put_json, say

if TYPE_CHECKING:
    from kochi.data.pair import Pair
    from kochi.inference.predictor import Predictor
    from kochi.metrics import Comparison, Judge, Score


@worked_example(
    "$ kochi compare model other-model test",
    "$ kochi compare model other-model more.tsv --metric exact --show 1",
)
def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL MODEL... DATA",
            help="Model folders, then the data: dev or test (of the first model's run file), or a "
            "file in the same format.",
        ),
    ],
    metric: Annotated[
        str | None,
        typer.Option(help="bleu, chrf, wer, cer, per or exact. Default: depends on the target."),
    ] = None,
    show: Annotated[
        int,
        typer.Option(min=0, help="Number of sources to show, those with the largest difference."),
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    beam: Beam = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    trust: Trust = None,
    strict: Strict = False,
    unknown: Unknown = None,
    max_source_length: MaxSourceLength = None,
) -> None:
    """Predict the targets of DATA with every MODEL and compare each model with the first.

    Confidence intervals and p-values come from a paired bootstrap over the pairs. The sources whose
    predictions differ most are shown with both alignments. A source that cannot be read or is too
    long counts as an empty prediction, with a warning; the exit code is then 1.
    """
    *models, data = names
    if len(models) < 2:
        raise UserError(f"{' '.join(names)}: expected at least two models, followed by the data")
    from kochi.commands.metrics import check_metric
    from kochi.metrics import Judge

    if metric is not None:
        check_metric(metric)
    predictors = {
        name: open_model(Path(name), device, trust=trust) for name in dict.fromkeys(models)
    }
    if len(predictors) < len(models):
        raise UserError("the same model is given twice; give different models")
    _check_alike(predictors)
    first = predictors[models[0]]
    pairs = read_data(first.run, [data])
    options = search_options(beam, batch_size, unknown, max_source_length)
    answers, unanswered = dict[str, list[str]](), set[int]()
    for name, one in predictors.items():
        summary = Summary(one, f"{name}: source {{}} of the data".format)
        answers[name] = answer(one, pairs, summary, strict, **options)
        summary.close()
        unanswered.update(summary.unanswered)
    sources, references = [pair.source for pair in pairs], [pair.references for pair in pairs]
    judge = Judge(first.run.data, sources, references)  # all are evaluated as the first one is
    metric = metric or default_metrics(first.run, judge.wer)[0]
    comparisons = {
        name: judge.compare(metric, answers[models[0]], answers[name]) for name in models[1:]
    }
    scores = {name: judge.scores([metric], answers[name])[metric] for name in models}
    if as_json:
        record = _record(data, pairs, scores, comparisons) | {"unanswered": len(unanswered)}
        put_json(record)
    else:
        beams = [beam or one.run.search.beam for one in predictors.values()]
        _print_scores(pairs, beams, scores, comparisons)
        for name in models[1:]:
            two = {one: predictors[one] for one in (models[0], name)}
            texts = (answers[models[0]], answers[name])
            for index in _most_different(judge, metric, *texts, show):
                both = [text[index] for text in texts]
                _print_pair(two, pairs[index], both, options)
    if unanswered:
        raise typer.Exit(1)


def _most_different(
    judge: "Judge", metric: str, first: list[str], second: list[str], count: int
) -> list[int]:
    """Return the indices of the sources where the two models differ most.

    BLEU is unreliable for single sentences, so chrF stands in for it.
    """
    name = "chrf" if metric == "bleu" else metric
    one, two = (judge.row_values(name, answers).tolist() for answers in (first, second))
    differences = [abs(value - other) for value, other in zip(one, two, strict=True)]
    order = sorted(range(len(differences)), key=lambda index: -differences[index])
    return [index for index in order[:count] if differences[index] > 0.0]


def _check_alike(predictors: "dict[str, Predictor]") -> None:
    """Refuse models whose sources are of different modalities."""
    (first, one), *others = predictors.items()
    for name, other in others:
        if one.source.unit != other.source.unit:
            raise UserError(
                f"{name}: reads {other.source.unit}, but {first} reads {one.source.unit}; compare "
                "models of the same kind of data"
            )


def _record(
    data: str,
    pairs: "list[Pair]",
    scores: "dict[str, Score]",
    comparisons: "dict[str, Comparison]",
) -> dict[str, Any]:
    from kochi.data.pair import count_rows

    return {
        "data": data,
        "rows": count_rows(pairs),
        "pairs": len(pairs),
        "scores": {name: dataclasses.asdict(score) for name, score in scores.items()},
        "against_first": {name: one.to_dict() for name, one in comparisons.items()},
    }


def _print_scores(
    pairs: "list[Pair]",
    beams: list[int],
    scores: "dict[str, Score]",
    comparisons: "dict[str, Comparison]",
) -> None:
    from kochi.data.pair import count_rows, show_counts

    say(show_counts(count_rows(pairs), len(pairs)))
    width = max(map(len, scores))
    for name, score in scores.items():
        say(f"{name:<{width}}  {score}")
        if name not in comparisons:
            continue
        one = comparisons[name]
        verdict = {"second": "better", "first": "worse", None: "no clear difference"}[one.better]
        line = f"{one.difference:+.1f} [{one.low:+.1f}, {one.high:+.1f}], p = {one.p_value:.3f}"
        say(f"{'':<{width}}  {line}: {verdict}")
    signature = next(iter(scores.values())).signature
    say(f"{signature}|{search_signature(beams)}")


def _print_pair(
    predictors: "dict[str, Predictor]",
    pair: "Pair",
    texts: Sequence[str],
    options: dict[str, Any],
) -> None:
    """Print a source, its reference, and both predictions with their alignments."""
    from kochi.view.terminal import draw_alignment, draw_alignments

    source = next(iter(predictors.values())).source.describe(pair.source)
    lines = [f"source: {source}", f"right:  {pair.references[0]}"]
    lines += [f"{name}: {text}" for name, text in zip(predictors, texts, strict=True)]
    say()
    for line in lines:
        say(" ".join(line.split()))
    drawings = []
    for name, predictor in predictors.items():
        options = options | {"need_alignment": True, "errors": "skip"}
        [prediction] = predictor.predict([pair.source], **options)
        if prediction.alignment is not None and not predictor.modality.in_files:
            sides = prediction.column_labels, prediction.tokens
            drawings.append(draw_alignment(prediction.alignment, *sides, title=name))
    if drawings:
        draw(draw_alignments(drawings))
