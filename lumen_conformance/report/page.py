"""The page: one HTML file with the result of the run, the causes, the scenarios, every check, and the logs.

It is made of the results of the run, from which the terminal, JUnit, the verdicts and the summary are made, too.
pytest-html has the option ``--html``; its own page is not written (docs/adr/0025-the-page.md). While a run goes on, the
page says that it has not finished.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.report import markup, output_paths, report_redaction, shared_files
from lumen_conformance.report.results import RESULTS

DEFAULT_PAGE: Final = "reports/report.html"  # of pytest.ini
TITLE: Final = "Lumen recovery and contract report"


def choose_path(config: pytest.Config) -> None:
    """Write the default page below the root folder, whatever the current folder is; ``--collect-only`` writes none."""
    if config.option.collectonly:
        config.option.htmlpath = None
    elif config.getoption("htmlpath", None) == DEFAULT_PAGE:
        config.option.htmlpath = str(config.rootpath / DEFAULT_PAGE)


def refuse_unwritable(config: pytest.Config) -> None:
    """Refuse a file that cannot be written, before its folder is made."""
    if shared_files.reports(config) and (path := output_paths.given(config, "--html")):
        output_paths.refuse_unwritable("--html", path)


def configure(config: pytest.Config) -> None:
    """Prepare the page, if this process writes one, in the place of that of pytest-html."""
    if plugin := _find_plugin(config):
        config.pluginmanager.unregister(plugin)
    path = output_paths.given(config, "--html")
    if path and shared_files.reports(config):
        config.stash[PAGE] = Page(config, Path.cwd() / path)


def write_unfinished(config: pytest.Config) -> None:
    """Replace the page of an earlier run, if this run writes a page."""
    if page := config.stash.get(PAGE, None):
        page.write_unfinished()


def read_evidence(session: pytest.Session) -> None:
    """Read the files of the run for the page before temporary folders are removed."""
    if page := session.config.stash.get(PAGE, None):
        page.read_evidence()


def complete(session: pytest.Session) -> None:
    """Write the page."""
    if page := session.config.stash.get(PAGE, None):
        page.write(session)


def print_path(reporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print where the page is."""
    if (page := config.stash.get(PAGE, None)) and page.is_written:
        reporter.write_sep("-", f"Generated html report: {page.path.as_uri()}")


def _find_plugin(config: pytest.Config) -> Any | None:  # noqa: ANN401  # pytest-html has no types
    """Return the object of pytest-html that writes its page; it is registered without a name."""
    plugins = config.pluginmanager.get_plugins()
    return next((each for each in plugins if type(each).__module__.startswith("pytest_html.")), None)


class Page:
    """The page of one run at ``path``."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.path = path
        self.is_written = False
        self._config = config
        self._results = config.stash[RESULTS]
        self._evidence = markup.Evidence()
        self._fault: Exception | None = None  # that prevents the page

    def write_unfinished(self) -> None:
        """Write a page that says that the run has not finished."""
        with suppress(OSError):  # it is reported at the end
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(markup.render_unfinished(TITLE), "utf-8", "backslashreplace")

    def read_evidence(self) -> None:
        """Read the files of the run now: after the session another run may remove its temporary folders."""
        try:
            report_redaction.receive_secrets(self._config)
            self._evidence = markup.gather_evidence(self._results)
        except Exception as error:  # noqa: BLE001 -- it is reported when the page is written, and costs no other file
            self._fault = error

    def write(self, session: pytest.Session) -> None:
        """Write the page; raises OSError, or what reading the evidence has raised."""
        self.is_written = False
        if self._fault:
            raise self._fault
        text = markup.render_page(session, TITLE, self._evidence, self.path.parent)
        self.path.write_text(text, "utf-8", "backslashreplace")
        self.is_written = True


PAGE: Final = pytest.StashKey[Page]()
