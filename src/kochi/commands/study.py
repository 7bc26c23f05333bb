"""``kochi study``: measure again what papers say about attention."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kochi.commands.example import worked_example
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.studies.study import Study
    from kochi.studies.task import Task


@worked_example(
    "$ kochi study list",
    "$ kochi study parallel --seeds 1 --out found",
)
def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A study; or list, or all.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN.toml",
            help="Pairs of your own: a run file, as 'kochi init' writes it. Default: made-up ones.",
        ),
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Right links of the test pairs, as for 'kochi align'.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the run file of --data."),
    ] = None,
    size: Annotated[int, typer.Option(min=4, help="Width of the models; a multiple of 4.")] = 64,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings (or rounds) of each cell.")] = 3,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Begin nothing that would take longer.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that train at once.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of results; it is taken up again.")] = Path(
        "studies"
    ),
) -> None:
    """Answer a question about attention by training small models and measuring them.

    Writes a table (CSV, Markdown), a chart (PNG, SVG) and a page for people, index.html. What was
    measured is kept: the same command goes on after a stop, and more --seeds add to what is there.
    """
    from kochi.studies.names import STUDIES

    if name == "list":
        _list(STUDIES)
        return
    if name != "all" and name not in STUDIES:
        raise UserError(f"no study {name!r}; expected list, all or one of {', '.join(STUDIES)}")
    if size % 4:
        raise UserError(f"--size {size}: expected a multiple of 4, the heads of the Transformer")
    chosen = list(STUDIES.values()) if name == "all" else [STUDIES[name]]
    from kochi.studies.page import write_page
    from kochi.studies.study import Options, do

    task = _task(data, gold, changes or [], size, out)
    command = shlex.join(["kochi", *sys.argv[1:]])
    options = Options(out, seeds, jobs, minutes, command)
    reports = do(chosen, task, options, _say)
    page = write_page(out, list(STUDIES.values()))
    for report in reports.values():
        for claim in report.claims:
            print(f"{claim.verdict}: {claim.text} ({claim.source})")
            for line in claim.because():
                print(f"    {line}")
    print(f"wrote {page}")


def _list(studies: "dict[str, Study]") -> None:
    for name, one in studies.items():
        print(f"{name:<12} {one.question}")


def _task(data: Path | None, gold: Path | None, changes: list[str], size: int, out: Path) -> "Task":
    from dataclasses import replace

    from kochi.studies.task import made_up, own

    if data is None:
        if gold is not None or changes:
            raise UserError("--gold and --set are about data of your own; give them with --data")
        return replace(made_up(out / "data"), size=size)
    return own(data, changes, gold, size)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
