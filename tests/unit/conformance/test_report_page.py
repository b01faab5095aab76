"""The page is one file; it shows measurements and logs, and escapes the texts of tests."""

from __future__ import annotations

import re

import pytest

from lumen_conformance.report.figures import format_figure, format_number, format_seconds
from tests.fixtures.nested_pytest import NestedRun, stage

MODULES = {
    "recovery/test_01_kill.py": '''
    """Scenario 1: a <i>worker</i> is killed."""
    from pathlib import Path
    from lumen_conformance.registry import expect
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
        for status in (200, 201):
            expect(True, "an answer", status)
        expect(True, "the port can be bound", "it cannot be bound")
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
def ended(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run tests with all parts of the page once."""
    return stage(tmp_path_factory.mktemp("page"), MODULES)


def test_it_is_one_file(ended: NestedRun) -> None:
    """The run writes no other file beside the page, and the page loads no other file."""
    assert [each.name for each in (ended.folder / "reports").iterdir()] == ["report.html"]
    assert not re.search(r"<link (?!rel=\"icon\" href=\"data:)|src=[\"']http|@import|url\(", ended.html)


def test_markup_from_tests_is_no_markup(ended: NestedRun) -> None:
    """Claims, titles, parameters, docstrings of modules and logs are escaped in the page, and data elsewhere."""
    for text in ("<i>worker", "<script>ready", "재시작 <b>", "</td><td> although", "1.10-late-<u>"):
        assert text not in ended.html
    assert {"1.4-automatic-restart", "1.10-late-<u>"} <= ended.checks.keys()
    assert ended.checks["1.4-automatic-restart"]["ko"] == "자동 재시작 <b>"
    assert "\\u003cscript>ready" in ended.html
    assert "A &lt;i&gt;worker&lt;/i&gt; is killed." in ended.html


def test_checks_are_in_the_order_of_their_numbers(ended: NestedRun) -> None:
    """The order is 1.2, 1.4, 1.10, then tests without a number; scenarios come first."""
    assert [name.rpartition("::")[2] for name in ended.checks] == [
        "1.2-health", "1.4-automatic-restart", "1.10-late-<u>", "1.10-late-b", *(f"test_part[{n}]" for n in range(3)),
    ]  # fmt: skip
    assert [each["number"] for each in ended.data["groups"]] == ["1", ""]


def test_a_check_has_its_measurements(ended: NestedRun) -> None:
    """Each measurement has its budget, its share of the budget and its label."""
    figures = {name: each["f"] for name, each in ended.checks.items() if "f" in each}
    assert figures == {
        "1.4-automatic-restart": [["0.4 s", "3 s", 0.133, "restart"], ["2.9 s", "3 s", 0.967, "nearer to its budget"]],
        "1.2-health": [["4 s", "2 s", 2, ""]],
    }


def test_what_held_is_shown(ended: NestedRun) -> None:
    """Each expectation that held is shown once, with the found value; a text in the words of a failure is not."""
    held = {name: each["r"]["held"] for name, each in ended.checks.items() if "held" in each.get("r", {})}
    assert held == {"1.2-health": [["an answer", "200"], ["the port can be bound", ""]]}


def test_a_scenario_shows_its_headline(ended: NestedRun) -> None:
    """The row of a scenario has the number of passed checks, and the measurement marked as headline with a bar."""
    row = re.search(r'id="group-1">.*?</summary>', ended.html, re.DOTALL)
    assert row
    assert re.search(r">4 (<[^>]*>)?passed<", row[0])
    assert "0.4 s" in row[0]
    assert 'aria-label="13 percent of the budget"' in row[0]
    assert 'aria-label="4 passed"' in row[0]


def test_each_log_is_there_once(ended: NestedRun) -> None:
    """The page shows the end of each log once, although every check of a scenario records the same evidence."""
    assert [(each["name"], each["cut_bytes"]) for each in ended.data["logs"]] == [
        ("temporary/evidence/journal.jsonl", 0), ("temporary/evidence/proxy.log", 8022),
    ]  # fmt: skip
    assert ended.html.count("the end of a long log") == 1
    assert {tuple(each["l"]) for name, each in ended.checks.items() if name.startswith("1.")} == {(0, 1)}
    assert [each["l"] for each in ended.data["groups"]] == [[0, 1], []]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "0.0123"), (1.0, "1"), (12, "12"), (1234, "1,234"), (98765.4, "98,765"), (0.0, "0"), (-3.14159, "-3.14")],
)
def test_a_value_has_three_digits(value: float, shown: str) -> None:
    """A value is shown with three significant digits."""
    assert format_number(value) == shown


@pytest.mark.parametrize(
    ("value_s", "shown"),
    [
        (0, "0 ms"),
        (0.00042, "0.4 ms"),
        (0.0123, "12 ms"),
        (0.9999, "1.0 s"),
        (59.96, "1 min 00 s"),
        (119.6, "2 min 00 s"),
    ],
)
def test_a_time_has_a_suitable_unit(value_s: float, shown: str) -> None:
    """A time is shown in milliseconds, seconds or minutes, also at the boundaries."""
    assert format_seconds(value_s) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.00534, "s", "5.34 ms"), (0.5, "s", "0.5 s"), (0.0, "s", "0 s"), (0.05, "%", "0.05 %")],
)
def test_a_short_time_is_shown_in_milliseconds(value: float, unit: str, shown: str) -> None:
    """A time below 0.1 s is shown in milliseconds."""
    assert format_figure(value, unit) == shown
