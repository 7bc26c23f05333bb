"""A self-contained page with the results of all studies in a folder; it needs no network."""

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from kochi.folder import write_atomic
from kochi.studies.report import CLAIM_COLUMNS, INTERVALS, RAN_COLUMNS
from kochi.studies.study import Study
from kochi.view.policy import content_policy

MARKS = {"holds": "✓", "refuted": "✗", "not shown": "?", "not judged": "–"}
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
.holds { color: #1b6e3c; } .refuted { color: #a3231f; } .not-shown, .not-judged { color: #555; }
.unstable { color: #7a5b00; font-weight: 600; }
.small { color: #555; font-size: .9rem; }
pre { white-space: pre-wrap; color: #555; font-size: .85rem; }
"""


def write_page(folder: Path, studies: Sequence[Study]) -> Path:
    """Write index.html for the studies with a report in a folder; return its path.

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
        f"<tr><td>{_verdict(claim)}</td><td>{escape(claim['text'])} "
        f'<span class="small">{escape(claim["source"]["shown"])}</span></td>'
        f'<td><a href="#{study.name}">{study.name}</a></td></tr>\n'
        for study, record in found.items()
        for claim in record["claims"]
    )
    intro = "<p>Claims about attention, measured on this machine.</p>"
    return (
        f"{intro}\n<p class=small>{escape(INTERVALS)}</p>\n"
        f'<div class="wide"><table><tr><th>here<th>claim<th>study</tr>\n{rows}</table></div>\n'
    )


def _verdict(claim: dict[str, Any]) -> str:
    verdict = claim["verdict"]
    kind = verdict.replace(" ", "-")
    stable = "" if claim["stable"] else ' <span class="unstable">not stable</span>'
    return (
        f'<span class="outcome {kind}">{MARKS[verdict]} {escape(verdict)}</span>'
        f"{escape(claim['shown'][len(verdict) :])}{stable}"
    )


def _section(folder: Path, study: Study, record: dict[str, Any]) -> str:
    first, _, rest = study.text.partition("\n\n")
    picture = base64.b64encode((folder / study.name / "chart.svg").read_bytes()).decode()
    against = "".join(_against(claim) for claim in record["claims"])
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in record["notes"])
    about = record["about"]
    lines = [about["command"], f"data: {about['data']}"]
    lines += [about["machine"], f"{about['versions']}; {about['date']}"]
    return (
        f'<h2 id="{study.name}">{escape(first)}</h2>\n<p>{escape(rest)}</p>\n'
        f"{_table(CLAIM_COLUMNS, record['claim_rows'])}"
        f'<img alt="{escape(_spoken(record))}" src="data:image/svg+xml;base64,{picture}">\n'
        f"<h3>What speaks for and against</h3>\n{against}"
        f"<h3>Figures</h3>\n{_table(record['columns'], record['rows'])}{notes}"
        f"<h3>What ran</h3>\n{_table(RAN_COLUMNS, record['ran_rows'])}"
        f"<pre>{escape(chr(10).join(lines))}</pre>\n"
    )


def _against(claim: dict[str, Any]) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in claim["against"])
    return f"<p>{_verdict(claim)}: {escape(claim['text'])}</p>\n<ul class=small>{lines}</ul>\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) + "</tr>\n" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>\n{body}</table></div>\n'


def _spoken(record: dict[str, Any]) -> str:
    return f"Chart of the figures below: {', '.join(record['columns'])}"
