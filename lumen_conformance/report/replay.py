"""``--replay FILE``: run nothing, and report what the records of several runs have; see `run_record`.

The reports go to the same hooks as those of a run, so that page, JUnit, verdicts and summary are made by the same code,
with the same counts. A test that several records have, as the same checks on several systems do, is told apart by the
name of the folder of its record.
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
from lumen_conformance.report import shards
from lumen_conformance.report.baseline import BASELINE
from lumen_conformance.report.entries import ReportEntry, publish
from lumen_conformance.report.markup import TARGET
from lumen_conformance.report.results import RESULTS
from lumen_conformance.report.run_record import VERSION
from lumen_conformance.report.selection import SELECTION

RECORDS: Final = pytest.StashKey[list["Record"]]()


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
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            run = lines[0]["run"]
            if run["version"] != VERSION:
                raise pytest.UsageError(f"{path} has version {run['version']}: expected {VERSION}; record it again")
            tests = tuple(ReportEntry(**line["test"]) for line in lines if "test" in line)
            return cls(path.resolve().parent, run, tests, tuple(line["report"] for line in lines if "report" in line))
        except OSError as error:
            raise pytest.UsageError(f"{path} cannot be read: {error.strerror}; name a file of --record") from None
        except (ValueError, LookupError, TypeError) as error:
            raise pytest.UsageError(f"{path} is no record of a run: {error!r}; name a file of --record") from None

    def labelled(self, label: str) -> Record:
        """The same, with this label in the name of each test."""
        tests = [
            replace(each, nodeid=f"{each.nodeid}@{label}", parameters=_joined(each.parameters, label))
            for each in self.entries
        ]
        reports = [each | {"nodeid": f"{each['nodeid']}@{label}"} for each in self.reports]
        run = self.run | {"expected": [f"{each}@{label}" for each in self.run["expected"]]}
        return Record(self.folder, run, tuple(tests), tuple(reports))


def _joined(parameters: str, label: str) -> str:
    return f"{parameters}@{label}" if parameters else f"@{label}"


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
    refuse_incomplete([record.run["shard"] for record in records])
    twice = [nodeid for nodeid, number in Counter(_nodeids(records)).items() if number > 1]
    records = [record.labelled(record.folder.name) for record in records] if twice else records
    if len(set(_nodeids(records))) < len(list(_nodeids(records))):
        raise pytest.UsageError("--replay: two records have the same tests and the same name of their folders")
    config.stash[RECORDS] = records
    targets = dict.fromkeys(record.run["target"] for record in records if record.run["target"])
    if targets:
        config.stash[TARGET] = " | ".join(targets)
    config.stash[REPORTED_ONLY] = frozenset(tier for record in records for tier in record.run["reported_only"])
    config.stash[SELECTION] = " | ".join(dict.fromkeys(record.run["selection"] for record in records))
    config.stash[BASELINE] = {name: why for record in records for name, why in record.run["baseline"].items()}


def refuse_incomplete(found: list[str | None]) -> None:
    """Raise pytest.UsageError unless the parts of a run are all there: a part that is missing must not look passed."""
    given = [shards.parse(text) for text in found if text]
    if not given:
        return
    number = max(number for _, number in given)
    missing = [f"{part}/{number}" for part in range(1, number + 1) if (part, number) not in given]
    if missing:
        raise pytest.UsageError(f"--replay: shard {', '.join(missing)} is missing: give the records of all {number}")


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
