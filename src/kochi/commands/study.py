"""``kochi study``: measure again what papers say about attention."""

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kochi.commands.example import worked_example
from kochi.errors import UserError
from kochi.printing import say

if TYPE_CHECKING:
    from kochi.studies.study import Study
    from kochi.studies.task import Draws


@worked_example(
    "$ kochi study list",
    "$ kochi study parallel --seeds 1 --out found",
)
def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A study; or list, or all.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Data of your own: a run file (.toml), or what 'kochi init' makes one of: pairs "
            "of text; recordings for long-speech; pictures for hard. Default: made-up data.",
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
    seeds: Annotated[
        int, typer.Option(min=1, help="Draws: data, weights and batches, or rounds of time.")
    ] = 5,
    first: Annotated[
        int, typer.Option(min=1, help="The first seed; other seeds are other draws.")
    ] = 1,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Begin nothing that would take longer.")
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Another run, to set its verdicts beside these."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that train at once, on a core each. Default: all."),
    ] = None,
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
    from kochi.studies.estimates import FEWEST
    from kochi.studies.page import write_page
    from kochi.studies.study import Options, do

    start, jobs = time.monotonic(), jobs or _cores()
    for folder in against or ():
        if not folder.is_dir():
            raise UserError(
                f"--against {folder}: no such folder; expected the --out of another run"
            )
    tasks = _tasks(chosen, data, gold, changes or [], size, out)
    if seeds < FEWEST:
        _say(f"--seeds {seeds}: a verdict needs {FEWEST} draws, so there will be figures alone")
    if data is None and minutes is not None:
        tasks = _affordable(tasks, jobs, minutes)
    command = shlex.join(["kochi", *sys.argv[1:]])
    options = Options(out, seeds, first, jobs, minutes, command, tuple(against or ()), start)
    reports = do(tasks, options, _say)
    page = write_page(out, list(STUDIES.values()))
    for report in reports.values():
        for judged in report.claims:
            stable = "" if report.stable(judged) else " (not stable)"
            say(f"{judged.show()}{stable}: {judged.claim.text} ({judged.claim.source.show()})")
            for one in judged.found:
                say(f"    {one.show()}")
    say(f"wrote {page}")


def _affordable(tasks: "dict[Study, Draws]", jobs: int, minutes: float) -> "dict[Study, Draws]":
    """Say which claims the minutes can decide; of several studies take those alone."""
    from kochi.studies.pace import affordable, needed_minutes, slowness

    slow = slowness()
    chosen = affordable(tasks, jobs, minutes, slow)
    for study, draws in tasks.items():
        needed, count = needed_minutes(study, jobs, slow), len(study.claims(draws))
        decided = "decided" if study in chosen else "not decided"
        _say(
            f"{study.name}: {count} claims {decided} in {minutes:g} minutes; it needs {needed:.0f}"
        )
    if len(tasks) == 1 or not chosen:
        return tasks
    return {study: tasks[study] for study in tasks if study in chosen}


def _list(studies: "dict[str, Study]") -> None:
    for name, one in studies.items():
        say(f"{name:<12} {one.question}")


def _tasks(
    chosen: "list[Study]",
    data: Path | None,
    gold: Path | None,
    changes: list[str],
    size: int,
    out: Path,
) -> "dict[Study, Draws]":
    if data is None:
        if gold is not None or changes:
            raise UserError("--gold and --set are about data of your own; give them with --data")
        return {one: one.default(out / "data", size) for one in chosen}
    from kochi.studies.task import own

    if data.suffix != ".toml":
        data = _run_file(data, out)
    draws = own(data, changes, gold, size)
    if len(chosen) == 1:
        chosen[0].check(draws)
        return {chosen[0]: draws}
    fitting = [one for one in chosen if draws.reads in one.reads]
    for one in fitting:
        one.check(draws)
    others = ", ".join(one.name for one in chosen if one not in fitting)
    _say(f"left out, as they need other data: {others}")
    return dict.fromkeys(fitting, draws)


def _run_file(data: Path, out: Path) -> Path:
    """Write the run file that ``kochi init`` would."""
    from kochi.modalities.detection.start import start

    out.mkdir(parents=True, exist_ok=True)
    return start(data, out / "data.toml", "data-model").run_file


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _say(line: str) -> None:
    say(line, error=True)
