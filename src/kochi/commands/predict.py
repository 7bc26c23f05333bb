"""``kochi predict``: predict targets line by line, or recording by recording."""

import io
import shlex
import sys
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from kochi.commands.example import worked_example
from kochi.commands.lines import Stream as Bytes
from kochi.commands.lines import name_of
from kochi.commands.messages import Summary, one_line
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
from kochi.printing import put, put_json, say
from kochi.reading import nearest_path

if TYPE_CHECKING:
    from kochi.inference.predictor import Predictor
    from kochi.prediction import Prediction


class Form(Enum):
    """Output format of a prediction."""

    SRT = "srt"
    VTT = "vtt"
    JSON = "json"


@worked_example(
    "$ echo hello | kochi predict model",
    "$ kochi predict model words.txt --beam 5 --n-best 2",
    "$ kochi predict speech-model one.wav two.flac --with-names",
    "$ kochi predict speech-model one.wav --format srt",
    "$ kochi predict streaming-model one.wav --stream",
)
def predict(
    model: ModelFolder,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE...|-]",
            help="Text, one source per line; image or audio files for models of images or audio, "
            ".npy or .npz files for models of features. - reads from standard input: text, a "
            "single such file, or file names, one per line.",
        ),
    ] = None,
    beam: Beam = None,
    n_best: Annotated[
        int, typer.Option(min=1, help="Predictions per line; prints line number, score and text.")
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line, with score and alignment.")
    ] = False,
    with_names: Annotated[
        bool, typer.Option("--with-names", help="Prefix predictions with the file name and a tab.")
    ] = False,
    strict: Strict = False,
    unknown: Unknown = None,
    max_source_length: MaxSourceLength = None,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="For a single recording: srt or vtt (subtitles), or json."),
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Sample instead of searching.")] = False,
    temperature: Annotated[
        float | None,
        typer.Option(min=0.01, help="With --sample: temperature; below 1 is sharper. Default: 1."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="With --sample: seed of the generator. Default: 0.")
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Recognise audio while it arrives: from standard input (wav or ogg), or from one "
            "recording played in real time. Needs a model with a unidirectional encoder and "
            "monotonic attention.",
        ),
    ] = False,
    pcm: Annotated[
        int | None,
        typer.Option(min=1, help="With --stream: sample rate of headerless 16-bit input, in Hz."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="With --stream: do not wait for real time.")
    ] = False,
    batch_size: BatchSize = None,
    device: Device = "auto",
    trust: Trust = None,
    precision: Precision = PrecisionName.FP32,
    processes: Processes = 1,
) -> None:
    """Predict the target of each line of FILE or standard input, or of each recording.

    Lines from a pipe are predicted as they arrive; lines that are already available are predicted
    in batches. The order of the output is always that of the input. A blank line gives a blank
    line, and so does a source that cannot be read or is too long, with a warning; the exit code is
    then 1. In a terminal, control characters in predictions are escaped; files and pipes get
    predictions unchanged.
    """
    as_json = as_json or form is Form.JSON
    if stream or pcm is not None or fast:
        others = beam, batch_size, sample, n_best, processes
        more = with_names or strict or unknown or max_source_length
        plain = others == (None, None, False, 1, 1) and not more
        if not stream or form not in (None, Form.JSON) or not plain:
            raise UserError(
                "--stream goes with --json, --pcm, --fast, --device, --precision and --trust "
                "only, and --pcm and --fast only with --stream"
            )
        from kochi.commands.listen import Stream, listen

        found = tuple(files or ()), pcm, fast, as_json
        listen(Stream(model, *found, device, precision.value, tuple(trust or ())))
        return
    subtitles = None if form is Form.JSON else form
    _check_options(beam, n_best, sample, temperature, seed)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as the input, in any locale
    from kochi.commands.sources import read_sources
    from kochi.inference.predictor import READ_AHEAD

    predictor = open_model(model, device, precision.value, processes, trust)
    named = files or [Path("-")]
    text = not predictor.modality.in_files
    _check_files(predictor, named, subtitles)
    _check_names(with_names, text, as_json, subtitles)
    size = batch_size or predictor.run.search.batch_size
    options = search_options(beam, size, unknown, max_source_length)
    options |= {"need_alignment": as_json or subtitles is not None, "errors": "skip"}
    if sample:
        del options["beam"]
        answer = _sampler(predictor, n_best, temperature, seed)
    else:
        answer = partial(predictor.predict, n_best=n_best)
    printer = _Printer(predictor, n_best, as_json, with_names, subtitles)
    summary = Summary(predictor, lambda number: f"{name_of(named[0])}:{number}")
    waiting = read_sources(text, named, _standard_input(named, text), READ_AHEAD * size)
    try:
        for chunk in waiting:
            for prediction, source in zip(answer(chunk, **options), chunk, strict=True):
                if strict and (prediction.error is not None or not prediction.source.strip()):
                    raise UserError(summary.refuse(prediction))
                summary.add(prediction)
                printer.print(prediction, source)
            sys.stdout.flush()
    finally:
        sys.stdout.flush()
        summary.close()
    if summary.unanswered:
        raise typer.Exit(1)


