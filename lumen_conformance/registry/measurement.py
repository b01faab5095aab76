"""What a check hands to the report while it runs: a measurement, a warning, a path of evidence.

All of it travels in ``user_properties``, as text, numbers, lists and dicts: anything else would break parallel runs.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.registry.declaration import check_of
from lumen_conformance.registry.refutation import Status, is_suite_fault, own_tier

MEASUREMENT: Final = "measurement"
WARNING: Final = "warning"
EVIDENCE: Final = "evidence"

# Tiers that are reported and never red; whoever knows the target may add S to them.
REPORTED_ONLY: Final = pytest.StashKey[frozenset[str]]()


@dataclass(frozen=True)
class Measurement:
    """One figure; ``budget`` is its upper bound, in the same unit; ``headline`` puts it in the table of scenarios."""

    value: float
    unit: str
    budget: float | None
    label: str
    headline: bool


class Measure:
    """Callable that records a figure and hands it back, so that it can be asserted in the same line."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def __call__(
        self, value: float, unit: str, budget: float | None = None, *, label: str = "", headline: bool = False
    ) -> float:
        """Record ``value``; several figures of one test need different labels.

        The first one is the measurement of the verdict; ``headline`` marks a scenario's recovery time.
        """
        record(self._item, MEASUREMENT, asdict(Measurement(value, unit, budget, label, headline)))
        return value


class Warn:
    """Callable that records why a check of tier W is not content; it never turns a run red."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def __call__(self, reason: str) -> None:
        """Record the reason."""
        record(self._item, WARNING, reason)


class Evidence:
    """Callable that names a file or folder that shows what happened; the report folds its text in."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def __call__(self, path: Path) -> None:
        """Record the path; the same one may be named by every check of a scenario."""
        record_evidence(self._item, path)


def record(item: pytest.Item, name: str, value: object) -> None:
    """Add one property to what the item reports; raises TypeError when it could not be sent to another process."""
    json.dumps(value)
    item.user_properties.append((name, value))


def record_evidence(item: pytest.Item, path: Path) -> None:
    """Attach the path of a file or folder to the item, once."""
    if (EVIDENCE, str(path)) not in item.user_properties:
        record(item, EVIDENCE, str(path))


def excuse_reported_only(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turn a failed call of a tier that is never red (W; of a foreign target S, too) into a warning."""
    found = check_of(item)
    reported_only = item.config.stash.get(REPORTED_ONLY, frozenset("W"))
    refuted = call.when == "call" and report.failed and not is_suite_fault(report)
    if found and refuted and (own_tier(report) or found.tier) in reported_only:
        report.user_properties.append((WARNING, reason_of(report)))
        report.sections.append((f"what failed, of tier {found.tier}", report.longreprtext))
        report.outcome, report.longrepr = "passed", None


def status_of(report: pytest.TestReport) -> Status | None:
    """Count what is reported, and never red, apart from what passed."""
    if report.when == "call" and report.passed and any(name == WARNING for name, _ in report.user_properties):
        return "warned", "w", ("WARNED", {"yellow": True})
    return None


def reason_of(report: pytest.TestReport) -> str:
    """Return in one line why a test failed or was skipped: what a judge has found and where, else the first line."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text: str = crash.message if crash else str(report.longrepr)
    first, _, others = text.strip().removeprefix("Failed: ").partition("\n")
    facts = (re.search(rf"^  {name}: +(.*)$", others, re.MULTILINE) for name in ("found", "at"))
    return f"{first}; found {', at '.join(told)}" if (told := [fact[1] for fact in facts if fact]) else first


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Return ``measure(value, unit, budget)``, which records a figure and hands it back."""
    return Measure(request.node)


@pytest.fixture
def warn(request: pytest.FixtureRequest) -> Warn:
    """Return ``warn(reason)``: the way of tier W to say that something could be better."""
    return Warn(request.node)


@pytest.fixture
def evidence_path(request: pytest.FixtureRequest) -> Evidence:
    """Return ``evidence_path(path)``, which attaches a file or folder to the report."""
    return Evidence(request.node)
