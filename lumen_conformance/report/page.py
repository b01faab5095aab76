"""The page: one HTML file with the result of the run, the scenarios, every check, and the logs.

pytest-html writes the page with its table of tests. `page_table` corrects the table, and `markup` renders the cells and
the parts above and below the table. While a run goes on, the page says that it has not finished.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.registry.measurement import MEASUREMENT, WARNING, Measurement
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.report import markup, output_paths, page_table, report_redaction, shared_files
from lumen_conformance.report.baseline import BASELINED
from lumen_conformance.report.causes import causes_of
from lumen_conformance.report.layers import layer_results
from lumen_conformance.report.results import RESULTS, properties

DEFAULT_PAGE: Final = "reports/report.html"  # of pytest.ini
TITLE: Final = "Lumen recovery and contract report"
# Placeholders for the parts above and below the table. They are filled in last, when the exit status is final.
ABOVE, BELOW = "<!-- above the table of tests -->", "<!-- below the table of tests -->"


def choose_path(config: pytest.Config) -> None:
    """Write the default page below the root folder, whatever the current folder is; ``--collect-only`` writes none."""
    if config.option.collectonly:
        config.option.htmlpath = None
    elif config.getoption("htmlpath", None) == DEFAULT_PAGE:
        config.option.htmlpath = str(config.rootpath / DEFAULT_PAGE)


def refuse_unwritable(config: pytest.Config) -> None:
    """Refuse a file that cannot be written, before pytest-html creates its folder."""
    if shared_files.reports(config) and (path := output_paths.given(config, "--html")):
        output_paths.refuse_unwritable("--html", path)


def configure(config: pytest.Config) -> None:
    """Prepare the page, if this process writes one."""
    path = output_paths.given(config, "--html")
    if path and shared_files.reports(config):
        config.stash[PAGE] = Page(config, Path.cwd() / path)


def write_unfinished(config: pytest.Config) -> None:
    """Replace the page of an earlier run, if this run writes a page."""
    if page := config.stash.get(PAGE, None):
        page.write_unfinished()


def read_logs(session: pytest.Session) -> None:
    """Read the logs for the page before temporary folders are removed."""
    if page := session.config.stash.get(PAGE, None):
        page.read_logs()


def complete(session: pytest.Session) -> None:
    """Complete the page of pytest-html, and write it."""
    if page := session.config.stash.get(PAGE, None):
        page.complete(session)


def discard(config: pytest.Config) -> None:
    """Let pytest-html print nothing about the page."""
    if plugin := _find_plugin(config):
        config.pluginmanager.unregister(plugin)


def _find_plugin(config: pytest.Config) -> Any | None:  # noqa: ANN401  # pytest-html has no types
    """Return the object of pytest-html that writes its page; it is registered without a name."""
    plugins = config.pluginmanager.get_plugins()
    return next((each for each in plugins if type(each).__module__.startswith("pytest_html.")), None)


class Page:
    """What the suite adds to the page that pytest-html writes to ``path``."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._text = ""  # what pytest-html renders: an error of its own writing would end the run
        if plugin := _find_plugin(config):
            plugin._write_report = self._receive  # noqa: SLF001 -- there is no public name
        self._config = config
        self._path = path
        self._results = config.stash[RESULTS]
        self._logs: markup.Logs = []
        self._table: Any = None  # the data from which pytest-html makes its table
        self._rendered: tuple[tuple[str, int], list[str]] = (("", 0), [])  # the last row

    def _receive(self, text: str) -> None:
        self._text = text

    def write_unfinished(self) -> None:
        """Write a page that says that the run has not finished."""
        with suppress(OSError):  # it is reported at the end
            self._path.write_text(markup.render_unfinished(TITLE), "utf-8", "backslashreplace")

    def read_logs(self) -> None:
        """Read the logs now: after the session another run may remove its temporary folders."""
        report_redaction.receive_secrets(self._config)
        self._logs = markup.gather_logs(self._results)

    def complete(self, session: pytest.Session) -> None:
        """Fill in the parts above and below the table; mask secrets that other plugins have written."""
        if not self._text:
            return  # pytest-html has failed
        causes = causes_of(self._results.results)
        above = markup.render_above(session, layer_results(self._config, self._results), causes)
        text = self._text.replace(ABOVE, above, 1).replace(BELOW, markup.render_below(self._logs), 1)
        self._path.write_text(redactor().values_only(text), "utf-8", "backslashreplace")

    def set_title(self, report: Any) -> None:  # noqa: ANN401  # pytest-html has no types
        """Set the title of the page."""
        report.title = TITLE
        self._table = report

    def set_header(self, cells: list[str]) -> None:
        """Set the columns of the table."""
        cells[:] = markup.HEADER

    def set_row(self, report: pytest.TestReport | pytest.CollectReport, cells: list[str]) -> None:
        """Set the cells of a row; the first cell stays, because the filter of pytest-html reads it."""
        # pytest-html asks for a row of each phase when the test has ended: all but the first cell are the same.
        phases = report.nodeid, len(self._results.reports_of(report.nodeid))
        if self._rendered[0] != phases:
            self._rendered = phases, self._render_row(report.nodeid)
        cells[:] = [cells[0], *self._rendered[1]]

    def _render_row(self, nodeid: str) -> list[str]:
        return markup.render_row(
            self._results.entry(nodeid),
            duration_s=self._duration_s(nodeid),
            figures=[Measurement(**each) for each in self._recorded(nodeid, MEASUREMENT)],
            warnings=[f"Warning: {each}" for each in self._recorded(nodeid, WARNING)]
            + [f"Known failure: {each}" for each in self._recorded(nodeid, BASELINED)],
        )

    def set_details(self, report: pytest.TestReport, data: list[str]) -> None:
        """Add the pytest id above the output of a test."""
        data.insert(0, f"{markup.escaped(report.nodeid)}\n")

    def reduce_table(self, prefix: list[str], postfix: list[str]) -> None:
        """Keep one row of each test; add placeholders for the parts above and below the table."""
        page_table.reduce(self._table, self._results)
        prefix.append(ABOVE)
        postfix.append(BELOW)

    def _recorded(self, nodeid: str, name: str) -> list[Any]:
        return properties(self._results.reports_of(nodeid), name)

    def _duration_s(self, nodeid: str) -> float:
        return sum(each.duration for each in self._results.reports_of(nodeid))


PAGE: Final = pytest.StashKey[Page]()
