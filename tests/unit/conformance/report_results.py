"""Results of checks as a report has them, for tests of its parts."""

from __future__ import annotations

from typing import Any

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.results import Outcome, Result


def entry_of(check: str, *, scenario: int = 0, **fields: Any) -> ReportEntry:  # noqa: ANN401 -- any field of an entry
    """Return the entry of a check; that of a scenario is a check of recovery."""
    area = "recovery" if scenario else "contract"
    given = {"tier": "M", "parameters": "", "claim": f"The claim of {check}", "title": "", "group": "", **fields}
    return ReportEntry(nodeid=f"tests/{area}/test_a.py::{check}", check_id=check, area=area, scenario=scenario, **given)


def result_of(entry: ReportEntry, outcome: Outcome = "passed", *figures: Measurement, **fields: Any) -> Result:  # noqa: ANN401 -- any field of a result
    """Return a result with these figures."""
    reason = "" if outcome == "passed" else "a reason"
    given = {"reason": reason, "crashed": False, "duration_s": 0.0, "evidence": (), **fields}
    return Result(entry, outcome, measurements=figures, **given)
