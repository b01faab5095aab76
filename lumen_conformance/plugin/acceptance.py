"""What happens once when a run is accepted: until then a run changes no file and prints nothing but its header."""

from __future__ import annotations

import pytest

from lumen_conformance.processes import standard_streams
from lumen_conformance.report import github, output_paths, page


def configure(config: pytest.Config) -> None:
    """Hold the output of the command: of a refused run only its error is printed."""
    if config.getoption("--progress"):
        standard_streams.hold(config)


def accept(config: pytest.Config) -> None:
    """Replace the results of an earlier run, and print what was held."""
    if output_paths.accept(config):
        standard_streams.release(config)
        github.stop_commands(config)
        page.write_unfinished(config)


def end(session: pytest.Session) -> None:
    """Accept a run that ended before its first test, unless it was refused: then print nothing but its error."""
    if output_paths.is_refused(session):
        standard_streams.hold(session.config, drop=True)
    else:
        accept(session.config)
