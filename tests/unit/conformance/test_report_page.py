"""The page: one file that anyone can open, that shows measurements and logs, and that nothing a test says can break."""

from __future__ import annotations

import re

import pytest

from lumen_conformance.report.html import figure, number, seconds
from tests.fixtures.nested_pytest import Ended, stage

MODULES = {
    "recovery/test_01_kill.py": '''
    """Scenario 1: a <i>worker</i> is killed."""
    from pathlib import Path
    @pytest.fixture(autouse=True)
    def evidence(evidence_path):
        folder = Path("temporary/evidence")
        folder.mkdir(exist_ok=True)
        (folder / "journal.jsonl").write_text('{"event": "<script>ready</script>"}', encoding="utf-8")
        (folder / "proxy.log").write_text("x" * 40_000 + " the end of a long log", encoding="utf-8")
        (folder / "record.json").write_text("not a log", encoding="utf-8")
        evidence_path(folder)
    @check("1.4-automatic-restart", title="자동 재시작 <b>")
    def test_restart(measure):
        """A new worker answers </td><td> although nobody asked & waited."""
        measure(0.4, "s", 3.0, headline=True, label="restart")
        measure(2.9, "s", 3.0, label="nearer to its budget")
    @check("1.2-health")
    def test_health(measure):
        """Health answers."""
        measure(4.0, "s", 2.0)
    @check("1.10-late")
    @pytest.mark.parametrize("how", ["<u>", "b"])
    def test_late(how):
        """It comes last."""
    ''',
    "unit/test_parts.py": '''
    """Parts."""
    @pytest.mark.parametrize("n", range(3))
    def test_part(n):
        """A part is pure."""
    ''',
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """One run with everything that is shown."""
    return stage(tmp_path_factory.mktemp("page"), MODULES)


def test_it_is_one_file(ended: Ended) -> None:
    """Nothing beside the page is written, and nothing is fetched to show it."""
    assert [each.name for each in (ended.folder / "reports").iterdir()] == ["report.html"]
    assert not re.search(r"<link|src=[\"']http|@import|url\(", ended.html)


def test_markup_from_tests_is_escaped(ended: Ended) -> None:
    """Claims, titles, parameters, chapters and logs are shown as they are."""
    for said in ("<i>worker", "<script>ready", "재시작 <b>", "</td><td> although", "[1.10-late-<u>"):
        assert said not in ended.html
    cells = [cell for rows in ended.data["tests"].values() for row in rows for cell in row["resultsTableRow"]]
    for said in ("재시작 &lt;b&gt;", "&lt;/td&gt;&lt;td&gt; although nobody asked &amp; waited", "1.10-late-&lt;u&gt;"):
        assert any(said in cell for cell in cells)
    assert "&lt;script&gt;ready" in ended.html


def test_korean_is_written_as_korean(ended: Ended) -> None:
    """A title is UTF-8 text in its own column of meaning, not an escape."""
    restart = ended.data["tests"]["tests/recovery/test_01_kill.py::test_restart[1.4-automatic-restart]"][0]
    assert 'lang="ko">자동 재시작' in " ".join(restart["resultsTableRow"])


def test_rows_sort_as_people_count(ended: Ended) -> None:
    """pytest-html sorts by what a cell begins with: 1.2, 1.4, 1.10, then tests without a number."""
    rows = [row for rows in ended.data["tests"].values() for row in rows]
    names = [re.sub(r"<.*?>", " ", row["check"]).split()[0] for row in sorted(rows, key=lambda row: row["check"])]
    assert names == [
        "1.2-health",
        "1.4-automatic-restart",
        "1.10-late",
        "1.10-late",
        *(f"test_part[{n}]" for n in range(3)),
    ]
    assert ended.data["initialSort"] == "check"


def test_every_cell_is_one_line(ended: Ended) -> None:
    """pytest-html reads a cell up to the end of its line, and a row has as many cells as the head has columns."""
    rows = [row["resultsTableRow"] for rows in ended.data["tests"].values() for row in rows]
    assert {len(row) for row in rows} == {6}
    assert not any("\n" in cell for row in rows for cell in row)
    assert all(cell.startswith("<td") and cell.endswith("</td>") for row in rows for cell in row)


def test_a_measurement_is_drawn_against_its_budget(ended: Ended) -> None:
    """A bar shows the share of the budget; beyond it, it is full and marked."""
    cells = "".join(cell for rows in ended.data["tests"].values() for row in rows for cell in row["resultsTableRow"])
    assert 'aria-label="13 percent of the budget"' in cells
    assert re.search(r'class="bar over".*?aria-label="200 percent of the budget".*?width="100.0"', cells)


def test_the_scenarios_come_first(ended: Ended) -> None:
    """The table of scenarios stands before the table of tests, with the figure marked as headline."""
    head = ended.html[: ended.html.index('id="results-table"')]
    row = re.search(r'<td class="number">1</td>.*?</tr>', head, re.DOTALL)
    assert row
    assert "A &lt;i&gt;worker&lt;/i&gt; is killed." in row[0]
    assert ">4/4<" in row[0]
    assert "0.4 s" in row[0]
    assert head.index('class="banner') < head.index('class="chapters')


def test_each_log_is_there_once(ended: Ended) -> None:
    """Every check of a scenario names the same evidence; the page folds it in once, its end only, logs only."""
    logs = ended.html[ended.html.index('class="logs"') :]
    assert logs.count("the end of a long log") == 1
    assert "first 8022 bytes left out" in logs
    assert logs.count("&lt;script&gt;ready") == 1
    assert "not a log" not in logs


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "0.0123"), (1.0, "1"), (12, "12"), (1234, "1,234"), (98765.4, "98,765"), (0.0, "0"), (-3.14159, "-3.14")],
)
def test_a_figure_has_three_digits(value: float, shown: str) -> None:
    """A figure shows the digits that count."""
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value_s", "shown"), [(0.0123, "12 ms"), (0.9999, "1.0 s"), (59.96, "1 min 00 s"), (125.0, "2 min 05 s")]
)
def test_a_time_is_readable(value_s: float, shown: str) -> None:
    """A time has the unit that a person would use, also at the edges."""
    assert seconds(value_s) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.00534, "s", "5.34 ms"), (0.5, "s", "0.5 s"), (0.0, "s", "0 s"), (0.05, "%", "0.05 %")],
)
def test_a_short_time_is_shown_in_milliseconds(value: float, unit: str, shown: str) -> None:
    """Few zeros: below a tenth of a second a time is told in milliseconds."""
    assert figure(value, unit) == shown
