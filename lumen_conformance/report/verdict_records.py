"""``--verdicts FILE``: write one JSON line for each check and its parameters.

The controller writes the file, even if workers crashed. A check that was selected and never ran is an error, so that
an incomplete run does not look complete.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.registry.refutation import Failure
from lumen_conformance.report import output_paths, shared_files
from lumen_conformance.report.causes import CauseNames
from lumen_conformance.report.entries import ReportEntry
from lumen_conformance.report.results import NEVER_RAN_REASON, RESULTS, Result, Results


def configure(config: pytest.Config) -> None:
    """Refuse a file that cannot be written."""
    if path := _path(config):
        output_paths.refuse_unwritable("--verdicts", path)


def write_file(session: pytest.Session) -> None:
    """Write the file, if the option is given."""
    if path := _path(session.config):
        write(path, session.config.stash[RESULTS])


def _path(config: pytest.Config) -> Path | None:
    return output_paths.given(config, "--verdicts") if shared_files.reports(config) else None


def write(path: Path, results: Results) -> None:
    """Write the verdicts of a run; the file is empty if no check was collected."""
    lines = [json.dumps(each, ensure_ascii=False) for each in verdicts(results)]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8", "backslashreplace", "\n")


def verdicts(results: Results) -> Iterator[dict[str, Any]]:
    """Yield one verdict for each check and its parameters."""
    ended = [each for each in results.results if each.entry.check_id]
    names = CauseNames(results.results)
    causes = {each.name: names.of(each) for each in ended if each.refuted or each.outcome == "error"}
    for each in ended:
        yield _verdict(each, causes, names)
    for entry in (each for each in results.missing if each.check_id):
        yield _head(entry) | {
            "outcome": "error",
            "measurement": None,
            "evidence": [],
            "reason": NEVER_RAN_REASON,
            **_failure_fields(None),
            "because_of": [],
            "cause": None,
        }


def _verdict(result: Result, causes: Mapping[str, str], names: CauseNames) -> dict[str, Any]:
    named = (causes[check] for check in result.explained_by if check in causes)
    wrong = result.refuted or result.stale or result.outcome == "error"
    own = names.of(result) if wrong else next(named, None)
    return _head(result.entry) | {
        "outcome": result.outcome,
        "measurement": _measurement(result.measurements),
        "evidence": list(result.evidence),
        "reason": result.reason or None,
        **_failure_fields(result.failure),
        "because_of": list(result.because_of),
        "cause": own,
    }


def _failure_fields(failure: Failure | None) -> dict[str, str | None]:
    """Return the expected value, the found value and its place; None if the check states none."""
    names = ("expected", "found", "at")
    return {name: (getattr(failure, name) or None) if failure else None for name in names}


def _head(entry: ReportEntry) -> dict[str, Any]:
    return {"id": entry.check_id, "param": entry.parameters or None, "tier": entry.tier, "claim": entry.claim}


def _measurement(recorded: tuple[Measurement, ...]) -> dict[str, Any] | None:
    if not recorded:
        return None
    return {"value": recorded[0].value, "unit": recorded[0].unit, "budget": recorded[0].budget}
