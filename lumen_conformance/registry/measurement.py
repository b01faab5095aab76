"""What a check records for the report: measurements, warnings, evidence.

They are stored in ``user_properties``, as JSON values: parallel workers cannot send other values.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from lumen_conformance.registry.declaration import check_of
from lumen_conformance.registry.refutation import Status, failure_tier, held, is_suite_fault

MEASUREMENT: Final = "measurement"
WARNING: Final = "warning"
EVIDENCE: Final = "evidence"
HELD: Final = "held"  # expectations that held, and the values that were found
OBSERVED: Final = "observed"  # path and value of each field that a check has read
STEPS: Final = "steps"  # the steps of a stage whose observations a check has read: begin, end, own launches
EXCHANGE: Final = "exchange"  # the request and the response that a check is about: `http.exchange_record`

# Tiers whose failures are reported, and do not fail the run. With the profile openai, S is one of them.
REPORTED_ONLY: Final = pytest.StashKey[frozenset[str]]()
# Whether somebody reads what is recorded; the sessions of the matrix return outcomes only.
IS_READ: Final = pytest.StashKey[bool]()
DIGITS: Final = 6  # of a second behind the point: no clock of a check is read more exactly than to a microsecond


@dataclass(frozen=True)
class Measurement:
    """One value; ``budget`` is its upper bound in the same unit; ``headline`` shows it in the table of scenarios."""

    value: float
    unit: str
    budget: float | None
    label: str
    headline: bool


class MeasureFixture:
    """The type of the fixture ``measure``."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def __call__(
        self, value: float, unit: str, budget: float | None = None, *, label: str = "", headline: bool = False
    ) -> float:
        """Record ``value`` and return it; several values of one test need different labels.

        The verdict has the first value of a test; ``headline`` marks the recovery time of a scenario.
        """
        record(self._item, MEASUREMENT, asdict(Measurement(value, unit, budget, label, headline)))
        return value


class WarnFixture:
    """The type of the fixture ``warn``."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def __call__(self, reason: str) -> None:
        """Record a warning; it does not fail the run."""
        record(self._item, WARNING, reason)


class EvidenceFixture:
    """The type of the fixture ``evidence_path``."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def __call__(self, path: Path) -> None:
        """Record the path of a file or folder, whose text the report shows; several tests may record the same path."""
        record_evidence(self._item, path)


def rounded(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Return what was measured without the digits that a difference of two floats adds: 0.3 instead of 0.1 + 0.2."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value


def record(item: pytest.Item, name: str, value: object) -> None:
    """Add one property to the reports of a test; raises TypeError for a value that is not JSON."""
    json.dumps(value)
    item.user_properties.append((name, value))


def record_held(item: pytest.Item) -> None:
    """Record the expectations of a check that held, if somebody reads them."""
    if IS_READ in item.config.stash and check_of(item) and (found := held()):
        record(item, HELD, found)


def record_evidence(item: pytest.Item, path: Path) -> None:
    """Record the path of a file or folder, once for each test."""
    if (EVIDENCE, str(path)) not in item.user_properties:
        record(item, EVIDENCE, str(path))


def excuse_reported_only(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turn a refuted claim into a warning, if its tier does not fail the run."""
    found = check_of(item)
    reported_only = item.config.stash.get(REPORTED_ONLY, frozenset("W"))
    refuted = call.when == "call" and report.failed and not is_suite_fault(report)
    if found and refuted and (failure_tier(report) or found.tier) in reported_only:
        report.user_properties.append((WARNING, reason_of(report)))
        report.sections.append((f"failure of tier {found.tier}", report.longreprtext))
        report.outcome, report.longrepr = "passed", None


def status_of(report: pytest.TestReport) -> Status | None:
    """Return the category of a check that only warned."""
    if report.when == "call" and report.passed and any(name == WARNING for name, _ in report.user_properties):
        return "warned", "w", ("WARNED", {"yellow": True})
    return None


def reason_of(report: pytest.TestReport) -> str:
    """Return in one line why a test failed or was skipped: the found value and its place, or the first line."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text: str = crash.message if crash else str(report.longrepr)
    first, _, others = text.strip().removeprefix("Failed: ").partition("\n")
    matches = (re.search(rf"^  {name}: +(.*)$", others, re.MULTILINE) for name in ("found", "at"))
    details = ", at ".join(match[1] for match in matches if match)
    return f"{first}; found {details}" if details else first


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> MeasureFixture:
    """Return ``measure(value, unit, budget)``, which records a value and returns it."""
    return MeasureFixture(request.node)


@pytest.fixture
def warn(request: pytest.FixtureRequest) -> WarnFixture:
    """Return ``warn(reason)``, which records a warning of a check of tier W."""
    return WarnFixture(request.node)


@pytest.fixture
def evidence_path(request: pytest.FixtureRequest) -> EvidenceFixture:
    """Return ``evidence_path(path)``, which adds a file or folder to the report."""
    return EvidenceFixture(request.node)
