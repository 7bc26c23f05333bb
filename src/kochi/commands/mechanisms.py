"""``kochi mechanisms``: what attention is made of here, what combines, and who computes it."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from kochi.commands.example import worked_example

SIZE = 8  # of the attentions that are built to see whether they can be
HEADING = "{} x {} places in float32 on the {}, {}"


@worked_example(
    "$ kochi mechanisms",
    "$ kochi mechanisms --length 4096 --heads 4",
)
def mechanisms(
    length: Annotated[
        int, typer.Option(min=1, help="Number of queries, and of places to look at.")
    ] = 128,
    heads: Annotated[int, typer.Option(min=1, max=SIZE, help="A power of two.")] = 1,
) -> None:
    """List scores, scopes and selections; say what combines and which kernel serves it here."""
    import torch
    from rich.console import Console

    from kochi.errors import UserError

    if SIZE % heads:
        raise UserError(f"--heads {heads}: expected one of 1, 2, 4, 8")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    console = Console(highlight=False, soft_wrap=True)
    _list_parts(console)
    how = f"{heads} head{'s' if heads > 1 else ''}, training"
    console.print(f"\n{HEADING.format(length, length, device, how)}:\n", markup=False)
    reasons: dict[str, int] = {}
    console.print(_table(_rows(), length, heads, device, reasons))
    for reason, number in reasons.items():
        console.print(f"({number}) refused: {reason}", markup=False)


def _list_parts(console: Any) -> None:
    from kochi.attention import building

    for what, makers in (
        ("score", building.MAKE_SCORE),
        ("relative", building.MAKE_RELATIVE),
        ("scope", building.MAKE_SCOPE),
        ("selection", building.MAKE_SELECTION),
    ):
        console.print(what, style="bold")
        for name, maker in makers.items():
            line = (maker.kind.__doc__ or "").strip().splitlines()[0]
            console.print(f"  {name:<18} {line}", markup=False)


def _rows() -> Iterable[dict[str, str]]:
    """Give every score with every selection, and every relative term with every dot product."""
    from kochi.attention import RELATIVES, SCORES, SELECTIONS

    for score in SCORES:
        for selection in SELECTIONS:
            yield {"score": score, "selection": selection}
    for score in SCORES:
        for relative in RELATIVES:
            yield {"score": score, "selection": "soft", "relative": relative}


def _table(
    rows: Iterable[dict[str, str]],
    length: int,
    heads: int,
    device: str,
    reasons: dict[str, int],
) -> Any:
    from rich.table import Table

    from kochi.attention import SCOPES

    table = Table("score", "selection", *SCOPES, box=None, pad_edge=False)
    for row in rows:
        name = " + ".join(part for part in (row["score"], row.get("relative")) if part)
        cells = [_cell(row | {"scope": scope}, length, heads, device, reasons) for scope in SCOPES]
        if "relative" not in row or not all(cell.startswith("(") for cell in cells):
            table.add_row(name, row["selection"], *cells)
    return table


def _cell(
    parts: dict[str, str], length: int, heads: int, device: str, reasons: dict[str, int]
) -> str:
    """Return the kernel that serves, or the number of the reason why nothing can."""
    from kochi.attention import build

    chosen = (parts["score"], parts["scope"], parts["selection"])
    sizes: Any = {"query_size": SIZE, "memory_size": SIZE, "num_heads": heads}
    try:
        module = build(*chosen, relative=parts.get("relative"), **sizes)
    except ValueError as error:
        return f"({reasons.setdefault(str(error), len(reasons) + 1)})"
    return module.choose(length, length, device=device)[0]
