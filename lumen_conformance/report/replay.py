"""``--replay FILE``: run nothing, and report what the records of several runs have; see `run_record`.

The reports go to the same hooks as those of a run, so that page, JUnit, verdicts and summary are made by the same code,
with the same counts. A test that several records have, as the same checks on several systems do, has the name of the
folder of its record in its id.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.registry.measurement import EVIDENCE, REPORTED_ONLY
from lumen_conformance.registry.refutation import NOT_JUDGED
from lumen_conformance.report import shards, shared_files
from lumen_conformance.report.baseline import BASELINE, BASELINE_FILE, IN_PART, names
from lumen_conformance.report.entries import ReportEntry, publish
from lumen_conformance.report.markup import TARGET
from lumen_conformance.report.results import RESULTS
from lumen_conformance.report.run_record import VERSION
from lumen_conformance.report.selection import SELECTION

RECORDS: Final = pytest.StashKey[list["Record"]]()
OK, NOTHING_SELECTED = pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED
CUT_SHORT: Final = (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)


@dataclass(frozen=True)
class Record:
    """What one file holds; ``folder`` is its folder, whose name tells several systems apart."""

    folder: Path
    run: dict[str, Any]
    entries: tuple[ReportEntry, ...]
    reports: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a file; raises pytest.UsageError when it is no record of this version."""
        try:
            lines = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
            run = lines[0]["run"]
            if run["version"] != VERSION:
                raise pytest.UsageError(f"{path} has version {run['version']}: expected {VERSION}; record it again")
            tests = tuple(ReportEntry(**line["test"]) for line in lines if "test" in line)
            return cls(path.resolve().parent, run, tests, tuple(line["report"] for line in lines if "report" in line))
        except OSError as error:
            raise pytest.UsageError(f"{path} cannot be read: {error.strerror}; name a file of --record") from None
        except (ValueError, LookupError, TypeError) as error:
            raise pytest.UsageError(f"{path} is no record of a run: {error!r}; name a file of --record") from None

    def with_label(self, label: str) -> Record:
        """Return the same with this label in the id of each test and check, which tells several systems apart."""
        ids = {each.check_id: f"{each.check_id}@{label}" for each in self.entries if each.check_id}
        tests = [
            replace(each, nodeid=f"{each.nodeid}@{label}", check_id=ids.get(each.check_id, "")) for each in self.entries
        ]
        known = self.run["baseline"]
        baseline = {
            new: known[old]
            for each, labelled in zip(self.entries, tests, strict=True)
            for old, new in zip(
                names(each.check_id, each.parameters), names(labelled.check_id, each.parameters), strict=True
            )
            if old in known
        }
        run = self.run | {"expected": [f"{each}@{label}" for each in self.run["expected"]], "baseline": baseline}
        return Record(self.folder, run, tuple(tests), tuple(_labelled(each, label, ids) for each in self.reports))


def _labelled(report: dict[str, Any], label: str, ids: dict[str, str]) -> dict[str, Any]:
    """Return a report with the label in its id and in the ids of the checks that it names."""
    properties = [
        (
            name,
            value | {"because_of": [ids.get(each, each) for each in value["because_of"]]}
            if name == NOT_JUDGED
            else value,
        )
        for name, value in report["user_properties"]
    ]
    return report | {"nodeid": f"{report['nodeid']}@{label}", "user_properties": properties}


def add_options(parser: pytest.Parser) -> None:
    """Add ``--replay``."""
    parser.getgroup("report").addoption(
        "--replay", metavar="FILE", action="append", help="run nothing: report what FILE has recorded; may be repeated"
    )


def configure(config: pytest.Config) -> None:
    """Read the records, and report about their target."""
    if not (files := config.getoption("--replay")):
        return
    records = [Record.read(Path(file)) for file in files]
    refuse_incomplete(records)
    if len({tuple(record.run["reported_only"]) for record in records}) > 1:
        raise pytest.UsageError("the records have different profiles: merge those of --profile lumen by themselves")
    if len(set(_nodeids(records))) < len(list(_nodeids(records))):
        records = [record.with_label(record.folder.name) for record in records]
    twice = [name for name, number in Counter(_nodeids(records)).items() if number > 1]
    if twice:
        raise pytest.UsageError(f"two records have the test {twice[0]}: give their folders different names")
    config.stash[RECORDS] = records
    targets = dict.fromkeys(record.run["target"] for record in records if record.run["target"])
    if targets:
        config.stash[TARGET] = " | ".join(targets)
    config.stash[REPORTED_ONLY] = frozenset(records[0].run["reported_only"])
    config.stash[SELECTION] = " | ".join(dict.fromkeys(record.run["selection"] for record in records))
    config.stash[BASELINE] = {name: why for record in records for name, why in record.run["baseline"].items()}
    config.stash[BASELINE_FILE] = next((record.run["baseline_file"] for record in records), "")
    partly = [name for record in records for name in record.run["partly_selected"]]
    shared_files.publish(config, IN_PART, json.dumps(partly))


def refuse_incomplete(records: list[Record]) -> None:
    """Raise pytest.UsageError unless each part of a run is given, as often as the others."""
    parts = Counter(record.run["shard"] for record in records)
    if set(parts) == {None}:
        return
    numbers = {shards.parse(text)[1] if text else 0 for text in parts}
    if len(numbers) > 1:
        raise pytest.UsageError(
            "the records are parts of different runs: give all parts of one run (--shard K/N, the same N)"
        )
    (number,) = numbers
    most = max(parts.values())
    missing = [f"{part}/{number}" for part in range(1, number + 1) if parts[f"{part}/{number}"] < most]
    if missing:
        raise pytest.UsageError(f"shard {', '.join(missing)} is missing: give the records of all {number} parts")
    if len({record.run["selection"] for record in records}) > 1:
        raise pytest.UsageError("the parts have different selections: run all parts with the same options")


def _nodeids(records: list[Record]) -> Iterator[str]:
    return (each.nodeid for record in records for each in record.entries)


def collect(session: pytest.Session) -> bool | None:
    """Take the tests of the records for what is collected."""
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
    found = [(name, str(folder / value) if name == EVIDENCE else value) for name, value in data["user_properties"]]
    report = config.hook.pytest_report_from_serializable(config=config, data=data | {"user_properties": found})
    if isinstance(report.longrepr, list):  # where a test was skipped: pytest has a tuple, JSON a list
        report.longrepr = tuple(report.longrepr)
    if isinstance(report, pytest.TestReport):
        config.hook.pytest_runtest_logreport(report=report)
    else:
        config.hook.pytest_collectreport(report=report)


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
