"""One page with everything that the studies in a folder found; it needs no network."""

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from kochi.folder import write_atomic
from kochi.studies.study import Study
from kochi.view.policy import content_policy

MARKS = {
    "holds": "✓",
    "holds in part": "◐",
    "does not hold": "✗",
    "not shown": "?",
    "not measured": "–",
}
STYLE = """
:root { color-scheme: light; font-family: system-ui, sans-serif; line-height: 1.5; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 3rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd; }
th { vertical-align: bottom; font-weight: 600; }
td { vertical-align: top; }
.wide { overflow-x: auto; }
.wide table { font-size: .9rem; }
img { max-width: 100%; height: auto; }
.outcome { white-space: nowrap; font-weight: 600; }
.holds { color: #1b6e3c; } .holds-in-part { color: #7a5b00; }
.does-not-hold { color: #a3231f; } .not-shown, .not-measured { color: #555; }
.small { color: #555; font-size: .9rem; }
pre { white-space: pre-wrap; color: #555; font-size: .85rem; }
"""


def write_page(folder: Path, studies: Sequence[Study]) -> Path:
    """Write index.html of the studies that have a report in a folder; return its path.

    Raises:
        OSError: The folder cannot be written.
    """
    found = {
        study: json.loads((folder / study.name / "report.json").read_bytes())
        for study in studies
        if (folder / study.name / "report.json").exists()
    }
    parts = [_summary(found), *(_section(folder, *item) for item in found.items())]
    head = '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
    head += f"{content_policy(STYLE)}\n"
    head += (
        '<meta name="viewport" content="width=device-width">\n<title>What attention does</title>'
    )
    text = (
        f"{head}\n<style>{STYLE}</style>\n<h1>What attention does</h1>\n{''.join(parts)}</html>\n"
    )
    path = folder / "index.html"
    write_atomic(path, text.encode())
    return path


def _summary(found: dict[Study, dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{_outcome(claim)}</td><td>{escape(claim['text'])} "
        f'<span class="small">{escape(claim["source"])}</span></td>'
        f'<td><a href="#{study.name}">{study.name}</a></td></tr>\n'
        for study, record in found.items()
        for claim in record["claims"]
    )
    intro = (
        "<p>What papers say about attention, measured again on this machine. A claim holds where "
        "the whole 95 % interval of every comparison it rests on is on its side, and in part where "
        "that is so of some.</p>"
    )
    return f"{intro}\n<table><tr><th>here<th>claim<th>study</tr>\n{rows}</table>\n"


def _outcome(claim: dict[str, Any]) -> str:
    outcome = claim["outcome"]
    kind = outcome.replace(" ", "-")
    return (
        f'<span class="outcome {escape(kind)}">{MARKS[outcome]} {escape(claim["verdict"])}</span>'
    )


def _section(folder: Path, study: Study, record: dict[str, Any]) -> str:
    first, _, rest = study.text.partition("\n\n")
    picture = base64.b64encode((folder / study.name / "chart.svg").read_bytes()).decode()
    claims = "".join(_claim(claim) for claim in record["claims"])
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in record["notes"])
    about = record["about"]
    lines = [about["command"], f"data: {about['data']}; seeds or rounds: {about['seeds']}"]
    lines += [about["machine"], f"{about['versions']}; {about['date']}"]
    return (
        f'<h2 id="{study.name}">{escape(first)}</h2>\n<p>{escape(rest)}</p>\n'
        f'<img alt="{escape(_spoken(record))}" src="data:image/svg+xml;base64,{picture}">\n'
        f"{claims}{_table(record)}{notes}<pre>{escape(chr(10).join(lines))}</pre>\n"
    )


def _claim(claim: dict[str, Any]) -> str:
    because = "".join(f"<li>{escape(line)}</li>" for line in claim["because"])
    return f"<p>{_outcome(claim)}: {escape(claim['text'])}</p>\n<ul class=small>{because}</ul>\n"


def _table(record: dict[str, Any]) -> str:
    head = "".join(f"<th>{escape(name)}" for name in record["columns"])
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) + "</tr>\n"
        for row in record["rows"]
    )
    return f'<div class="wide"><table><tr>{head}</tr>\n{rows}</table></div>\n'


def _spoken(record: dict[str, Any]) -> str:
    return f"Chart of the table below: {', '.join(record['columns'])}"
