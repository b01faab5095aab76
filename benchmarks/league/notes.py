"""A pytest plugin of the league: every failure with all that its report says, as JSON lines in ``LEAGUE_NOTES``."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Let the league stop this run: a shell lets its background jobs ignore SIGINT, and their children inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down a failed call, and what the suite said about it."""
    if report.when == "call" and report.failed:
        told = {"nodeid": report.nodeid, "failure": report.longreprtext, "sections": dict(report.sections)}
        with Path(os.environ["LEAGUE_NOTES"]).open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(told, ensure_ascii=False) + "\n")
