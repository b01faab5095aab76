"""Print a line after the collection and before the first test, also in a parallel run.

Parallel workers collect the tests; their controller prints.
"""

from __future__ import annotations

from typing import Final

import pytest

from lumen_conformance.report import shared_files

_NAME: Final = "announcement"
_PRINTED: Final = pytest.StashKey[bool]()


def announce(config: pytest.Config, line: str) -> None:
    """Publish a line for the controller; a parallel worker calls this after its collection."""
    if line:
        shared_files.publish(config, _NAME, line)


def print_published(config: pytest.Config) -> None:
    """Print the line of the first worker; no test runs before every worker has collected."""
    lines = shared_files.published(config, _NAME)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if lines and reporter and not config.stash.get(_PRINTED, False):
        config.stash[_PRINTED] = True
        reporter.ensure_newline()
        reporter.write_line(lines[0])
