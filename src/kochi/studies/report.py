"""What a study found: a table, a chart, and what became of each claim."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kochi.folder import write_atomic
from kochi.studies.estimates import Estimate

Outcome = Literal["holds", "holds in part", "does not hold", "not shown", "not measured"]


@dataclass(frozen=True)
class Check:
    """One comparison that a claim rests on.

    Attributes:
        statement: What is said to be above 0, with its unit.
        found: The figure; None where a cell is missing.
    """

    statement: str
    found: Estimate | None

    @property
    def holds(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.found is not None and self.found.low > 0.0

    @property
    def fails(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.found is not None and self.found.high < 0.0


@dataclass(frozen=True)
class Claim:
    """What a paper says, and the comparisons that would show it here.

    Attributes:
        text: The claim.
        source: Paper, year, section or table.
        checks: It holds where all of these do, and in part where some do. Where none does, it does
            not hold if one fails; else the intervals leave it open, and it is not shown.
    """

    text: str
    source: str
    checks: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """What became of the claim."""
        if not self.checks or any(check.found is None for check in self.checks):
            return "not measured"
        held = sum(check.holds for check in self.checks)
        if held == len(self.checks):
            return "holds"
        if held:
            return "holds in part"
        return "does not hold" if any(check.fails for check in self.checks) else "not shown"

    @property
    def verdict(self) -> str:
        """The outcome; where the claim holds in part, of how many comparisons."""
        if self.outcome != "holds in part":
            return self.outcome
        held = sum(check.holds for check in self.checks)
        return f"{self.outcome} ({held} of {len(self.checks)})"

    def because(self) -> list[str]:
        """Write each comparison with its figure."""
        lines = []
        for check in self.checks:
            shown = "not measured" if check.found is None else check.found.show()
            below = "below 0" if check.fails else "not shown to be above 0"
            verdict = "above 0" if check.holds else below
            lines.append(f"{check.statement}: {shown}" + (f" ({verdict})" if check.found else ""))
        return lines


@dataclass(frozen=True)
class Series:
    """One line or group of bars of a chart.

    Attributes:
        name: As the legend has it.
        points: A figure for each place on the axis; None where there is none.
    """

    name: str
    points: tuple[Estimate | None, ...]


@dataclass(frozen=True)
class Chart:
    """What is drawn.

    Attributes:
        kind: "lines" over numbers, or "bars" over names.
        x_label: What lies along the axis.
        y_label: What is drawn, with its unit.
        places: The numbers or names along the axis.
        series: What is drawn over them.
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
class Report:
    """All that a study found.

    Attributes:
        columns: Of the table; the first names the row.
        rows: Figures and texts; None where a cell was not measured.
        chart: What is drawn.
        claims: What became of what the papers say.
        notes: What a reader must know.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    chart: Chart
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Circumstances:
    """How a report came about.

    Attributes:
        command: What repeats it.
        data: What it was done on.
        machine: Processor, cores, system.
        versions: Of kochi, Python and torch.
        date: Day and time.
        seeds: How many seeds (or rounds) were asked for.
    """

    command: str
    data: str
    machine: str
    versions: str
    date: str
    seeds: int


def as_csv(report: Report) -> str:
    """Write the table: a figure takes four columns (value, low, high, count).

    A figure that is missing leaves its cells empty.
    """
    wide = [_is_figure(report, place) for place in range(len(report.columns))]
    header: list[str] = []
    for name, figure in zip(report.columns, wide, strict=True):
        header += [name, f"{name} low", f"{name} high", f"{name} count"] if figure else [name]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in report.rows:
        writer.writerow(
            [
                part
                for value, figure in zip(row, wide, strict=True)
                for part in _parts(value, figure)
            ]
        )
    return text.getvalue()


def _is_figure(report: Report, place: int) -> bool:
    return any(isinstance(row[place], Estimate) for row in report.rows)


def _parts(value: Value, figure: bool) -> list[Any]:
    if isinstance(value, Estimate):
        return [value.value, value.low, value.high, value.count]
    return [value, *[None] * (3 * figure)]


def show(value: Value) -> str:
    """Write one cell for people.

    >>> show(Estimate(2.0, 1.0, 3.0)), show(12345), show(None)
    ('2.00 [1.00, 3.00]', '12,345', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, Estimate):
        return value.show()
    if isinstance(value, str):
        return value
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def as_markdown(title: str, report: Report, about: Circumstances) -> str:
    """Write title, circumstances, table, claims and notes."""
    lines = [f"# {title}", "", f"- {about.date}, {about.machine}", f"- {about.versions}"]
    lines += [f"- data: {about.data}; seeds or rounds: {about.seeds}", f"- `{about.command}`", ""]
    lines += [_row(report.columns), _row(["---"] * len(report.columns))]
    lines += [_row([show(value) for value in row]) for row in report.rows]
    lines += ["", "Figures in brackets are 95 % intervals (of times: smallest and largest).", ""]
    for claim in report.claims:
        lines += [f"**{claim.text}** ({claim.source}): {claim.verdict}.", ""]
        lines += [*(f"- {line}" for line in claim.because()), ""]
    lines += [f"Note: {note}" for note in report.notes]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_report(folder: Path, title: str, report: Report, about: Circumstances) -> None:
    """Write table.csv, table.md, chart.png, chart.svg and report.json.

    Raises:
        OSError: The folder cannot be written.
    """
    from kochi.studies.chart import draw

    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "table.csv", as_csv(report).encode())
    write_atomic(folder / "table.md", as_markdown(title, report, about).encode())
    for kind in ("png", "svg"):
        draw(report.chart, title, folder / f"chart.{kind}")
    record = {
        "title": title,
        "about": dataclasses.asdict(about),
        "columns": report.columns,
        "rows": [[show(value) for value in row] for row in report.rows],
        "claims": [
            {
                "text": claim.text,
                "source": claim.source,
                "outcome": claim.outcome,
                "verdict": claim.verdict,
                "because": claim.because(),
            }
            for claim in report.claims
        ],
        "notes": report.notes,
    }
    write_atomic(folder / "report.json", json.dumps(record, indent=1).encode())
