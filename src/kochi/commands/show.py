"""``kochi show``: where a model looked while it wrote."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import warn_unknown
from kochi.commands.options import Beam, Device, ModelFolder
from kochi.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from kochi.predictor import Prediction, Predictor


@worked_example(
    '$ kochi show model "hello"',
    '$ kochi show model "hello" --out hello.svg',
    "$ kochi show picture-model one.png --out looked.png",
)
def show(
    model: ModelFolder,
    text: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="What the model is to read: a text, a recording, or a picture."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write a picture, .png or .svg, as well.")
    ] = None,
    beam: Beam = None,
    device: Device = "auto",
) -> None:
    """Answer INPUT and show where the model looked.

    The alignment has a row for each token written and a column for each one read, or is laid over
    INPUT if that is a picture, word by word.
    """
    if out is not None:
        from kochi.view.figures import picture_format

        picture_format(out)  # a name that cannot be written is refused at once
    from rich.console import Console

    from kochi.predictor import SourceError, load

    predictor = load(model, device)
    try:
        [prediction] = predictor.predict([text], beam=beam, need_alignment=True)
    except SourceError as error:
        where = "INPUT: " if predictor.source_parts else ""
        raise UserError(f"{where}{error.reason}") from None
    if prediction.alignment is None:
        raise UserError(f"{model}: a plain model has no attention, so there is nothing to draw")
    if prediction.unknown:
        warn_unknown(prediction.unknown, predictor.source_parts, "INPUT")
    console = Console(highlight=False)
    console.print(prediction.text, markup=False, soft_wrap=True)
    if prediction.grid is None:
        _show_rows(prediction, console, out)
    else:
        _show_picture(predictor, prediction, console, out)
    if out is not None:
        console.print(f"wrote {out}", markup=False)


def _show_rows(prediction: "Prediction", console: "Console", out: Path | None) -> None:
    from kochi.view.terminal import draw_alignment

    assert prediction.alignment is not None
    sides = prediction.source_tokens or _clock(prediction), prediction.tokens
    console.print(draw_alignment(prediction.alignment, *sides, legend=True))
    if out is not None:
        from kochi.view.picture import save_alignment

        save_alignment(prediction.alignment, *sides, out, title=prediction.text)


def _show_picture(
    predictor: "Predictor", prediction: "Prediction", console: "Console", out: Path | None
) -> None:
    """Say for each word where its peak is, and draw the picture once a word."""
    from kochi.looking import looked_at
    from kochi.view.overlay import peaks, save_overlay

    if not prediction.tokens:
        raise UserError(f"{prediction.source}: the answer is empty, so there is nothing to draw")
    looked = looked_at(predictor, prediction.source, prediction.text)
    for word, (across, down, share) in zip(looked.words, peaks(looked), strict=True):
        line = f"  {word:<16} {share:4.0%} at {across:.0f}, {down:.0f}"
        console.print(line, markup=False, soft_wrap=True)
    if out is not None:
        save_overlay(looked, out, prediction.text)


def _clock(prediction: "Prediction") -> tuple[str, ...]:
    """Label the places of a memory of sound: tenths of a second, where a new one begins."""
    from kochi.memory import Frames

    layout, weights = prediction.layout, prediction.alignment
    if weights is None or not isinstance(layout, Frames):
        return ()
    labels, before = [], -1
    for place in range(weights.shape[1]):
        tenth = int(layout.centre_seconds(place) * 10 + 1e-6)
        labels.append(f"{tenth / 10:.1f}" if tenth != before else "·")
        before = tenth
    return tuple(labels)
