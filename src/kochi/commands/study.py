"""``kochi study``: test claims of papers about attention."""

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
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a study, or list, or all.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Your own data: a run file (.toml), or data as for 'kochi init': text pairs, "
            "recordings for long-speech, or images for hard. Default: synthetic data.",
        ),
    ] = None,
    gold: Annotated[
        Path | None,
        typer.Option(help="Gold alignment links of the test pairs, as for 'kochi align'."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key of the --data run file. Can be given several times.",
        ),
    ] = None,
    size: Annotated[int, typer.Option(min=4, help="Width of the models; a multiple of 4.")] = 64,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of random seeds (of data, weights and batches), or of rounds of timing.",
        ),
    ] = 5,
    first: Annotated[int, typer.Option(min=1, help="The first random seed.")] = 1,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.1, help="Time limit; start nothing that would exceed it."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="The --out of another run, whose verdicts are shown beside these. Can be given "
            "several times.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of models to train in parallel, one core each. Default: all cores."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of results; an existing one is continued.")
    ] = Path("studies"),
) -> None:
    """Test claims about attention by training and measuring small models.

    Writes a table (CSV, Markdown), a chart (PNG, SVG) and a report, index.html. Measurements are
    kept: the same command continues after an interruption, and more --seeds add to the existing
    ones.
    """
    from kochi.studies.names import STUDIES

    if name == "list":
        _list(STUDIES)
        return
    if name != "all" and name not in STUDIES:
        raise UserError(
            f"unknown study {name!r}; expected list, all or one of {', '.join(STUDIES)}"
        )
    if size % 4:
        raise UserError(f"--size {size}: expected a multiple of 4, the number of heads")
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
        _say(f"--seeds {seeds}: a verdict needs {FEWEST} seeds; reporting measurements only")
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
    """Report which claims the minutes can decide; of several studies keep only those."""
    from kochi.studies.pace import affordable, needed_minutes, slowness

    slow = slowness()
    chosen = affordable(tasks, jobs, minutes, slow)
    for study, draws in tasks.items():
        needed, count = needed_minutes(study, jobs, slow), len(study.claims(draws))
        decided = "decided" if study in chosen else "not decided"
        _say(f"{study.name}: {count} claims {decided} in {minutes:g} minutes; needs {needed:.0f}")
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
            raise UserError("--gold and --set need your own data; give it with --data")
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
    _say(f"skipping studies that need other data: {others}")
    return dict.fromkeys(fitting, draws)


def _run_file(data: Path, out: Path) -> Path:
    """Write the run file that ``kochi init`` would write."""
    from kochi.modalities.detection.start import start

    out.mkdir(parents=True, exist_ok=True)
    return start(data, out / "data.toml", "data-model").run_file


def _cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _say(line: str) -> None:
    say(line, error=True)
