"""One HTML file for a reviewer: the verdict first, then the scenarios, then every check, then the logs.

pytest-html draws the table of tests; what stands around it and in its cells is made by ``rendering``.  Until a run
has ended, the file says so: a page of an earlier run is never taken for this one.
"""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.registry.measurement import MEASUREMENT, WARNING, Measurement
from lumen_conformance.report import html, html_rows, report_redaction, shared_files
from lumen_conformance.report.baseline import BASELINED
from lumen_conformance.report.causes import causes_of
from lumen_conformance.report.layers import words_of
from lumen_conformance.report.results import RESULTS, properties

DEFAULT_PAGE: Final = "reports/report.html"  # as pytest.ini names it
TITLE: Final = "Lumen recovery and contract report"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Keep the default page in the project, wherever pytest is called; listing tests leaves it alone."""
    if config.option.collectonly:
        config.option.htmlpath = None
    elif config.option.htmlpath == DEFAULT_PAGE:
        config.option.htmlpath = str(config.rootpath / DEFAULT_PAGE)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the page in the process that reports, if one is asked for."""
    given = config.getoption("htmlpath", None)
    if given and shared_files.reports(config):
        path = Path.cwd() / Path(os.path.expandvars(given)).expanduser()  # as pytest-html reads it
        config.pluginmanager.register(Page(config, path), "report-page")


class Page:
    """The hooks around pytest-html's page at ``path``."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path
        self._results = config.stash[RESULTS]
        self._logs: html.Logs = []
        self._drawn: Any = None  # what pytest-html draws its table from

    def pytest_sessionstart(self) -> None:
        """Replace the page of an earlier run by one that says that this run has not ended."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(html.unfinished(TITLE), encoding="utf-8")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Read the logs while they are there; mask what is still secret after pytest-html has written.

        pytest gives its temporary folders up when a session finishes, and another run may remove them at once.
        """
        report_redaction.hear_workers(self._config)
        self._logs = html.gather_logs(self._results)
        yield
        report_redaction.mask_file(self._path)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:  # noqa: ANN401  # pytest-html has no types
        """Name the page."""
        report.title = TITLE
        self._drawn = report

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Name the columns."""
        cells[:] = html.HEADER

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport | pytest.CollectReport, cells: list[str]) -> None:
        """Fill a row; the first cell stays pytest-html's word for the outcome, which its filters read."""
        cells[:] = html.row(
            self._results.entry(report.nodeid),
            result_cell=cells[0],
            duration_s=self._duration_s(report.nodeid),
            figures=[Measurement(**each) for each in self._recorded(report.nodeid, MEASUREMENT)],
            warnings=[f"Warning: {each}" for each in self._recorded(report.nodeid, WARNING)]
            + [f"Known failure: {each}" for each in self._recorded(report.nodeid, BASELINED)],
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: pytest.TestReport, data: list[str]) -> None:
        """Say which test it is, above what it printed."""
        data.insert(0, f"{html.escaped(report.nodeid)}\n")

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str], postfix: list[str], session: pytest.Session) -> None:
        """Put the verdict before the table of tests, and the logs behind it; leave one row of each test."""
        html_rows.reduce(self._drawn, self._results)
        ended = self._results.results
        prefix.append(html.before(session, words_of(self._config, self._results), causes_of(ended)))
        postfix.append(html.after(self._logs))

    def _recorded(self, nodeid: str, name: str) -> list[Any]:
        return properties(self._results.reports_of(nodeid), name)

    def _duration_s(self, nodeid: str) -> float:
        return sum(each.duration for each in self._results.reports_of(nodeid))
