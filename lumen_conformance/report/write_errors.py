"""Write the files of a run one by one: a file that cannot be written prevents no other, and fails the run.

The history does not fail it: it has no result of this run that another file lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import pytest

from lumen_conformance.report import output_paths

_ERRORS: Final = pytest.StashKey[list[str]]()


def write_all(session: pytest.Session, writers: Mapping[str, Callable[[pytest.Session], None]]) -> None:
    """Write the file of each option; then, if one failed, end the run with the status of an internal error."""
    errors = {option: line for option, writer in writers.items() if (line := _write(session, option, writer))}
    session.config.stash[_ERRORS] = list(errors.values())
    if errors.keys() - {"--history"}:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def _write(session: pytest.Session, option: str, writer: Callable[[pytest.Session], None]) -> str:
    """Write one file; return the error, or an empty text."""
    try:
        writer(session)
    except OSError as error:
        path = output_paths.given(session.config, option)
        if path and option in output_paths.RESULTS:
            with suppress(OSError):
                output_paths.remove(path)  # it is incomplete
        return f"{option}={path} cannot be written: {error.strerror}; make room or name another file"
    except pytest.UsageError as error:  # a baseline that was edited during the run
        return f"{option} is not written: {error}"
    return ""


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the files that are not written, with the reason."""
    if errors := config.stash.get(_ERRORS, []):
        terminalreporter.section("files that are not written")
        for line in errors:
            terminalreporter.write_line(line)
