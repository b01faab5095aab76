"""A line before the first test that only a collected run can tell: parallel workers collect, the controller prints."""

from __future__ import annotations

from typing import Final

import pytest

from lumen_conformance.report import shared_files

_NAME: Final = "announcement"
_PRINTED: Final = pytest.StashKey[bool]()


def announce(config: pytest.Config, line: str) -> None:
    """Have the controller print a line before the first test; to be called by a parallel worker, after collection."""
    if line:
        shared_files.publish(config, _NAME, line)


def print_published(config: pytest.Config) -> None:
    """Print what the first worker announces; no test runs before every worker has collected."""
    lines = shared_files.published(config, _NAME)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if lines and reporter and not config.stash.get(_PRINTED, False):
        config.stash[_PRINTED] = True
        reporter.ensure_newline()
        reporter.write_line(lines[0])
