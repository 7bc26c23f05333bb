"""``kochi compare``: models side by side, and where they differ."""

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
            help="Model folders, then dev or test of the first one's run file, or a file of the "
            "same form.",
        ),
    ],
    metric: Annotated[
        str | None, typer.Option(help="bleu, chrf, wer, cer, per or exact. Default: by the target.")
    ] = None,
    show: Annotated[
        int, typer.Option(min=0, help="How many sources to show where two models differ most.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    beam: Beam = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    trust: Trust = None,
    strict: Strict = False,
    unknown: Unknown = None,
    max_source_length: MaxSourceLength = None,
) -> None:
    """Answer the sources of DATA with every MODEL, and compare the others with the first.

    The interval and the p-value of a difference are those of the paired bootstrap over the pairs.
    Below stand the sources where the answers differ most, with where the models looked. A source
    that cannot be read or is too long counts as answered by nothing, with a warning; the exit code
    is then 1.
    """
    *models, data = names
    if len(models) < 2:
        raise UserError(f"{' '.join(names)}: expected two models or more, and then the data")
    from kochi.commands.metrics import check_metric
    from kochi.metrics import Judge

    if metric is not None:
        check_metric(metric)
    predictors = {
        name: open_model(Path(name), device, trust=trust) for name in dict.fromkeys(models)
    }
    if len(predictors) < len(models):
        raise UserError("the same model is named twice; expected different ones")
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
    judge = Judge(first.run.data, sources, references)  # how the first is evaluated counts for all
    metric = metric or default_metrics(first.run, judge.wer)[0]
    found = {name: judge.compare(metric, answers[models[0]], answers[name]) for name in models[1:]}
    scores = {name: judge.scores([metric], answers[name])[metric] for name in models}
    if as_json:
        record = _record(data, pairs, scores, found) | {"unanswered": len(unanswered)}
        put_json(record)
    else:
        beams = [beam or one.run.search.beam for one in predictors.values()]
        _print_scores(pairs, beams, scores, found)
        for name in models[1:]:
            two = {one: predictors[one] for one in (models[0], name)}
            texts = (answers[models[0]], answers[name])
            for place in _most_different(judge, metric, *texts, show):
                both = [text[place] for text in texts]
                _print_pair(two, pairs[place], both, options)
    if unanswered:
        raise typer.Exit(1)


def _most_different(
    judge: "Judge", metric: str, first: list[str], second: list[str], count: int
) -> list[int]:
    """Return the positions of the sources where one is better than the other by most.

    BLEU says little about one sentence, so chrF decides for it.
    """
    name = "chrf" if metric == "bleu" else metric
    one, two = (judge.row_values(name, answers).tolist() for answers in (first, second))
    apart = [abs(value - other) for value, other in zip(one, two, strict=True)]
    order = sorted(range(len(apart)), key=lambda place: -apart[place])
    return [place for place in order[:count] if apart[place] > 0.0]


def _check_alike(predictors: "dict[str, Predictor]") -> None:
    """Refuse models that do not read the same kind of thing."""
    (first, one), *others = predictors.items()
    for name, other in others:
        if one.source.unit != other.source.unit:
            raise UserError(
                f"{name}: reads {other.source.unit}, but {first} reads {one.source.unit}; expected "
                "models of the same kind of data"
            )


def _record(
    data: str,
    pairs: "list[Pair]",
    scores: "dict[str, Score]",
    found: "dict[str, Comparison]",
) -> dict[str, Any]:
    from kochi.data.pair import count_rows

    return {
        "data": data,
        "rows": count_rows(pairs),
        "pairs": len(pairs),
        "scores": {name: dataclasses.asdict(score) for name, score in scores.items()},
        "against_first": {name: one.to_dict() for name, one in found.items()},
    }


def _print_scores(
    pairs: "list[Pair]",
    beams: list[int],
    scores: "dict[str, Score]",
    found: "dict[str, Comparison]",
) -> None:
    from kochi.data.pair import count_rows, show_counts

    say(show_counts(count_rows(pairs), len(pairs)))
    width = max(map(len, scores))
    for name, score in scores.items():
        say(f"{name:<{width}}  {score}")
        if name not in found:
            continue
        one = found[name]
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
    """Show a source, the right answer, and both answers with their alignments."""
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
