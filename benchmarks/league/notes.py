"""A pytest plugin of the league: every failure with its report, as JSON lines in ``LEAGUE_NOTES``."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest


def check_of(note: dict[str, Any]) -> str:
    """The id of the check, with its parameter."""
    nodeid = str(note["nodeid"])
    return nodeid.partition("[")[2].removesuffix("]") or nodeid.rpartition("::")[2]


def pytest_configure(config: pytest.Config) -> None:
    """Let the league stop this run: a shell lets its background jobs ignore SIGINT, and their children inherit it."""
    signal.signal(getattr(signal, "SIGBREAK", signal.SIGINT), signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # the controller gets every report
        config.pluginmanager.register(Notes(Path(os.environ["LEAGUE_NOTES"])))


class Notes:
    """Writes each failed call with its report."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write one down."""
        if report.when == "call" and report.failed:
            note = {"nodeid": report.nodeid, "failure": report.longreprtext, "sections": dict(report.sections)}
            with self.path.open("a", encoding="utf-8") as notes:
                notes.write(json.dumps(note, ensure_ascii=False) + "\n")
