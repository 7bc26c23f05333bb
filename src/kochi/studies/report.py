"""The report of a study: a table, a chart, and the verdict on each claim."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kochi.folder import write_atomic
from kochi.studies.claims import Judged
from kochi.studies.estimates import FEWEST, Estimate


@dataclass(frozen=True)
class Series:
    """A line or a group of bars of a chart.

    Attributes:
        name: Its name in the legend.
        points: A figure for each point of the axis; None where there is none.
    """

    name: str
    points: tuple[Estimate | None, ...]


@dataclass(frozen=True)
class Chart:
    """The content of a chart.

    Attributes:
        kind: "lines" over numbers, or "bars" over names.
        x_label: Label of the x axis.
        y_label: Label of the y axis, with its unit.
        places: The numbers or names on the x axis.
        series: The lines or bars.
        logarithmic: Whether both axes of lines are logarithmic.
    """

    kind: Literal["lines", "bars"]
    x_label: str
    y_label: str
    places: tuple[float, ...] | tuple[str, ...]
    series: tuple[Series, ...]
    logarithmic: bool = False


Value = Estimate | float | int | str | None


@dataclass(frozen=True)
class Ran:
    """The measurements with a label.

    Attributes:
        label: The model or measurement.
        seeds: The measured draws.
        failed: Those of them whose training failed.
        learning_rate: Its tuned learning rate; None if nothing is trained.
        steps: Number of training steps.
        seconds: Mean core seconds of a training.
    """

    label: str
    seeds: tuple[int, ...]
    failed: tuple[int, ...] = ()
    learning_rate: float | None = None
    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Table:
    """Figures of a study.

    Attributes:
        columns: Names of the columns; the first contains the name of each row.
        rows: Figures and texts; None if a cell was not measured.
        chart: The chart.
        notes: Notes for the reader.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    chart: Chart
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All results of a study.

    Attributes:
        table: Its figures.
        claims: The verdicts on the claims.
        ran: The measurements.
        elsewhere: Verdicts of other runs, by the text of a claim and the name of the run.
    """

    table: Table
    claims: tuple[Judged, ...]
    ran: tuple[Ran, ...] = ()
    elsewhere: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def stable(self, judged: Judged) -> bool:
        """Return whether all runs that judged a claim agree."""
        others = self.elsewhere.get(judged.claim.text, {}).values()
        return len({judged.verdict, *others} - {"not judged"}) < 2


@dataclass(frozen=True)
class Circumstances:
    """The circumstances of a report.

    Attributes:
        command: The command that reproduces it.
        data: The data.
        machine: Processor, cores, system.
        versions: Versions of kochi, Python and torch.
        date: Date and time.
    """

    command: str
    data: str
    machine: str
    versions: str
    date: str


CLAIM_COLUMNS = ("claim", "source", "estimand: claimed", "estimate [95 %]", "draws", "verdict")
INTERVALS = (
    "Figures in brackets are 95 % intervals over draws. A claim holds where the interval of every "
    "test lies wholly in the range that it claims, and is refuted where that of one lies wholly "
    f"outside; a verdict needs {FEWEST} draws. Verdicts are given by themselves and, where that "
    "changes them, corrected for all claims of the page (Holm)."
)


def claim_rows(report: Report) -> list[tuple[str, ...]]:
    """Format the claims as a table, one row per test; values of the claim are in its first row."""
    rows = []
    for judged in report.claims:
        verdict = judged.show() + ("" if report.stable(judged) else " (not stable)")
        for number, one in enumerate(judged.found):
            figure = "-" if one.estimate is None else one.estimate.show()
            part = f" ({one.verdict})" if len(judged.found) > 1 else ""
            first = number == 0
            rows.append(
                (
                    judged.claim.text if first else "",
                    judged.claim.source.show() if first else "",
                    f"{one.estimand}: {one.range.show()}",
                    figure + part,
                    spans(one.estimate.seeds) if one.estimate is not None else "-",
                    verdict if first else "",
                )
            )
    return rows


def against(report: Report, judged: Judged) -> list[str]:
    """Return the statement of the source, the differences from it, and all caveats of a verdict."""
    source, lines = judged.claim.source, []
    if source.says:
        lines.append(f"There: {source.says}")
    if source.differs:
        lines.append(f"Here: {source.differs}")
    others = report.elsewhere.get(judged.claim.text, {})
    lines += [f"In {name}: {verdict}" for name, verdict in others.items()]
    return lines


def spans(seeds: Iterable[int]) -> str:
    """Format numbers, with consecutive ones as ranges.

    >>> spans([1, 2, 3, 5]), spans([])
    ('1-3, 5', 'none')
    """
    groups: list[list[int]] = []
    for seed in sorted(seeds):
        if groups and seed == groups[-1][-1] + 1:
            groups[-1].append(seed)
        else:
            groups.append([seed])
    written = [f"{one[0]}-{one[-1]}" if len(one) > 1 else f"{one[0]}" for one in groups]
    return ", ".join(written) or "none"


def as_csv(table: Table) -> str:
    """Format the table as CSV: a figure takes four columns (value, low, high, draws).

    A missing figure leaves its cells empty.
    """
    wide = [_is_figure(table, place) for place in range(len(table.columns))]
    header: list[str] = []
    for name, figure in zip(table.columns, wide, strict=True):
        header += [name, f"{name} low", f"{name} high", f"{name} draws"] if figure else [name]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in table.rows:
        writer.writerow(
            [
                part
                for value, figure in zip(row, wide, strict=True)
                for part in _parts(value, figure)
            ]
        )
    return text.getvalue()


def _is_figure(table: Table, place: int) -> bool:
    return any(isinstance(row[place], Estimate) for row in table.rows)


def _parts(value: Value, figure: bool) -> list[Any]:
    if isinstance(value, Estimate):
        ends = [end if math.isfinite(end) else None for end in (value.low, value.high)]
        return [value.value, *ends, value.count]
    return [value, *[None] * (3 * figure)]


def show(value: Value) -> str:
    """Format a cell for display.

    >>> show(Estimate(2.0, 0.5, 9.0)), show(12345), show(None)
    ('2.00 [0.87, 3.13]', '12,345', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, Estimate):
        return value.show()
    if isinstance(value, str):
        return value
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


