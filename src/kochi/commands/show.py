"""``kochi show``: where a model looked while it wrote."""

from pathlib import Path
from typing import Annotated

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import warn_unknown
from kochi.commands.options import Beam, Device, ModelFolder
from kochi.errors import UserError


@worked_example(
    '$ kochi show model "hello"',
    '$ kochi show model "hello" --out hello.svg',
)
def show(
    model: ModelFolder,
    text: Annotated[str, typer.Argument(metavar="INPUT", help="What the model is to read.")],
    out: Annotated[
        Path | None, typer.Option(help="Write a picture, .png or .svg, as well.")
    ] = None,
    beam: Beam = None,
    device: Device = "auto",
) -> None:
    """Answer INPUT and draw the alignment: a row for each token written, a column for each read."""
    if out is not None:
        from kochi.view.figures import picture_format

        picture_format(out)  # a name that cannot be written is refused at once
    from rich.console import Console

    from kochi.predictor import SourceError, load
    from kochi.view.terminal import draw_alignment

    predictor = load(model, device)
    try:
        [prediction] = predictor.predict([text], beam=beam, need_alignment=True)
    except SourceError as error:
        raise UserError(f"INPUT: {error.reason}") from None
    if prediction.alignment is None:
        raise UserError(f"{model}: a plain model has no attention, so there is nothing to draw")
    if prediction.unknown:
        warn_unknown(prediction.unknown, predictor.source_parts, "INPUT")
    console = Console(highlight=False)
    console.print(prediction.text, markup=False, soft_wrap=True)
    sides = prediction.source_tokens, prediction.tokens
    console.print(draw_alignment(prediction.alignment, *sides, legend=True))
    if out is not None:
        from kochi.view.picture import save_alignment

        save_alignment(prediction.alignment, *sides, out, title=prediction.text)
        console.print(f"wrote {out}", markup=False)
