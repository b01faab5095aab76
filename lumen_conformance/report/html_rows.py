"""The table of pytest-html, from the same results as everything else: one row a test, and its filter."""

from __future__ import annotations

import re
from html import escape
from typing import Any, Final, NamedTuple

from lumen_conformance.report.counts import telling
from lumen_conformance.report.results import Outcome, Result, Results, counts


class Word(NamedTuple):
    """How the page calls an outcome; ``slot`` is the name that pytest-html's filter has, which knows no others."""

    slot: str
    cell: str
    label: str


WORDS: Final[dict[Outcome, Word]] = {
    "failed": Word("failed", "Failed", "failed"),
    "error": Word("error", "Error", "errors"),
    "baselined": Word("xfailed", "Known", "known failures"),
    "warned": Word("xpassed", "Warned", "warned"),
    "passed": Word("passed", "Passed", "passed"),
    "skipped": Word("skipped", "Skipped", "skipped"),
    "not_judged": Word("rerun", "Not judged", "not judged"),  # the last: the one slot that no comma follows
}
_CELL: Final = re.compile(r"(?<=>)[A-Za-z]+(?=<)")


def reduce(drawn: Any, results: Results) -> None:  # noqa: ANN401 -- pytest-html has no types
    """Leave the row of each test that tells its outcome, with the word for it; count the rows again."""
    tests: dict[str, list[dict[str, Any]]] = drawn.data["tests"]
    for each in results.results:
        found = tests.get(each.entry.nodeid, [])
        if found:
            row = _row(found, _word_of_report(each, results), WORDS[each.outcome])
            tests[each.entry.nodeid] = [_with_reason(row, each, results)]
    owed = {each.nodeid for each in results.missing}
    for nodeid in [name for name in tests if name in owed]:
        del tests[nodeid]
    count = counts(results.results)
    drawn.outcomes.clear()
    for outcome, word in WORDS.items():
        drawn.outcomes[word.slot] = {"label": word.label, "value": count[outcome]}
    drawn.outcomes["error"]["value"] += len(results.broken)


def _word_of_report(result: Result, results: Results) -> str:
    """The word that pytest-html has written for the report that tells the outcome."""
    told = telling(result, results.reports_of(result.entry.nodeid))
    return "Error" if told.failed and told.when in {"setup", "teardown"} else told.outcome.capitalize()


def _with_reason(row: dict[str, Any], result: Result, results: Results) -> dict[str, Any]:
    """The row, with the reason of a skip in the place of pytest's tuple of file, line and reason."""
    if result.outcome not in {"skipped", "not_judged"}:
        return row
    shown = escape(telling(result, results.reports_of(result.entry.nodeid)).longreprtext)
    return {**row, "log": row["log"].replace(shown, escape(result.reason))}


def _row(rows: list[dict[str, Any]], told: str, word: Word) -> dict[str, Any]:
    """The row of the report that tells the outcome; the logs of the others stand behind its own."""
    chosen = next((row for row in rows if f">{told}<" in row["resultsTableRow"][0]), rows[-1])
    others = [row["log"] for row in rows if row is not chosen]
    cells = [_CELL.sub(word.cell, chosen["resultsTableRow"][0], count=1), *chosen["resultsTableRow"][1:]]
    log = "\n".join(dict.fromkeys([chosen["log"], *others]))
    return {**chosen, "resultsTableRow": cells, "result": word.slot, "log": log}