def _check_files(predictor: "Predictor", files: list[Path], subtitles: "Form | None") -> None:
    if not predictor.modality.in_files:
        missing = [str(file) for file in files if str(file) != "-" and not file.exists()]
        if missing and (len(files) > 1 or " " in missing[0] or not files[0].suffix):
            raise UserError(
                f"{missing[0]}: no such file; expected a file with one source per line"
                f"{nearest_path(Path(missing[0]))}; for a text itself, use: echo "
                f"{shlex.quote(' '.join(map(str, files)))} | kochi predict MODEL"
            )
        if len(files) > 1:
            raise UserError(
                f"expected one FILE of text, found {len(files)}; join them, or run again"
            )
    if subtitles is None:
        return
    if not predictor.modality.lasts:
        what = predictor.modality.sources
        raise UserError(f"--format {subtitles.value}: a model of {what} hears nothing to subtitle")
    if len(files) > 1 or str(files[0]) == "-":
        raise UserError(f"--format {subtitles.value}: expected one FILE, a recording")


def _check_names(with_names: bool, text: bool, as_json: bool, subtitles: "Form | None") -> None:
    if with_names and text:
        raise UserError("--with-names: this model reads lines of text, which have no names")
    if with_names and (as_json or subtitles is not None):
        raise UserError("--with-names goes with plain answers only; --json names each source")


def _check_options(
    beam: int | None, n_best: int, sample: bool, temperature: float | None, seed: int | None
) -> None:
    """Raise an error for options that would be ignored or cannot be combined."""
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


def _standard_input(files: list[Path], text: bool) -> Bytes:
    if str(files[0]) == "-" and sys.stdin.isatty():
        what = "source" if text else "file"
        say(f"One {what} a line; Ctrl-D ends.", error=True)
    return cast(io.BufferedReader, sys.stdin.buffer)


class _Printer:
    """Prints predictions in the form that the options select."""

    def __init__(
        self,
        predictor: "Predictor",
        n_best: int,
        as_json: bool,
        with_names: bool,
        subtitles: "Form | None",
    ) -> None:
        self._predictor = predictor
        self._n_best, self._as_json, self._with_names = n_best, as_json, with_names
        self._subtitles = subtitles
        self._number = 0

    def print(self, prediction: "Prediction", source: Any) -> None:
        """Print the prediction for the next source."""
        self._number += 1
        if self._as_json:
            predictor = self._predictor
            in_source = predictor.modality.record(predictor.source, source, prediction)
            put_json(prediction.to_record() | in_source)
        elif self._subtitles is not None:
            _print_subtitles(prediction, self._subtitles)
        else:
            name = one_line(prediction.source).replace("\t", " ")
            for line in self._lines(prediction):
                put(f"{name}\t{line}" if self._with_names else line)

    def _lines(self, prediction: "Prediction") -> list[str]:
        if self._n_best == 1:
            return [one_line(prediction.text)]
        answers = [(one.score, one.text) for one in prediction.n_best]
        return [
            f"{self._number}\t{score:.4f}\t{one_line(text)}"
            for score, text in answers or [(prediction.score, prediction.text)]
        ]


def _print_subtitles(prediction: "Prediction", form: Form) -> None:
    from kochi.modalities.frames_prediction import FramesPrediction
    from kochi.view.subtitles import srt, vtt

    if prediction.error is not None:
        return
    if not isinstance(prediction, FramesPrediction) or prediction.words is None:
        raise UserError("a plain model has no attention, so no times are known for subtitles")
    put((srt if form is Form.SRT else vtt)(prediction.words))
