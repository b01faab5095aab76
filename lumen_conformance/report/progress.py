"""Progress of ``lumen-conformance``: on a terminal one line with a count and the time left, on a pipe nothing.

Not part of the plugin: the command adds it. Dots are left out; what fails is listed at the end.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Final

import pytest

from lumen_conformance.report import shared_files
from lumen_conformance.report.markup import format_seconds
from lumen_conformance.report.results import RESULTS

FIRST_ESTIMATE_S: Final = 2.0  # before that, too few tests have ended to say anything
BETWEEN_S: Final = 0.1  # a terminal is written ten times a second at most
ERASE_LINE: Final = "\r\x1b[K"


class Progress:
    """One line of a terminal that is written again and again."""

    def __init__(self, config: pytest.Config, reporter: pytest.TerminalReporter) -> None:
        self._results = config.stash[RESULTS]
        self._reporter = reporter
        self._started_s = time.monotonic()
        self._written_s = 0.0
        self._ended = self._failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what has ended."""
        self._failed += report.failed
        if report.when == "teardown":
            self._ended += 1
            now_s = time.monotonic()
            if now_s - self._written_s >= BETWEEN_S:
                self._written_s = now_s
                self._reporter.write(ERASE_LINE + line(
                    self._ended, len(self._results.expected), self._failed, now_s - self._started_s
                ), flush=True)  # fmt: skip

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Erase the line: the summary follows."""
        self._reporter.write(ERASE_LINE, flush=True)


def line(ended: int, expected: int, failed: int, elapsed_s: float) -> str:
    """Return how far a run is: tests that ended, all of them, those that failed, and the time left."""
    told = [f"{ended}/{expected}", f"{failed} failed" if failed else ""]
    if ended and elapsed_s >= FIRST_ESTIMATE_S:
        told.append(f"about {format_seconds(elapsed_s / ended * (expected - ended))} left")
    return ", ".join(filter(None, told))


@pytest.hookimpl(trylast=True)  # after the results are there
def pytest_configure(config: pytest.Config) -> None:
    """Show progress where somebody looks."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter and shared_files.reports(config) and reporter.isatty:
        config.pluginmanager.register(Progress(config, reporter), "report-progress")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_report_teststatus() -> Generator[None, tuple[str, str, object], tuple[str, str, object]]:
    """Print no letter a test."""
    category, _, _ = yield
    return category, "", ""
