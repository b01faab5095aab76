"""Write the files of a run one by one: a file that cannot be written prevents no other, and fails the run.

The files that have the status of the run are then written again, so that none of them is green. The history does not
fail it: it has no result of this run that another file lacks.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.registry.visible_text import visible
from lumen_conformance.report import output_paths, shared_files
from lumen_conformance.report.results import RESULTS

_ERRORS: Final = pytest.StashKey[list[str]]()
_WITH_STATUS: Final = ("--junit", "--summary", "--record", "--html")
ERROR_CHARS: Final = 300


def write_all(session: pytest.Session, writers: Mapping[str, Callable[[pytest.Session], None]]) -> None:
    """Write the file of each option in this order; if one fails, end the run with the status of an internal error."""
    if not shared_files.reports(session.config):
        return
    errors: dict[str, str] = {}
    waiting = list(writers)
    while waiting:
        option = waiting.pop(0)
        if not (line := _write(session, option, writers[option])):
            continue
        errors[option] = line
        if option != "--history":
            session.config.stash[RESULTS].lose(_name(session.config, option), int(session.exitstatus))
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            waiting[:0] = [each for each in _WITH_STATUS if each in writers and each not in {*errors, *waiting}]
    session.config.stash[_ERRORS] = list(errors.values())


def _name(config: pytest.Config, option: str) -> str:
    return f"{option}={output_paths.given(config, option)}"


def _write(session: pytest.Session, option: str, writer: Callable[[pytest.Session], None]) -> str:
    """Write one file; return the error, or an empty text."""
    name = _name(session.config, option)
    try:
        writer(session)
    except pytest.UsageError as error:  # a baseline that was edited during the run
        return f"{option} is not written: {error}"
    except OSError as error:
        _remove_incomplete(session.config, option)
        return f"{name} cannot be written: {error.strerror}; make room or name another file"
    except Exception as error:  # noqa: BLE001 -- a fault of the suite must not cost the other files
        _remove_incomplete(session.config, option)
        return f"{name} cannot be written: {_describe(error)}; report this fault of the suite"
    return ""


def _remove_incomplete(config: pytest.Config, option: str) -> None:
    path = output_paths.given(config, option)
    if path and option in output_paths.RESULTS:
        with suppress(OSError):
            output_paths.remove(path)


def _describe(error: Exception) -> str:
    """Return an error in one line, with the place where it was raised."""
    text, place = " ".join(visible(str(error)).split())[:ERROR_CHARS], traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the files that are not written, with the reason."""
    if errors := config.stash.get(_ERRORS, []):
        terminalreporter.section("files that are not written")
        for line in errors:
            terminalreporter.write_line(line)
