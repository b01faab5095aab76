"""Progress of ``lumen-conformance``: on a terminal one line with a count and the time left, on a pipe nothing.

Not part of the plugin: the command adds it. Dots are left out; what fails is listed at the end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterable
from typing import Final

import pytest

from lumen_conformance.report import shared_files
from lumen_conformance.report.results import RESULTS, Result

FIRST_ESTIMATE_S: Final = 2.0  # before that, too few tests have ended to say anything
BETWEEN_S: Final = 0.1  # a terminal is written ten times a second at most
ERASE_LINE: Final = "\r\x1b[K"


class Progress:
    """One line of a terminal that is updated in place."""

    def __init__(self, config: pytest.Config, reporter: pytest.TerminalReporter) -> None:
        self._results = config.stash[RESULTS]
        self._reporter = reporter
        self._started_s = time.monotonic()
        self._written_s = 0.0
        self._ended: set[str] = set()
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what has ended."""
        if report.failed:
            self._failed.add(report.nodeid)
        if report.when == "teardown":
            self._ended.add(report.nodeid)
        now_s = time.monotonic()
        if now_s - self._written_s >= BETWEEN_S:
            self._written_s = now_s
            counts = (len(self._ended | self._failed), len(self._results.expected), len(self._failed))
            self._reporter.write(ERASE_LINE + line(*counts, now_s - self._started_s), flush=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Erase the line: the summary follows."""
        self._reporter.write(ERASE_LINE, flush=True)


def line(ended: int, expected: int, failed: int, elapsed_s: float) -> str:
    """Return the number of tests that ended, of all, and of those that failed, and the estimated time left."""
    parts = [f"{ended}/{expected}", f"{failed} failed" if failed else ""]
    if ended and elapsed_s >= FIRST_ESTIMATE_S:
        left_s = round(elapsed_s / ended * (expected - ended))
        parts.append("about {}:{:02} left".format(*divmod(left_s, 60)))
    return ", ".join(filter(None, parts))


@pytest.hookimpl(trylast=True)  # after the results are there
def pytest_configure(config: pytest.Config) -> None:
    """Show progress on a terminal."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        reporter.showfspath = False  # no line a module
    is_run = not config.getoption("--replay")
    if reporter and shared_files.reports(config) and reporter.isatty and is_run:
        config.pluginmanager.register(Progress(config, reporter), "report-progress")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_report_teststatus() -> Generator[None, tuple[str, str, object], tuple[str, str, object]]:
    """Print no letter a test."""
    category, _, word = yield
    return category, "", word


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why checks were skipped: one line a reason, instead of pytest's one a module and line."""
    if lines := skip_lines(config.stash[RESULTS].results):
        terminalreporter.section("skipped")
        for each in lines:
            terminalreporter.write_line(each)


def skip_lines(results: Iterable[Result]) -> list[str]:
    """Return each reason for which checks were skipped, with their number, the most frequent first."""
    reasons = Counter(each.reason for each in results if each.outcome == "skipped")
    return [f"{number:4}  {reason}" for reason, number in reasons.most_common()]
