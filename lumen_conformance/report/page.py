"""One HTML file for a reviewer: the verdict first, then the scenarios, then every check, then the logs.

pytest-html draws the table of tests; what stands around it and in its cells is made by ``rendering``.  Until a run
has ended, the file says so: a page of an earlier run is never taken for this one.
"""

import os
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.registry.measurement import MEASUREMENT, WARNING, Measurement
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.report import html, html_rows, report_redaction, shared_files
from lumen_conformance.report.baseline import BASELINED
from lumen_conformance.report.causes import causes_of
from lumen_conformance.report.layers import words_of
from lumen_conformance.report.results import RESULTS, properties

DEFAULT_PAGE: Final = "reports/report.html"  # as pytest.ini names it
TITLE: Final = "Lumen recovery and contract report"
# Where pytest-html shows the verdict and the logs. They are filled in last: the exit status may still change.
ABOVE, BELOW = "<!-- above the table of tests -->", "<!-- below the table of tests -->"


def choose_path(config: pytest.Config) -> None:
    """Keep the default page in the project, wherever pytest is called; listing tests leaves it alone."""
    if config.option.collectonly:
        config.option.htmlpath = None
    elif config.getoption("htmlpath", None) == DEFAULT_PAGE:
        config.option.htmlpath = str(config.rootpath / DEFAULT_PAGE)


def configure(config: pytest.Config) -> None:
    """Draw the page in the process that reports, if one is asked for."""
    given = config.getoption("htmlpath", None)
    if given and shared_files.reports(config):
        path = Path.cwd() / Path(os.path.expandvars(given)).expanduser()  # as pytest-html reads it
        config.stash[PAGE] = Page(config, path)


def write_unfinished(session: pytest.Session) -> None:
    """Replace the page of an earlier run by one that says that this run has not ended."""
    if page := session.config.stash.get(PAGE, None):
        page.write_unfinished()


def read_logs(session: pytest.Session) -> None:
    """Read the logs of the page while they are there."""
    if page := session.config.stash.get(PAGE, None):
        page.read_logs()


def complete(session: pytest.Session) -> None:
    """Complete the page that pytest-html has written."""
    if page := session.config.stash.get(PAGE, None):
        page.complete(session)


class Page:
    """What this suite adds to pytest-html's page at ``path``."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path
        self._results = config.stash[RESULTS]
        self._logs: html.Logs = []
        self._drawn: Any = None  # what pytest-html draws its table from

    def write_unfinished(self) -> None:
        """Replace the page of an earlier run by one that says that this run has not ended."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(html.unfinished(TITLE), encoding="utf-8")

    def read_logs(self) -> None:
        """Read the logs while they are there.

        pytest gives its temporary folders up when a session finishes, and another run may remove them at once.
        """
        report_redaction.hear_workers(self._config)
        self._logs = html.gather_logs(self._results)

    def complete(self, session: pytest.Session) -> None:
        """Fill in what the end of the run decides; mask what is still secret."""
        causes = causes_of(self._results.results)
        above = html.before(session, words_of(self._config, self._results), causes)
        text = self._path.read_text(encoding="utf-8")
        text = text.replace(ABOVE, above, 1).replace(BELOW, html.after(self._logs), 1)
        self._path.write_text(redactor().values_only(text), encoding="utf-8")

    def set_title(self, report: Any) -> None:  # noqa: ANN401  # pytest-html has no types
        """Name the page."""
        report.title = TITLE
        self._drawn = report

    def set_header(self, cells: list[str]) -> None:
        """Name the columns."""
        cells[:] = html.HEADER

    def set_row(self, report: pytest.TestReport | pytest.CollectReport, cells: list[str]) -> None:
        """Fill a row; the first cell stays pytest-html's word for the outcome, which its filters read."""
        cells[:] = html.row(
            self._results.entry(report.nodeid),
            result_cell=cells[0],
            duration_s=self._duration_s(report.nodeid),
            figures=[Measurement(**each) for each in self._recorded(report.nodeid, MEASUREMENT)],
            warnings=[f"Warning: {each}" for each in self._recorded(report.nodeid, WARNING)]
            + [f"Known failure: {each}" for each in self._recorded(report.nodeid, BASELINED)],
        )

    def set_details(self, report: pytest.TestReport, data: list[str]) -> None:
        """Say which test it is, above what it printed."""
        data.insert(0, f"{html.escaped(report.nodeid)}\n")

    def reduce_table(self, prefix: list[str], postfix: list[str]) -> None:
        """Leave one row of each test; reserve the places above and below the table of tests."""
        html_rows.reduce(self._drawn, self._results)
        prefix.append(ABOVE)
        postfix.append(BELOW)

    def _recorded(self, nodeid: str, name: str) -> list[Any]:
        return properties(self._results.reports_of(nodeid), name)

    def _duration_s(self, nodeid: str) -> float:
        return sum(each.duration for each in self._results.reports_of(nodeid))


PAGE: Final = pytest.StashKey[Page]()
