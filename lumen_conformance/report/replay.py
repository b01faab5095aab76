"""``--replay FILE``: run nothing, and report what the records of several runs have; see `run_record`.

The reports go to the same hooks as those of a run, so that page, JUnit, verdicts and summary are made by the same code,
with the same counts. A test that several records have, as the same checks on several systems do, has the name of the
folder of its record in its id.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.registry.measurement import EVIDENCE, EXCHANGE, REPORTED_ONLY
from lumen_conformance.report import exchange_evidence, record_copies, record_parts, shared_files
from lumen_conformance.report.baseline import BASELINE, BASELINE_FILES, IN_PART
from lumen_conformance.report.entries import publish
from lumen_conformance.report.recorded_run import Record
from lumen_conformance.report.results import RESULTS
from lumen_conformance.report.selection import SELECTION
from lumen_conformance.report.under_test import OPTIONS, TARGET

RECORDS: Final = pytest.StashKey[list[Record]]()
OK, NOTHING_SELECTED = pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED
CUT_SHORT: Final = (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)


def add_options(parser: pytest.Parser) -> None:
    """Add ``--replay``."""
    parser.getgroup("report").addoption(
        "--replay", metavar="FILE", action="append", help="run nothing: report what FILE has recorded; may be repeated"
    )
    parser.getgroup("report").addoption(
        "--replay-copies", metavar="DIR", help="replace DIR by copies of the files of --replay and of their evidence"
    )


def configure(config: pytest.Config) -> None:
    """Read the records, and report about their target."""
    if not (files := config.getoption("--replay")):
        return
    found = [Record.read(Path(file)) for file in files]
    copied = config.getoption("--replay-copies") is not None
    records = record_parts.labelled(record_copies.with_unique_names(found) if copied else found)
    config.stash[RECORDS] = records
    targets = dict.fromkeys(record.run["target"] for record in records if record.run["target"])
    if targets:
        config.stash[TARGET] = " | ".join(targets)
        if len(options := {record.run["target_options"] for record in records}) == 1:  # else of several systems
            config.stash[OPTIONS] = options.pop()
    config.stash[REPORTED_ONLY] = frozenset(records[0].run["reported_only"])
    config.stash[SELECTION] = " | ".join(dict.fromkeys(record.run["selection"] for record in records))
    config.stash[BASELINE] = {name: why for record in records for name, why in record.run["baseline"].items()}
    config.stash[BASELINE_FILES] = {
        name: record.run["baseline_file"] for record in records for name in record.run["baseline"]
    }
    partly = [name for record in records for name in record.run["partly_selected"]]
    shared_files.publish(config, IN_PART, json.dumps(partly))


def _copy_records(config: pytest.Config) -> None:
    """Copy the records and their evidence, so that the joined report has all of its files; raises pytest.UsageError."""
    folder = config.getoption("--replay-copies")
    if RECORDS in config.stash and folder is not None:
        records = config.stash[RECORDS]
        try:
            config.stash[RECORDS] = record_copies.copy(records, Path(folder))
        except (OSError, shutil.Error) as error:
            raise pytest.UsageError(f"{folder} cannot be written: {error}; make room or name another folder") from None


def collect(session: pytest.Session) -> bool | None:
    """Take the tests of the records for what is collected."""
    _copy_records(session.config)
    records = session.config.stash.get(RECORDS, None)
    if records is None:
        return None
    publish(session.config, [each for record in records for each in record.entries])
    expected = [nodeid for record in records for nodeid in record.run["expected"]]
    session.items, session.testscollected = [], len(expected)
    session.config.stash[RESULTS].replayed(expected, max(record.run["duration_s"] for record in records))
    return True


def report_records(session: pytest.Session) -> bool | None:
    """Report each phase as a run would."""
    config, records = session.config, session.config.stash.get(RECORDS, None)
    if records is None:
        return None
    for record in records:
        for data in record.reports:
            _report(config, record.folder, data)
    return True


def _report(config: pytest.Config, folder: Path, data: dict[str, Any]) -> None:
    found = [(name, _beside(folder, name, value)) for name, value in data["user_properties"]]
    report = config.hook.pytest_report_from_serializable(config=config, data=data | {"user_properties": found})
    if isinstance(report.longrepr, list):  # where a test was skipped: pytest has a tuple, JSON a list
        report.longrepr = tuple(report.longrepr)
    if isinstance(report, pytest.TestReport):
        config.hook.pytest_runtest_logreport(report=report)
    else:
        config.hook.pytest_collectreport(report=report)


def _beside(folder: Path, name: str, value: Any) -> Any:  # noqa: ANN401 -- whatever a check recorded
    """Return a value with its paths, which are relative to the folder of its record."""
    if name == EXCHANGE:
        return exchange_evidence.with_files(value, lambda path: str(folder / path))
    return str(folder / value) if name == EVIDENCE else value


def set_exit_status(session: pytest.Session) -> None:
    """End as the recorded runs did where the reports do not show why: a run that was cut short is not passed."""
    records = session.config.stash.get(RECORDS, [])
    ended = {int(record.run["exit_status"]) for record in records} - {OK, NOTHING_SELECTED}
    cut_short = next((status for status in CUT_SHORT if status in ended), None)
    if cut_short is not None:
        session.exitstatus = cut_short
    elif ended and session.exitstatus == OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the records of runs that failed."""
    failed = [
        record for record in config.stash.get(RECORDS, []) if record.run["exit_status"] not in {OK, NOTHING_SELECTED}
    ]
    if failed:
        terminalreporter.section("records of runs that failed")
        for record in failed:
            terminalreporter.write_line(f"{record.folder}: exit status {record.run['exit_status']}")
