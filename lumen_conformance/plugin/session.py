"""Hooks of the start and the end of a run."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import pytest

from lumen_conformance.plugin import acceptance
from lumen_conformance.processes import external_connections, interruption, leak_audit, reaper
from lumen_conformance.report import (
    baseline_writer,
    counts,
    exchange_evidence,
    github,
    history,
    junit_file,
    output_paths,
    page,
    progress,
    replay,
    run_record,
    run_result,
    shards,
    summary,
    terminal,
    verdict_records,
    write_errors,
)
from lumen_conformance.targets import environment

_EXIT_STATUS: Final = pytest.StashKey[int]()
_WRITERS: Final = {
    "--write-baseline": baseline_writer.write_file,
    "--verdicts": verdict_records.write_file,
    "--keep-bodies": exchange_evidence.complete,
    "--junit": junit_file.write_file,
    "--summary": summary.write_file,
    "--record": run_record.write_file,
    "--html": page.complete,
    "--github-summary": github.write,  # behind them, as it cannot be written again: it is appended to a file
    "--history": history.write_file,
}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a signal stop the run."""
    interruption.begin(session)


@pytest.hookimpl(wrapper=True, trylast=True)  # innermost: before the terminal prints its summary
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Complete the results; then write them.

    Between the two parts JUnit is written, xdist ends its workers, and fixtures of an interrupted run are torn down.
    """
    interruption.finish(session)
    acceptance.end(session)
    counts.recount_all(session)
    shards.accept_empty(session)
    replay.set_exit_status(session)
    run_result.set_exit_status(session)
    progress.finish(session)
    page.read_evidence(session)  # before temporary folders are removed
    yield
    reaper.stop(session)  # after the fixtures of the session
    leak_audit.end_leftovers(session)  # may set the exit status
    environment.mask_evidence(session)
    if output_paths.is_refused(session):
        junit_file.discard(session.config)
    else:
        write_errors.write_all(session, _WRITERS)  # may set the exit status, too
    session.config.stash[_EXIT_STATUS] = int(session.exitstatus)


@pytest.hookimpl(trylast=True)  # below the sections of pytest
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Print the sections of the suite."""
    exit_status = config.stash.get(_EXIT_STATUS, exitstatus)  # the argument is that from before the session finished
    progress.print_section(terminalreporter, config)
    interruption.print_section(terminalreporter, config)
    external_connections.print_section(terminalreporter, config)
    leak_audit.print_section(terminalreporter, config)
    replay.print_section(terminalreporter, config)
    baseline_writer.print_section(terminalreporter, config)
    page.print_path(terminalreporter, config)
    terminal.print_sections(terminalreporter, exit_status, config)
    write_errors.print_section(terminalreporter, config)
