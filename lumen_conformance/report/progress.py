"""Progress of ``lumen-conformance``: on a terminal one line with a count and the time left, on a pipe nothing.

The command gives ``--progress``. Letters are left out; what fails is listed at the end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import pytest

from lumen_conformance.report import shared_files
from lumen_conformance.report.results import RESULTS, Result

AnyStatus = tuple[str, str, Any]
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

    def add_report(self, report: pytest.TestReport) -> None:
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

    def finish(self) -> None:
        """Erase the line: the summary follows."""
        self._reporter.write(ERASE_LINE, flush=True)


def line(ended: int, expected: int, failed: int, elapsed_s: float) -> str:
    """Return the number of tests that ended, of all, and of those that failed, and the estimated time left."""
    parts = [f"{ended}/{expected}", f"{failed} failed" if failed else ""]
    if ended and elapsed_s >= FIRST_ESTIMATE_S:
        left_s = round(elapsed_s / ended * (expected - ended))
        parts.append("about {}:{:02} left".format(*divmod(left_s, 60)))
    return ", ".join(filter(None, parts))


PROGRESS: Final = pytest.StashKey[Progress]()


def add_options(parser: pytest.Parser) -> None:
    """Add ``--progress``, which the command gives."""
    parser.getgroup("report").addoption(
        "--progress",
        action="store_true",
        help="instead of a letter per test, show a count and the time left on a terminal",
    )


def configure(config: pytest.Config) -> None:
    """Show progress on a terminal, and print nothing per test."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not reporter or not config.getoption("--progress"):
        return
    reporter.showfspath = False  # no line per module
    if shared_files.reports(config) and reporter.isatty and not config.getoption("--replay"):
        config.stash[PROGRESS] = Progress(config, reporter)


def finish(session: pytest.Session) -> None:
    """Erase the line: the summary follows."""
    if progress := session.config.stash.get(PROGRESS, None):
        progress.finish()


def without_letter(config: pytest.Config, status: AnyStatus) -> AnyStatus:
    """Return the status of a report, without the letter that pytest prints for it."""
    category, _, word = status
    return (category, "", word) if config.getoption("--progress") else status


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print each reason why checks were skipped, instead of pytest's line per module and line."""
    lines = skip_lines(config.stash[RESULTS].results) if config.getoption("--progress") else []
    if lines:
        terminalreporter.section("skipped")
        for each in lines:
            terminalreporter.write_line(each)


def skip_lines(results: Iterable[Result]) -> list[str]:
    """Return each reason for which checks were skipped, with their number, the most frequent first."""
    reasons = Counter(each.reason for each in results if each.outcome == "skipped")
    return [f"{number:4}  {reason}" for reason, number in reasons.most_common()]
