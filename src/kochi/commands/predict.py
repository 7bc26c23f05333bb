"""``kochi predict``: answer line by line."""

import io
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import warn_unknown
from kochi.commands.options import BatchSize, Beam, Device, ModelFolder, Precision, PrecisionName
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.predictor import Prediction, Predictor


@worked_example(
    "$ echo hello | kochi predict model",
    "$ kochi predict model words.txt --beam 5 --n-best 2",
)
def predict(
    model: ModelFolder,
    file: Annotated[
        Path, typer.Argument(metavar="[FILE|-]", help="One source a line; - is standard input.")
    ] = Path("-"),
    beam: Beam = None,
    n_best: Annotated[
        int, typer.Option(min=1, help="Answers for each line: line number, score, text.")
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with score and alignment.")
    ] = False,
    sample: Annotated[bool, typer.Option("--sample", help="Draw answers.")] = False,
    temperature: Annotated[
        float | None,
        typer.Option(min=0.01, help="With --sample: below 1 bolder, above 1 wilder. Default: 1."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="With --sample: another seed, others. Default: 0.")
    ] = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    precision: Precision = PrecisionName.FP32,
) -> None:
    """Answer each line of FILE, or of standard input as it comes.

    Lines that trickle in are answered at once; lines that are there already are answered in
    batches, always in their order.
    """
    _check_options(beam, n_best, sample, temperature, seed)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as the input, whatever the locale
    from kochi.commands.lines import chunks
    from kochi.predictor import READ_AHEAD, SourceError, load

    predictor = load(model, device, precision.value)
    size = batch_size or predictor.run.search.batch_size
    if sample:
        answer = _sampler(predictor, n_best, temperature, seed)
    else:
        answer = partial(predictor.predict, beam=beam, n_best=n_best)
    warned: set[str] = set()
    number = 0
    for chunk in chunks(file, _standard_input(file), READ_AHEAD * size):
        try:
            found = answer(chunk, need_alignment=as_json, batch_size=size)
        except SourceError as error:
            raise UserError(f"line {number + error.place + 1}: {error.reason}") from None
        for prediction in found:
            number += 1
            _warn(prediction, number, warned, predictor)
            _print(prediction, number, n_best, as_json)
        sys.stdout.flush()


def _check_options(
    beam: int | None, n_best: int, sample: bool, temperature: float | None, seed: int | None
) -> None:
    """Refuse options that would be ignored or cannot be met."""
    if sample and beam is not None:
        raise UserError("--beam has no meaning with --sample; leave one of them out")
    if not sample and (temperature is not None or seed is not None):
        raise UserError("--temperature and --seed have a meaning only with --sample; add it")
    if beam is not None and n_best > beam:
        raise UserError(f"--n-best {n_best}: expected at most the beam, {beam}; raise --beam")


def _sampler(
    predictor: "Predictor", num_samples: int, temperature: float | None, seed: int | None
) -> "Callable[..., list[Prediction]]":
    import torch

    generator = torch.Generator().manual_seed(seed or 0)
    return partial(
        predictor.sample,
        num_samples=num_samples,
        temperature=1.0 if temperature is None else temperature,
        generator=generator,
    )


def _standard_input(file: Path) -> io.BufferedReader | io.BytesIO:
    if str(file) == "-" and sys.stdin.isatty():
        print("One source a line; Ctrl-D ends.", file=sys.stderr)
    return cast(io.BufferedReader, sys.stdin.buffer)


def _warn(prediction: "Prediction", number: int, warned: set[str], predictor: "Predictor") -> None:
    """Name what the model never saw, each once."""
    new = [part for part in prediction.unknown if part not in warned]
    if new:
        warned.update(new)
        warn_unknown(new, predictor.source_parts, f"line {number}")


def _print(prediction: "Prediction", number: int, n_best: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps(as_record(prediction), ensure_ascii=False))
    elif n_best == 1:
        print(_one_line(prediction.text))
    else:
        for answer in prediction.n_best:
            print(f"{number}\t{answer.score:.4f}\t{_one_line(answer.text)}")


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def as_record(prediction: "Prediction") -> dict[str, Any]:
    """Return a prediction as plain values for JSON."""
    weights = prediction.alignment
    return {
        "source": prediction.source,
        "text": prediction.text,
        "score": prediction.score,
        "tokens": list(prediction.tokens),
        "source_tokens": list(prediction.source_tokens),
        "n_best": [
            {"text": one.text, "score": one.score, "tokens": list(one.tokens)}
            for one in prediction.n_best
        ],
        "alignment": None
        if weights is None
        else [[round(w, 6) for w in row] for row in weights.tolist()],
        "unknown": list(prediction.unknown),
    }
