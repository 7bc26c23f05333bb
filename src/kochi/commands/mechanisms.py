"""``kochi mechanisms``: list attention components, their combinations and their kernels."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from kochi.commands.example import worked_example
from kochi.printing import draw, say

SIZE = 8  # width of the modules that are built to check each combination
HEADING = "{} x {} positions in float32 on {}, {}"


@worked_example(
    "$ kochi mechanisms",
    "$ kochi mechanisms --length 4096 --heads 4",
)
def mechanisms(
    length: Annotated[
        int, typer.Option(min=1, help="Number of queries, and of positions they attend to.")
    ] = 128,
    heads: Annotated[int, typer.Option(min=1, max=SIZE, help="Number of heads: 1, 2, 4 or 8.")] = 1,
) -> None:
    """List scores, scopes and selections, their valid combinations, and the kernel for each.

    A number in the table, such as (1), refers to the reason below it why the combination is
    refused. Kernels are those chosen on this machine, for training in float32.
    """
    import torch

    from kochi.errors import UserError

    if SIZE % heads:
        raise UserError(f"--heads {heads}: expected one of 1, 2, 4, 8")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    _list_parts()
    how = f"{heads} head{'s' if heads > 1 else ''}, training"
    say()
    say(f"{HEADING.format(length, length, device, how)}:")
    say()
    reasons: dict[str, int] = {}
    for line in _table(length, heads, device, reasons):
        say(line)
    for reason, number in reasons.items():
        say(f"({number}) refused: {reason}")


def _list_parts() -> None:
    from rich.text import Text

    from kochi.attention import RELATIVES, SCOPES, SCORES, SELECTIONS

    for slot in (SCORES, RELATIVES, SCOPES, SELECTIONS):
        draw(Text(slot.name, "bold"))
        for name in slot:
            line = (slot.component(name).__doc__ or "").strip().splitlines()[0]
            say(f"  {name:<18} {line}")


def _rows() -> Iterable[tuple[str, list[dict[str, str]]]]:
    """Yield every score with every selection, and with every relative term."""
    from kochi.attention import RELATIVES, SCORES, SELECTIONS

    for score in SCORES:
        yield score, [{"score": score, "selection": selection} for selection in SELECTIONS]
    for score in SCORES:
        for relative in RELATIVES:
            row = {"score": score, "selection": "soft", "relative": relative}
            yield f"{score} + {relative}", [row]


def _table(length: int, heads: int, device: str, reasons: dict[str, int]) -> list[str]:
    """Return the lines of the table; selections with the same kernels share one."""
    from kochi.attention import SCOPES

    lines = [_line("", *SCOPES, "selection")]
    for name, rows in _rows():
        groups: dict[tuple[str, ...], list[str]] = {}
        for row in rows:
            cells = [
                _cell(row | {"scope": scope}, length, heads, device, reasons) for scope in SCOPES
            ]
            groups.setdefault(tuple(cells), []).append(row["selection"])
        for cells, selections in groups.items():
            lines.append(_line(name, *cells, ", ".join(selections)))
    return lines


def _line(name: str, *cells: str) -> str:
    *served, last = cells
    return f"{name:<24}{''.join(f'{cell:<16}' for cell in served)}{last}"


def _cell(
    parts: dict[str, str], length: int, heads: int, device: str, reasons: dict[str, int]
) -> str:
    """Return the name of the kernel, or the number of the reason why there is none."""
    from kochi.attention import build

    chosen = (parts["score"], parts["scope"], parts["selection"])
    sizes: Any = {"query_size": SIZE, "memory_size": SIZE, "num_heads": heads}
    try:
        module = build(*chosen, relative=parts.get("relative"), **sizes)
    except ValueError as error:
        return f"({reasons.setdefault(str(error), len(reasons) + 1)})"
    return module.choose(length, length, device=device)[0]