RAN_COLUMNS = ("measured", "draws", "did not train in", "learning rate", "steps", "core seconds")


def ran_rows(report: Report) -> list[tuple[str, ...]]:
    """Format the measurements, one row per label."""
    return [
        (
            one.label,
            spans(one.seeds),
            spans(one.failed),
            "-" if one.learning_rate is None else f"{one.learning_rate:g}",
            "-" if one.steps is None else f"{one.steps:,}",
            "-" if one.seconds is None else f"{one.seconds:.0f}",
        )
        for one in report.ran
    ]


def as_markdown(title: str, report: Report, about: Circumstances) -> str:
    """Format title, circumstances, claims, caveats, table and notes."""
    lines = [f"# {title}", "", f"- {about.date}, {about.machine}", f"- {about.versions}"]
    lines += [f"- data: {about.data}", f"- `{about.command}`", ""]
    lines += [*_markdown(CLAIM_COLUMNS, claim_rows(report)), "", INTERVALS, ""]
    for judged in report.claims:
        lines += [f"**{judged.claim.text}** {judged.show()}.", ""]
        lines += [*(f"- {line}" for line in against(report, judged)), ""]
    rows = [[show(value) for value in row] for row in report.table.rows]
    lines += [*_markdown(report.table.columns, rows), ""]
    lines += [*_markdown(RAN_COLUMNS, ran_rows(report)), ""]
    lines += [f"Note: {note}" for note in report.table.notes]
    return "\n".join(lines).rstrip() + "\n"


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(columns), _row(["---"] * len(columns)), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_report(folder: Path, title: str, report: Report, about: Circumstances) -> None:
    """Write table.csv, table.md, chart.png, chart.svg and report.json.

    Raises:
        OSError: The folder cannot be written.
    """
    from kochi.studies.chart import draw

    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "table.csv", as_csv(report.table).encode())
    write_atomic(folder / "table.md", as_markdown(title, report, about).encode())
    for kind in ("png", "svg"):
        draw(report.table.chart, title, folder / f"chart.{kind}")
    record = {
        "title": title,
        "about": dataclasses.asdict(about),
        "columns": report.table.columns,
        "rows": [[show(value) for value in row] for row in report.table.rows],
        "claims": [_claim_record(report, judged) for judged in report.claims],
        "claim_rows": claim_rows(report),
        "ran_rows": ran_rows(report),
        "notes": report.table.notes,
    }
    write_atomic(folder / "report.json", json.dumps(record, indent=1).encode())


def _claim_record(report: Report, judged: Judged) -> dict[str, Any]:
    return {
        "text": judged.claim.text,
        "source": dataclasses.asdict(judged.claim.source) | {"shown": judged.claim.source.show()},
        "verdict": judged.verdict,
        "corrected": judged.corrected,
        "shown": judged.show(),
        "stable": report.stable(judged),
        "seeds": judged.seeds,
        "tests": [one.show() for one in judged.found],
        "against": against(report, judged),
    }
