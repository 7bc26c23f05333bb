"""``kochi predict``: answer line by line, or recording by recording."""

import io
import json
import sys
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import warn_remarks, warn_unknown
from kochi.commands.options import (
    BatchSize,
    Beam,
    Device,
    ModelFolder,
    Precision,
    PrecisionName,
    Processes,
)
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.predictor import Prediction, Predictor
    from kochi.times import Timed


class Form(Enum):
    """How an answer is written."""

    SRT = "srt"
    VTT = "vtt"
    JSON = "json"


@worked_example(
    "$ echo hello | kochi predict model",
    "$ kochi predict model words.txt --beam 5 --n-best 2",
    "$ kochi predict speech-model one.wav two.flac --json",
    "$ kochi predict speech-model one.wav --format srt",
    "$ kochi predict streaming-model one.wav --stream",
)
def predict(
    model: ModelFolder,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE...|-]",
            help="Text, one source a line; for a model of sound or pictures their files, for one "
            "of features .npy or .npz files. - is standard input (names of files, one a line, "
            "unless the model reads text).",
        ),
    ] = None,
    beam: Beam = None,
    n_best: Annotated[
        int, typer.Option(min=1, help="Answers for each line: line number, score, text.")
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with score and alignment.")
    ] = False,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="Of one recording: srt or vtt (subtitles), or json."),
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Draw answers.")] = False,
    temperature: Annotated[
        float | None,
        typer.Option(min=0.01, help="With --sample: below 1 bolder, above 1 wilder. Default: 1."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="With --sample: another seed, others. Default: 0.")
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Write words while the sound still comes: from standard input (wav or ogg), or "
            "from one recording as fast as it was spoken. Needs a model whose encoder reads in one "
            "direction and whose attention is monotonic.",
        ),
    ] = False,
    pcm: Annotated[
        int | None,
        typer.Option(min=1, help="With --stream: standard input is bare 16-bit samples, Hz."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="With --stream: do not wait for a recording's time.")
    ] = False,
    batch_size: BatchSize = None,
    device: Device = "auto",
    precision: Precision = PrecisionName.FP32,
    processes: Processes = 1,
) -> None:
    """Answer each line of FILE, or of standard input as it comes, or each recording.

    Lines that trickle in are answered at once; lines that are there already are answered in
    batches, always in their order.
    """
    as_json = as_json or form is Form.JSON
    if stream or pcm is not None or fast:
        others = beam, batch_size, sample, n_best, processes
        if not stream or form not in (None, Form.JSON) or others != (None, None, False, 1, 1):
            raise UserError(
                "--stream goes with --json, --pcm, --fast, --device and --precision only, and "
                "--pcm and --fast only with --stream"
            )
        from kochi.commands.listen import Stream, listen

        listen(Stream(model, tuple(files or ()), pcm, fast, as_json, device, precision.value))
        return
    subtitles = None if form is Form.JSON else form
    _check_options(beam, n_best, sample, temperature, seed)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as the input, whatever the locale
    from kochi.commands.sources import read_sources
    from kochi.predictor import READ_AHEAD, SourceError, load

    predictor = load(model, device, precision.value, processes)
    named = files or [Path("-")]
    text = bool(predictor.source_parts)
    _check_files(predictor, named, subtitles)
    size = batch_size or predictor.run.search.batch_size
    if sample:
        answer = _sampler(predictor, n_best, temperature, seed)
    else:
        answer = partial(predictor.predict, beam=beam, n_best=n_best)
    warned: set[str] = set()
    number = told = 0
    aligned = as_json or subtitles is not None
    waiting = read_sources(predictor.source, named, _standard_input(named, text), READ_AHEAD * size)
    for chunk in waiting:
        try:
            found, wrong = answer(chunk, need_alignment=aligned, batch_size=size), None
        except SourceError as error:
            before = chunk[: error.place]
            found, wrong = answer(before, need_alignment=aligned, batch_size=size), error
        told = warn_remarks(predictor.source.remarks, told)
        for prediction, source in zip(found, chunk, strict=False):
            number += 1
            _warn(prediction, number, warned, predictor)
            if as_json:
                record = as_record(prediction) | _grid_box(predictor, source, prediction)
                print(json.dumps(record, ensure_ascii=False))
            else:
                _print(prediction, number, n_best, subtitles)
        sys.stdout.flush()
        if wrong is not None:
            raise UserError(f"line {number + 1}: {wrong.reason}" if text else wrong.reason)


