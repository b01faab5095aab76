"""One file of ``--record``, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.registry.refutation import NOT_JUDGED
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.known_ids import names
from lumen_conformance.report.run_record import VERSION

FILE: Final = "record.jsonl"  # its name in an output folder


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

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a file; raises pytest.UsageError when it is no record of this version."""
        try:
            lines = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
            run = lines[0]["run"]
            if run["version"] != VERSION:
                raise pytest.UsageError(
                    f"{path} is a record of version {run['version']}: expected version {VERSION}; run its checks again "
                    "with this version of the suite"
                )
            tests = tuple(ReportEntry(**line["test"]) for line in lines if "test" in line)
            name = path.resolve().parent.name if path.name == FILE else path.stem
            reports = tuple(line["report"] for line in lines if "report" in line)
            return cls(path.resolve(), name, run, tests, reports)
        except OSError as error:
            raise pytest.UsageError(f"{path} cannot be read: {error.strerror}; name a file of --record") from None
        except (ValueError, LookupError, TypeError) as error:
            raise pytest.UsageError(f"{path} is no record of a run: {error!r}; name a file of --record") from None

    def with_label(self, label: str) -> Record:
        """Return the same with this label in the id of each test and check, which tells several systems apart.

        The baseline then lists only the tests of this record: it says nothing of those of another. The label may be
        empty.
        """
        end = f"@{label}" if label else ""
        ids = {each.check_id: f"{each.check_id}{end}" for each in self.entries if each.check_id}
        tests = [
            replace(each, nodeid=f"{each.nodeid}{end}", check_id=ids.get(each.check_id, "")) for each in self.entries
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
