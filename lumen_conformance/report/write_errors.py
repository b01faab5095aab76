"""Write the files of a run one by one: a file that cannot be written prevents no other, and fails the run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pytest

from lumen_conformance.report import output_paths

_ERRORS: Final = pytest.StashKey[list[str]]()


def write(session: pytest.Session, option: str, writer: Callable[[pytest.Session], None]) -> None:
    """Write the file of an option. If that fails, note the error and set the exit status."""
    try:
        writer(session)
    except OSError as error:
        path = output_paths.given(session.config, option)
        if path and option in output_paths.RESULTS:
            with suppress(OSError):
                output_paths.remove(path)  # it is incomplete
        add(session, f"{option}={path} cannot be written: {error.strerror}; make room or name another file")


def add(session: pytest.Session, line: str) -> None:
    """Note an error, and end the run with the status of an internal error."""
    session.config.stash.setdefault(_ERRORS, []).append(line)
    session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the files that are not written, with the reason."""
    if errors := config.stash.get(_ERRORS, []):
        terminalreporter.section("files that are not written")
        for line in errors:
            terminalreporter.write_line(line)