def _check_files(predictor: "Predictor", files: list[Path], subtitles: "Form | None") -> None:
    if predictor.source_parts and len(files) > 1:
        raise UserError(f"expected one FILE of text, found {len(files)}; join them, or run again")
    if subtitles is None:
        return
    deaf = "text" if predictor.source_parts else ""
    if predictor.run.data.kind == "picture":
        deaf = "pictures"
    if deaf:
        raise UserError(f"--format {subtitles.value}: a model of {deaf} hears nothing to subtitle")
    if len(files) > 1 or str(files[0]) == "-":
        raise UserError(f"--format {subtitles.value}: expected one FILE, a recording")


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


def _standard_input(files: list[Path], text: bool) -> io.BufferedReader | io.BytesIO:
    if str(files[0]) == "-" and sys.stdin.isatty():
        what = "source" if text else "file"
        print(f"One {what} a line; Ctrl-D ends.", file=sys.stderr)
    return cast(io.BufferedReader, sys.stdin.buffer)


def _warn(prediction: "Prediction", number: int, warned: set[str], predictor: "Predictor") -> None:
    """Name what the model never saw, each once."""
    new = [part for part in prediction.unknown if part not in warned]
    if new:
        warned.update(new)
        warn_unknown(new, predictor.source_parts, f"line {number}")


def _print(prediction: "Prediction", number: int, n_best: int, subtitles: "Form | None") -> None:
    if subtitles is not None:
        from kochi.view.subtitles import srt, vtt

        if prediction.words is None:
            raise UserError("a plain model has no attention, so no times are known for subtitles")
        print((srt if subtitles is Form.SRT else vtt)(prediction.words))
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
    } | _places(prediction)


def _places(prediction: "Prediction") -> dict[str, Any]:
    """Return where the alignment's columns are, and when tokens and words were said.

    Columns are frames at equal distances, or the cells of a grid of rows and columns, row after
    row, each so many pixels high and wide (of the picture as the model reads it).
    """
    from kochi.memory import Frames, Grid

    if isinstance(prediction.layout, Grid):
        cell = prediction.layout.cell_height, prediction.layout.cell_width
        return {"grid": prediction.grid, "cell": cell}
    if not isinstance(prediction.layout, Frames):
        return {}
    frames = prediction.layout
    record: dict[str, Any] = {
        "hop_seconds": frames.hop_seconds,
        "first_seconds": frames.first_seconds,
    }
    for name, timed in (("times", prediction.times), ("words", prediction.words)):
        record[name] = None if timed is None else [_span(one) for one in timed]
    return record


def _grid_box(predictor: "Predictor", source: Any, prediction: "Prediction") -> dict[str, Any]:
    """Return the box around all cells in the picture's own pixels: left, top, right, bottom.

    It is None where the picture came from a pipe, which cannot be read a second time.
    """
    from kochi.data.readers.picture import PictureReader

    if prediction.grid is None or not isinstance(predictor.source, PictureReader):
        return {}
    from kochi.looking import grid_box

    if not Path(source).is_file():
        return {"grid_box": None}
    box = grid_box(predictor.source, source, prediction)
    return {"grid_box": [round(side, 2) for side in box]}


def _span(timed: "Timed") -> dict[str, Any]:
    start, end = round(timed.start_seconds, 3), round(timed.end_seconds, 3)
    return {"text": timed.text, "start_seconds": start, "end_seconds": end}
