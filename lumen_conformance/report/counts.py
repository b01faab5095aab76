"""Correct the counts of the terminal and of JUnit, so that they agree with the page and the verdicts.

pytest counts reports, and counts some tests twice: a test whose teardown fails after its call, and a test whose
parallel worker dies after its call. It has no case for a test that never ran.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import pytest
from _pytest.junitxml import LogXML, xml_key

from lumen_conformance.report import shared_files
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.results import NEVER_RAN_REASON, OUTCOMES, RESULTS, Outcome, Result, Results

# The outcome of pytest that each outcome has in JUnit; passed if it is not listed.
_JUNIT: Final[dict[Outcome, str]] = {
    "failed": "failed",
    "error": "failed",
    "not_judged": "skipped",
    "skipped": "skipped",
}


def recount_all(session: pytest.Session) -> None:
    """Count each test once, in the terminal and in JUnit."""
    config = session.config
    if not shared_files.reports(config) or config.option.collectonly:
        return
    results = config.stash[RESULTS]
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        recount(reporter, results)
    if xml := config.stash.get(xml_key, None):
        rewrite(xml, results)


def recount(reporter: pytest.TerminalReporter, results: Results) -> None:
    """Keep one report of each test, in the category of its outcome."""
    for outcome in OUTCOMES:
        reporter.stats[outcome] = [each for each in reporter.stats.get(outcome, ()) if not _is_of_a_test(each)]
    reporter.stats["error"] = list(results.broken)  # each parallel worker reports the same modules
    for each in results.results:
        reporter.stats[each.outcome].append(deciding_report(each, results.reports_of(each.entry.nodeid)))
    for outcome in [name for name in OUTCOMES if not reporter.stats[name]]:
        del reporter.stats[outcome]
    reporter._set_main_color()  # noqa: SLF001 -- the colour of the last line follows the counts


def _is_of_a_test(report: object) -> bool:
    return isinstance(report, pytest.TestReport)


def deciding_report(result: Result, reports: Iterable[pytest.TestReport]) -> pytest.TestReport:
    """Return the report that decides the outcome; for a listed check that passes, a copy that fails."""
    every = list(reports)
    failed = [each for each in every if each.failed]
    others = [each for each in every if each.skipped] or [each for each in every if each.when == "call"] or every
    if result.outcome == "error" and failed:
        return next((each for each in failed if each.when != "call"), failed[-1])
    if result.outcome == "failed" and not failed:
        stale = copy.copy(others[0])
        stale.outcome, stale.longrepr = "failed", result.reason
        return stale
    return failed[0] if failed else others[0]


def rewrite(xml: LogXML, results: Results) -> None:
    """Replace the cases of each test in JUnit by one case; what fails the run is red there, too."""
    unjudged = {each.entry.nodeid for each in results.unjudged}
    kept = [case for (nodeid, _), case in xml.node_reporters.items() if not results.reports_of(str(nodeid))]
    xml.node_reporters_ordered[:] = kept  # only modules that could not be collected
    xml.node_reporters.clear()
    xml.open_reports.clear()
    xml.cnt_double_fail_tests = 0
    xml.stats.update({"error": len(kept), "passed": 0, "failure": 0, "skipped": 0})
    for each in results.results:
        fails = replace(each, outcome="error") if each.entry.nodeid in unjudged else each
        for report in _for_junit(fails, results.reports_of(each.entry.nodeid)):
            xml.pytest_runtest_logreport(report)
    for entry in results.missing:
        for report in _never_ran(entry):
            xml.pytest_runtest_logreport(report)


def set_run_error(xml: LogXML, word: str, sentence: str) -> None:
    """Add or replace a case that is an error of the run as a whole."""
    case = xml.node_reporter("run")
    case.attrs.update(classname="lumen_conformance", name="run")
    xml.stats["error"] -= len(case.nodes)
    case.nodes.clear()
    case._add_simple("error", word, sentence)  # noqa: SLF001 -- as pytest adds an internal error


def _never_ran(entry: ReportEntry) -> list[pytest.TestReport]:
    """Return two reports of a test that never ran: an error, and its end."""
    location = (entry.nodeid.partition("::")[0], None, "")
    error = pytest.TestReport(entry.nodeid, location, {}, "failed", NEVER_RAN_REASON, "setup")
    return [error, pytest.TestReport(entry.nodeid, location, {}, "passed", None, "teardown")]


def _for_junit(result: Result, reports: list[pytest.TestReport]) -> list[pytest.TestReport]:
    """Return two reports of a test: its outcome, and its teardown."""
    decisive, last = copy.copy(deciding_report(result, reports)), copy.copy(reports[-1])
    decisive.outcome = _JUNIT.get(result.outcome, "passed")  # type: ignore[assignment]  # an outcome of pytest
    decisive.when = "setup" if result.outcome == "error" else "call"
    if decisive.failed and isinstance(decisive.longrepr, tuple):  # of a test that was not judged
        decisive.longrepr = result.reason
    decisive.duration, last.duration = result.duration_s, 0.0
    last.when, last.outcome, last.longrepr = "teardown", "passed", None
    for each in (decisive, last):
        each.__dict__.pop("node", None)  # the parallel worker: JUnit would count two workers as two tests
    return [decisive, last]
