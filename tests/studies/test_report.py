import csv
import json
from typing import Literal

import pytest

from kochi.studies.estimates import Estimate
from kochi.studies.names import STUDIES
from kochi.studies.page import write_page
from kochi.studies.report import (
    Chart,
    Check,
    Circumstances,
    Claim,
    Report,
    Series,
    as_csv,
    as_markdown,
    write_report,
)

ABOVE, BELOW, AROUND = Estimate(2.0, 1.0, 3.0), Estimate(-2.0, -3.0, -1.0), Estimate(0.5, -1.0, 2.0)
ABOUT = Circumstances("kochi study x", "a <b>", "a machine", "versions", "today", 2)


def claim(*found):
    return Claim("A holds", "Someone 2000", tuple(Check("a less b", one) for one in found))


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ([ABOVE], "holds"),
        ([BELOW], "does not hold"),
        ([AROUND], "not shown"),
        ([AROUND, BELOW], "does not hold"),
        ([ABOVE, AROUND], "holds in part"),
        ([ABOVE, None], "not measured"),
        ([], "not measured"),
    ],
)
def test_outcome(found, outcome):
    assert claim(*found).outcome == outcome


def report(kind: Literal["lines", "bars"] = "lines"):
    places = (1.0, 2.0) if kind == "lines" else ("one", "two")
    series = (Series("a", (ABOVE, None)), Series("b", (BELOW, AROUND)))
    chart = Chart(kind, "place", "value", places, series)
    rows = (("a|b", ABOVE, 3), ("c", None, None))
    return Report(("name", "BLEU", "count"), rows, chart, (claim(ABOVE, BELOW),), ("a <note>",))


def test_table_for_machines():
    rows = list(csv.reader(as_csv(report()).splitlines()))
    assert rows[0] == ["name", "BLEU", "BLEU low", "BLEU high", "BLEU count", "count"]
    assert rows[1] == ["a|b", "2.0", "1.0", "3.0", "1", "3"]
    assert rows[2] == ["c", "", "", "", "", ""]


def test_table_for_people():
    text = as_markdown("Is it so?", report(), ABOUT)
    assert "| a\\|b | 2.00 [1.00, 3.00] | 3 |" in text
    assert "| c | - | - |" in text
    assert "**A holds** (Someone 2000): holds in part (1 of 2)." in text
    assert "a less b: 2.00 [1.00, 3.00] (above 0)" in text
    assert "a less b: -2.00 [-3.00, -1.00] (below 0)" in text
    for circumstance in ("kochi study x", "a machine", "versions", "today", "rounds: 2"):
        assert circumstance in text


@pytest.mark.parametrize("kind", ["lines", "bars"])
def test_files(tmp_path, kind):
    write_report(tmp_path / "focus", "Is it so?", report(kind), ABOUT)
    names = {file.name for file in (tmp_path / "focus").iterdir()}
    assert names == {"table.csv", "table.md", "chart.png", "chart.svg", "report.json"}
    assert (tmp_path / "focus" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert b"value" in (tmp_path / "focus" / "chart.svg").read_bytes()
    assert json.loads((tmp_path / "focus" / "report.json").read_text())["rows"][1] == [
        "c",
        "-",
        "-",
    ]


def test_the_page_needs_nothing_else_and_escapes(tmp_path):
    write_report(tmp_path / "focus", "Is it so?", report(), ABOUT)
    text = write_page(tmp_path, list(STUDIES.values())).read_text()
    assert "◐ holds in part" in text and "A holds" in text
    assert "a &lt;note&gt;" in text and "a &lt;b&gt;" in text
    assert "<script" not in text
    assert 'src="http' not in text and 'href="http' not in text
    assert text.count('src="data:image/svg+xml;base64,') == 1
    assert 'id="cost"' not in text  # it has no report
