"""Hooks of the report to which pytest passes no configuration: one object for each run holds it."""

from __future__ import annotations

import pytest

from lumen_conformance.report import crashes
from lumen_conformance.report.progress import PROGRESS
from lumen_conformance.report.results import RESULTS
from lumen_conformance.report.run_record import RECORDER


class ReportHooks:
    """Passes reports on to the results, the record and the page of one run."""

    def __init__(self, config: pytest.Config) -> None:
        self._results = config.stash[RESULTS]
        self._recorder = config.stash.get(RECORDER, None)
        self._progress = config.stash.get(PROGRESS, None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report of one phase of a test."""
        self._results.add_report(report)
        if self._progress:
            self._progress.add_report(report)
        if self._recorder:
            self._recorder.add_report(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the report of a module that could not be collected."""
        if report.failed:
            self._results.add_broken(report)
            if self._recorder:
                self._recorder.add_report(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, report: pytest.TestReport) -> None:
        """Keep the report of a test whose parallel worker died."""
        crashes.record(report)
