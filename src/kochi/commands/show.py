"""``kochi show``: what a model attends to as it generates its output."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import Summary, short, warn
from kochi.commands.model import open_model
from kochi.commands.options import Beam, Device, MaxSourceLength, ModelFolder, Trust
from kochi.commands.page import check_page, write_answer
from kochi.errors import UserError
from kochi.printing import draw, say

if TYPE_CHECKING:
    from kochi.inference.predictor import Predictor
    from kochi.modalities.attended import Attended
    from kochi.prediction import Prediction


MOST_CELLS = 100_000  # drawn in the terminal; more take minutes and are unreadable


@worked_example(
    '$ kochi show model "hello"',
    '$ kochi show model "hello" --out hello.svg',
    '$ kochi show model "hello" --out hello.html',
    "$ kochi show speech-model one.wav --out heard.png",
    "$ kochi show picture-model one.png --out looked.png",
    "$ kochi show picture-model one.png --out looked.html",
)
def show(
    model: ModelFolder,
    text: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="The source: a text, or the path of a recording or an image."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Also write a chart (.png, .svg, .pdf) or an interactive page (.html)."),
    ] = None,
    beam: Beam = None,
    max_source_length: MaxSourceLength = None,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Predict from INPUT and draw the alignment, a row per target token, a column per position.

    A recording is drawn as its spectrogram, with the words below it and the alignment over the same
    time axis. An image is drawn once per word, bright where the model attended to, on one scale for
    all words; a frame marks the region with the largest weight, whose share is printed. A page
    opens at words, or at tokens if one side is a single word.
    """
    page = out if out is not None and out.suffix.lower() == ".html" else None
    if page is not None:
        check_page(page)
    elif out is not None:
        from kochi.view.figures import picture_format

        picture_format(out, others=("html",))  # refuse other formats before predicting
    from kochi.prediction import SourceError
    from kochi.view.terminal import draw_alignment

    predictor = open_model(model, device, trust=trust)
    if not predictor.modality.in_files and os.path.isfile(text):
        warn(f"{text}: is a file, but this model reads text: it reads the name, not the file")
    try:
        [prediction] = predictor.predict(
            [text],
            beam=beam,
            need_alignment=True,
            need_heads=page is not None,
            max_source_length=max_source_length,
        )
    except SourceError as error:
        where = "" if predictor.modality.in_files else "INPUT: "
        raise UserError(f"{where}{error.reason}") from None
    summary = Summary(predictor, lambda number: "INPUT")
    summary.add(prediction)
    summary.close()
    if prediction.alignment is None:
        raise UserError(f"{model}: a plain model has no attention, so there is nothing to draw")
    attended = predictor.attended(text, prediction)
    lines = predictor.modality.lines(attended)
    if out is not None:  # before printing: a reader such as head may close the pipe
        _write(predictor, attended, prediction, out, short(model))
    say(prediction.text)
    if lines is not None:
        for line in lines:
            say(line)
    elif prediction.alignment.numel() <= MOST_CELLS:
        columns = prediction.column_labels
        draw(draw_alignment(prediction.alignment, columns, prediction.tokens, legend=True))
    else:
        rows, columns = prediction.alignment.shape
        size = f"{rows:,} rows and {columns:,} columns are too many for the terminal"
        said = f"alignment not drawn: {size}; --out x.png draws them"
        say(said)
    if out is not None:
        say(f"wrote {out}")


def _write(
    predictor: "Predictor", attended: "Attended", prediction: "Prediction", out: Path, model: str
) -> None:
    """Write a page, or a chart of the alignment."""
    from kochi.view.figures import font_advice, missing_glyphs, picture_format
    from kochi.view.labelled import answer_title
    from kochi.visible import visible

    title = answer_title(model, prediction.source, prediction.text)
    if out.suffix.lower() == ".html":
        write_answer(predictor, attended, prediction, out, title)
        return
    predictor.modality.draw(attended, out, title)
    drawn = (title, *attended.source_tokens, *attended.tokens)
    missing = missing_glyphs(map(visible, drawn), picture_format(out))
    if missing:
        warn(f"{out}: {font_advice(missing)}")
