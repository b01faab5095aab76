"""Writes what was seen of the faults that were run: the table fault x check, and on demand the files that are held."""

from __future__ import annotations

import pytest

from tests.fixtures.matrix_records import list_records
from tests.matrix.fault_run import WRITING
from tests.matrix.matrix import seen_table
from tests.matrix.snapshot import write


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write what each fault turned red in this run."""
    seen = {each["name"]: each for each in list_records(terminalreporter, "fault")}
    if not seen:
        return
    path = terminalreporter.config.rootpath / "reports" / "fault-matrix.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(seen_table({name: each["red"] for name, each in seen.items()}), encoding="utf-8", newline="\n")
    terminalreporter.write_line(f"{len(seen)} faults x checks: {path}")
    for written in write(seen.values()) if WRITING else ():
        terminalreporter.write_line(f"written as seen, to be reviewed: {written}")
