"""One of the runs that are compared, with what its record has of each check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.registry.measurement import EXCHANGE
from lumen_conformance.registry.old_ids import translate
from lumen_conformance.report.comparison import FAILING, Verdicts
from lumen_conformance.report.exchange_evidence import with_files
from lumen_conformance.report.known_ids import names
from lumen_conformance.report.recorded_run import FILE, Record
from lumen_conformance.report.run_ending import RunEnding


@dataclass(frozen=True)
class ComparedRun:
    """One of the two runs: the file or folder that was given, its verdicts, and how it ended."""

    label: str
    verdicts: Verdicts
    path: Path
    ending: RunEnding

    @property
    def fails(self) -> bool:
        """Whether the run failed, or one of its checks, also if its baseline lists it."""
        failing = any(each.outcome in FAILING for each in self.verdicts.values())
        return failing or bool(self.ending.exit_status)

    @cached_property
    def record(self) -> Record | str:
        """The record of the run, or why there is none."""
        if not self.path.is_dir():
            return "verdicts only"
        try:
            return Record.read(self.path / FILE)
        except pytest.UsageError as error:
            return f"verdicts only: {error}"

    @cached_property
    def reports(self) -> dict[str, list[dict[str, Any]]]:
        """The reports of each check, by its present name with parameters; none without a record."""
        found: dict[str, list[dict[str, Any]]] = {}
        if isinstance(self.record, Record):
            by_node = {each.nodeid: names(translate(each.check_id), each.parameters)[0] for each in self.record.entries}
            for report in self.record.reports:
                found.setdefault(by_node.get(report["nodeid"], ""), []).append(report)
        return found

    def recorded(self, name: str, kind: str) -> list[Any]:
        """Return what a check has recorded; the report of a later phase repeats the values of earlier phases."""
        reports = self.reports.get(name, ())
        phases = ([value for key, value in each["user_properties"] if key == kind] for each in reports)
        found = max(phases, key=len, default=[])
        return [with_files(each, lambda file: str(self.path / file)) for each in found] if kind == EXCHANGE else found

    def first(self, name: str, kind: str, default: Any) -> Any:  # noqa: ANN401 -- whatever a check records
        """Return the first value that a check has recorded, or another one."""
        return next(iter(self.recorded(name, kind)), default)

    def describe(self) -> str:
        """Return the run in words: its name, the number of its checks, how it ended, and what it lacks."""
        lacks = f" ({self.record})" if isinstance(self.record, str) else ""
        ending = self.ending.describe()
        return f"{self.label}: {len(self.verdicts)} checks{f'; {ending}' if ending else ''}{lacks}"
