"""One file of ``--record``, read back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pytest

from lumen_conformance.registry.measurement import EVIDENCE, EXCHANGE
from lumen_conformance.registry.refutation import NOT_JUDGED
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.exchange_evidence import FILES
from lumen_conformance.report.known_ids import names
from lumen_conformance.report.run_record import VERSION

_EVIDENCE_FOLDER: Final = re.compile(r"((?:[^/]+/)*(?:evidence|bodies)-[^/]+)/")
FILE: Final = "record.jsonl"  # its name in an output folder


class _Head(msgspec.Struct):
    """The fields of a run, each with its type; ``lines`` is the number of lines behind the first."""

    run_id: str
    conditions: dict[str, Any]
    shard: str | None
    selection: str
    baseline: dict[str, str]
    baseline_file: str
    partly_selected: list[str]
    target: str | None
    target_options: str
    reported_only: list[str]
    exit_status: int
    duration_s: float
    expected: list[str]
    lines: int


class _Report(msgspec.Struct):
    """The fields of a report without which it is none of pytest."""

    nodeid: str
    outcome: Literal["passed", "failed", "skipped"]
    longrepr: Any
    user_properties: list[tuple[str, Any]]
    kind: Literal["TestReport", "CollectReport"] = msgspec.field(name="$report_type")
    when: Literal["setup", "call", "teardown"] | None = None


@dataclass(frozen=True)
class Record:
    """What one file holds; ``name`` tells several systems apart."""

    path: Path
    name: str
    run: dict[str, Any]
    entries: tuple[ReportEntry, ...]
    reports: tuple[dict[str, Any], ...]

    @property
    def folder(self) -> Path:
        """The folder of the file, with its evidence."""
        return self.path.parent

    def evidence_folders(self) -> list[str]:
        """Return the folders that the reports name as evidence, relative to the folder of the file."""
        properties = [each for report in self.reports for each in report["user_properties"]]
        named = {value for name, value in properties if name == EVIDENCE}
        named |= {path for name, value in properties if name == EXCHANGE for path in value.get(FILES, {}).values()}
        folders = {match[1] for value in named if (match := _EVIDENCE_FOLDER.match(str(value)))}
        return sorted(each for each in folders if ".." not in Path(each).parts and (self.folder / each).is_dir())

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a file; raises pytest.UsageError when it is no record of this version."""
        try:
            first, *lines = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
            run = first["run"]
            if run["version"] != VERSION:
                raise pytest.UsageError(
                    f"{path} is a record of version {run['version']}: expected version {VERSION}; run its checks again "
                    "with this version of the suite"
                )
            if len(lines) != msgspec.convert(run, _Head).lines:
                raise pytest.UsageError(
                    f"{path} is not complete: it has {len(lines)} of {run['lines']} lines; copy it again, or run again"
                )
            tests = tuple(msgspec.convert(line["test"], ReportEntry) for line in lines if "test" in line)
            name = path.resolve().parent.name if path.name == FILE else path.stem
            exchanges = [line["exchange"] for line in lines if "exchange" in line]
            reports = tuple(_with_exchanges(line["report"], exchanges) for line in lines if "report" in line)
            msgspec.convert(reports, tuple[_Report, ...])
            return cls(path.resolve(), name, run, tests, reports)
        except OSError as error:
            raise pytest.UsageError(f"{path} cannot be read: {error.strerror}; name a file of --record") from None
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise pytest.UsageError(f"{path} is no record of a run: {error!r}; name a file of --record") from None

    def with_label(self, label: str) -> Record:
        """Return the same with this label in the id of each test and check, which tells several systems apart.

        The baseline then lists only the tests of this record: it says nothing of those of another. The label may be
        empty.
        """
        end = f"@{label}" if label else ""
        ids = {each.check_id: f"{each.check_id}{end}" for each in self.entries if each.check_id}
        tests = [
            replace(each, nodeid=f"{each.nodeid}{end}", check_id=ids.get(each.check_id, ""), label=each.label + end)
            for each in self.entries
        ]
        listed = {
            old: new
            for each in self.entries
            if each.check_id
            for old, new in zip(
                names(each.check_id, each.parameters), names(ids[each.check_id], each.parameters), strict=True
            )
        }
        run = self.run | {
            "expected": [f"{each}{end}" for each in self.run["expected"]],
            "baseline": {listed[name]: why for name, why in self.run["baseline"].items() if name in listed},
            "partly_selected": [listed[name] for name in self.run["partly_selected"] if name in listed],
        }
        reports = tuple(_labelled(each, end, ids) for each in self.reports)
        return replace(self, run=run, entries=tuple(tests), reports=reports)


def _labelled(report: dict[str, Any], end: str, ids: dict[str, str]) -> dict[str, Any]:
    """Return a report with this end of its id and in the ids of the checks that it names."""
    properties = [
        (
            name,
            value | {"because_of": [ids.get(each, each) for each in value["because_of"]]}
            if name == NOT_JUDGED
            else value,
        )
        for name, value in report["user_properties"]
    ]
    return report | {"nodeid": f"{report['nodeid']}{end}", "user_properties": properties}


def _with_exchanges(report: dict[str, Any], exchanges: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the report with the exchanges that it names by their places."""
    named = [(name, exchanges[value] if name == EXCHANGE else value) for name, value in report["user_properties"]]
    return report | {"user_properties": named}
