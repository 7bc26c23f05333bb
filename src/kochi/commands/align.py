"""``kochi align``: align words or tokens by what a model attends to."""

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import note
from kochi.commands.model import open_model
from kochi.commands.options import BatchSize, Device, ModelFolder, Trust, UnitName
from kochi.errors import UserError
from kochi.printing import put, put_json, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float
    from torch import Tensor

    from kochi.inference.predictor import Predictor
    from kochi.metrics import Score
    from kochi.metrics.alignment import Link
    from kochi.prediction import Prediction
    from kochi.word_alignment import Unit

CHUNK = 1024  # pairs read at a time


@worked_example(
    "$ kochi align model sources.txt targets.txt",
    "$ kochi align model sources.txt targets.txt --gold links.txt --out found.txt",
    "$ kochi align model sources.txt targets.txt --unit tokens",
)
def align(
    model: ModelFolder,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Sources, one text per line.")],
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Targets to align them with, one per line.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write the links to this file instead of the screen.")
    ] = None,
    gold: Annotated[
        Path | None,
        typer.Option(
            help="Gold links, one line per pair: 0-0 is sure, 0?1 possible. Prints the alignment "
            "error rate. The indices count the unit of --unit."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Link every source word (or token) with at least this weight. Default: only the "
            "one with the largest weight."
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(min=1, help="Layer of a Transformer, from 1; averages over its heads."),
    ] = None,
    unit: Annotated[
        UnitName,
        typer.Option(
            help="Unit of the links. auto: tokens if one side is a single word in at least half of "
            f"the (first {CHUNK:,}) pairs, as in pronunciation dictionaries; otherwise words."
        ),
    ] = UnitName.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    batch_size: BatchSize = None,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Force MODEL to generate TARGET from SOURCE and link words by the alignment of its attention.

    Writes one line of links per pair in the Pharaoh format: 2-1 links the third source word to the
    second target word. Subwords are merged into words; a word that attends most to the end mark has
    no link. Links between tokens count the tokens that 'kochi show' prints, without the end mark.
    """
    if threshold is not None and not 0.0 < threshold <= 1.0:
        raise UserError(f"--threshold {threshold:g}: expected a share above 0 and at most 1")
    if as_json and gold is None:
        raise UserError("--json prints scores, and there are none without --gold")
    from kochi.folder import write_output
    from kochi.metrics.alignment import alignment_scores
    from kochi.word_alignment import find_links, pharaoh, read_gold, word_counts

    predictor = open_model(model, device, trust=trust)
    _check_reads_text(predictor, model)
    found: list[list[Link]] = []
    sizes: list[tuple[int, int]] = []
    between: Unit | None = None if unit == UnitName.AUTO else unit.value
    for texts in _pairs(source, target):
        between = between or _choose_unit(texts)
        predictions = _forced(predictor, source, target, texts, len(found), batch_size)
        for prediction, text in zip(predictions, texts[1], strict=True):
            alignment = _alignment(prediction, model, layer)
            if between == "words":
                weights = predictor.merge_words(alignment, prediction.source, text)
                sizes += word_counts([(prediction.source, text)])
            else:
                weights = alignment.double().numpy()
                sizes.append((weights.shape[1] - 1, len(weights)))
            found.append(find_links(weights, threshold))
    assert between is not None  # there is at least one pair
    right = None if gold is None else read_gold(gold, sizes, between)
    text = "".join(f"{pharaoh(links)}\n" for links in found)
    if out is not None:
        write_output(out, text.encode())
    elif right is None:
        put(text, end="")
    if right is not None:
        scores = alignment_scores(found, right, unit=between)
        _print_scores(scores, len(found), between, model, as_json)


def _choose_unit(texts: "tuple[list[str], list[str]]") -> "Unit":
    """Choose the unit of the links; print a note if it is not words."""
    from kochi.word_alignment import choose_unit, word_counts

    counts = word_counts(zip(*texts, strict=True))
    chosen = choose_unit(counts)
    if chosen == "tokens":
        alone = sum(min(pair) <= 1 for pair in counts)
        note(
            f"links are between tokens: one side is one word in {alone:,} of {len(counts):,} "
            "pairs; --unit words links words"
        )
    return chosen


def _print_scores(
    scores: "dict[str, Score]", count: int, unit: "Unit", model: Path, as_json: bool
) -> None:
    if as_json:
        values = {name: score.to_dict() for name, score in scores.items()}
        put_json({"model": str(model), "pairs": count, "unit": unit, "scores": values})
        return
    say(f"{count:,} pairs, links between {unit}")
    for score in scores.values():
        say(f"{score}   {score.signature}")


def _check_reads_text(predictor: "Predictor", model: Path) -> None:
    from kochi.config import PlainModel

    if isinstance(predictor.run.model, PlainModel):
        raise UserError(f"{model}: a plain model has no attention, so there is nothing to align by")
    if not predictor.source.parts:
        modality = predictor.modality
        raise UserError(
            f"{model}: reads {modality.sources}, which have no words to link; "
            f"{modality.instead_of_words}"
        )


def _pairs(source: Path, target: Path) -> "Iterator[tuple[list[str], list[str]]]":
    """Read both files in parallel, in chunks."""
    from kochi.data.lines import lines

    chunk: tuple[list[str], list[str]] = ([], [])
    number = 0
    for number, row in enumerate(zip_longest(lines(source), lines(target)), 1):
        for file, text, side in zip((source, target), row, chunk, strict=True):
            if text is None:
                raise UserError(
                    f"{file}: ends after line {number - 1}, but the other file goes on; expected a "
                    f"target line for each source line in {source} and {target}"
                )
            if not text or text.isspace():
                raise UserError(f"{file}:{number}: empty line; expected text on both sides")
            side.append(text)
        if len(chunk[0]) == CHUNK:
            yield chunk
            chunk = ([], [])
    if not number:
        raise UserError(f"{source}: is empty; expected one source a line")
    if chunk[0]:
        yield chunk


def _forced(
    predictor: "Predictor",
    source: Path,
    target: Path,
    texts: tuple[list[str], list[str]],
    before: int,
    batch_size: int | None,
) -> "list[Prediction]":
    from kochi.prediction import SourceError, TargetError

    try:
        return predictor.align(*texts, batch_size=batch_size, need_heads=True)
    except SourceError as error:
        raise UserError(f"{source}:{before + error.place + 1}: {error.reason}") from None
    except TargetError as error:
        raise UserError(f"{target}:{before + error.place + 1}: {error.reason}") from None


def _alignment(
    prediction: "Prediction", model: Path, layer: int | None
) -> 'Float[Tensor, "target source"]':
    """Return the alignment of a layer, the mean over its heads; the last column is the end mark."""
    assert prediction.heads is not None
    layers = len(prediction.heads)
    if layer is not None and layer > layers:
        raise UserError(f"--layer {layer}: {model} has {layers} that look{'s' * (layers == 1)}")
    return prediction.heads[(layer or layers) - 1].mean(0)
