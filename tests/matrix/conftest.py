"""Writes the table fault × check of the faults that were run."""

from __future__ import annotations

import pytest

from tests.fixtures.report.recorded import recorded
from tests.matrix.matrix import seen_table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write what each fault turned red in this run."""
    if faults := dict(recorded(terminalreporter, "fault")):
        path = terminalreporter.config.rootpath / "reports" / "fault-matrix.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen_table(faults), encoding="utf-8", newline="\n")
        terminalreporter.write_line(f"{len(faults)} faults x checks: {path}")
