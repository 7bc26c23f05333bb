import csv
import json
from typing import Literal

import pytest

from kochi.studies.claims import Claim, Source, Test, judge
from kochi.studies.estimates import Estimate, Figure
from kochi.studies.names import STUDIES
from kochi.studies.page import write_page
from kochi.studies.report import (
    Chart,
    Circumstances,
    Ran,
    Report,
    Series,
    Table,
    as_csv,
    as_markdown,
    write_report,
)
from tests.studies.test_claims import ABOVE, BELOW, Known, of

SURE, ONE = Estimate(2.0, 0.5, 9.0, (1, 2, 3)), Estimate(3.0, seeds=(4,))
ABOUT = Circumstances("kochi study x", "a <b>", "a machine", "versions", "today")
SOURCE = Source("Someone 2000", "table 1", "9 of 10", "smaller", "https://example.org")


def report(kind: Literal["lines", "bars"] = "lines", elsewhere=None):
    places = (1.0, 2.0) if kind == "lines" else ("one", "two")
    series = (Series("a", (SURE, None)), Series("b", (ONE, SURE)))
    chart = Chart(kind, "place", "value", places, series)
    rows = (("a|b", SURE, 3), ("c", None, None), ("d", ONE, 1))
    table = Table(("name", "BLEU", "count"), rows, chart, ("a <note>",))
    tests = (Test("a less b", of("x")), Test("b less c", of("y")))
    claims = (Claim("A holds.", SOURCE, tests), Claim("B holds.", Source("ours"), tests[:1]))
    known: dict[str, Figure] = {"x": ABOVE, "y": BELOW}
    ran = (Ran("a", (1, 2, 3, 5), (5,), 0.004, 600, 31.4), Ran("steps", (1,)))
    return Report(table, judge(claims, Known(known)), ran, elsewhere or {})


def test_table_for_machines():
    rows = list(csv.reader(as_csv(report().table).splitlines()))
    assert rows[0] == ["name", "BLEU", "BLEU low", "BLEU high", "BLEU draws", "count"]
    assert rows[1][:2] == ["a|b", "2.0"] and rows[1][4:] == ["3", "3"]
    assert [round(float(end), 2) for end in rows[1][2:4]] == [0.87, 3.13]
    assert rows[2] == ["c", "", "", "", "", ""]
    assert rows[3] == ["d", "3.0", "", "", "1", "1"]  # one draw has no interval


def test_page_for_people():
    text = as_markdown("Is it so?", report(), ABOUT)
    assert "| a\\|b | 2.00 [0.87, 3.13] | 3 |" in text
    assert "| c | - | - |" in text and "| d | 3.00 [one draw] | 1 |" in text
    claim = "| A holds. | Someone 2000, table 1 | a less b: above 0 | 2.00 [1.00, 3.00] (holds) |"
    assert claim + " 1-4 | refuted |" in text
    assert "|  |  | b less c: above 0 | -2.00 [-3.00, -1.00] (refuted) | 1-4 |  |" in text
    assert "- There: 9 of 10\n- Here: smaller" in text
    assert "| a | 1-3, 5 | 5 | 0.004 | 600 | 31 |" in text
    for circumstance in ("kochi study x", "a machine", "versions", "today"):
        assert circumstance in text


def test_verdicts_that_changed_are_marked():
    elsewhere = {"A holds.": {"other": "refuted"}, "B holds.": {"other": "not shown"}}
    found = report(elsewhere=elsewhere)
    first, second = found.claims
    assert found.stable(first) and not found.stable(second)
    text = as_markdown("Is it so?", found, ABOUT)
    assert "| refuted |" in text and "| holds (not stable) |" in text
    assert "- In other: not shown" in text
    unjudged = report(elsewhere={"B holds.": {"other": "not judged"}})
    assert unjudged.stable(unjudged.claims[1])


@pytest.mark.parametrize("kind", ["lines", "bars"])
def test_files(tmp_path, kind):
    write_report(tmp_path / "focus", "Is it so?", report(kind), ABOUT)
    names = {file.name for file in (tmp_path / "focus").iterdir()}
    assert names == {"table.csv", "table.md", "chart.png", "chart.svg", "report.json"}
    assert (tmp_path / "focus" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert b"value" in (tmp_path / "focus" / "chart.svg").read_bytes()
    record = json.loads((tmp_path / "focus" / "report.json").read_text())
    assert record["rows"][1] == ["c", "-", "-"]
    assert record["claims"][0]["verdict"] == "refuted"
    assert record["claims"][0]["source"]["link"] == "https://example.org"
    assert record["claims"][0]["seeds"] == [1, 2, 3, 4]


def test_the_page_needs_nothing_else_and_escapes(tmp_path):
    write_report(tmp_path / "focus", "Is it so?", report(), ABOUT)
    text = write_page(tmp_path, list(STUDIES.values())).read_text()
    assert "✗ refuted" in text and "A holds." in text and "✓ holds" in text
    assert "a &lt;note&gt;" in text and "a &lt;b&gt;" in text
    assert "<script" not in text
    assert 'src="http' not in text and 'href="http' not in text
    assert text.count('src="data:image/svg+xml;base64,') == 1
    assert 'id="cost"' not in text  # it has no report
