"""Correct the table of pytest-html and its filter: one row for each test, with its outcome."""

from __future__ import annotations

import re
from html import escape
from typing import Any, Final, NamedTuple

from lumen_conformance.report.counts import deciding_report
from lumen_conformance.report.results import Outcome, Result, Results, counts


class Label(NamedTuple):
    """The texts for an outcome; ``slot`` is the outcome of pytest-html whose filter shows it."""

    slot: str
    cell: str
    text: str


LABELS: Final[dict[Outcome, Label]] = {
    "failed": Label("failed", "Failed", "failed"),
    "error": Label("error", "Error", "errors"),
    "baselined": Label("xfailed", "Known", "known failures"),
    "warned": Label("xpassed", "Warned", "warned"),
    "passed": Label("passed", "Passed", "passed"),
    "skipped": Label("skipped", "Skipped", "skipped"),
    "not_judged": Label("rerun", "Not judged", "not judged"),  # last, because no comma follows this slot
}
_CELL: Final = re.compile(r"(?<=>)[A-Za-z]+(?=<)")


def reduce(drawn: Any, results: Results) -> None:  # noqa: ANN401 -- pytest-html has no types
    """Keep one row of each test, with the label of its outcome; count the rows again."""
    tests: dict[str, list[dict[str, Any]]] = drawn.data["tests"]
    for each in results.results:
        found = tests.get(each.entry.nodeid, [])
        if found:
            row = _row(found, _label_of_report(each, results), LABELS[each.outcome])
            tests[each.entry.nodeid] = [_with_reason(row, each, results)]
    missing = {each.nodeid for each in results.missing}
    for nodeid in [name for name in tests if name in missing]:
        del tests[nodeid]
    count = counts(results.results)
    drawn.outcomes.clear()
    for outcome, label in LABELS.items():
        drawn.outcomes[label.slot] = {"label": label.text, "value": count[outcome]}
    drawn.outcomes["error"]["value"] += len(results.broken)


def _label_of_report(result: Result, results: Results) -> str:
    """Return the label that pytest-html has written for the report that decides the outcome."""
    report = deciding_report(result, results.reports_of(result.entry.nodeid))
    return "Error" if report.failed and report.when in {"setup", "teardown"} else report.outcome.capitalize()


def _with_reason(row: dict[str, Any], result: Result, results: Results) -> dict[str, Any]:
    """Return the row with the reason of a skip, instead of a tuple of file, line and reason."""
    if result.outcome not in {"skipped", "not_judged"}:
        return row
    shown = escape(deciding_report(result, results.reports_of(result.entry.nodeid)).longreprtext)
    return {**row, "log": row["log"].replace(shown, escape(result.reason))}


def _row(rows: list[dict[str, Any]], written: str, label: Label) -> dict[str, Any]:
    """Return the row of the report that decides the outcome, with the logs of the other rows after its own."""
    chosen = next((row for row in rows if f">{written}<" in row["resultsTableRow"][0]), rows[-1])
    others = [row["log"] for row in rows if row is not chosen]
    cells = [_CELL.sub(label.cell, chosen["resultsTableRow"][0], count=1), *chosen["resultsTableRow"][1:]]
    log = "\n".join(dict.fromkeys([chosen["log"], *others]))
    return {**chosen, "resultsTableRow": cells, "result": label.slot, "log": log}
