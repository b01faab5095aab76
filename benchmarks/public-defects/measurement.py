"""Run the contract against each defect, in this process, and keep which checks of tiers M and S failed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from defects import DEFECTS, unchanged

from lumen_conformance.registry.declaration import check_of
from tests.fixtures.faults.fault import Fault
from tests.fixtures.faults.reference.steps import Steps
from tests.matrix.contract import contract
from tests.matrix.fault_run import SHORTER, run_fault

HERE = Path(__file__).parent
TIERS = ("M", "S")
# The waits of the matrix, but those for slow answers: a defect may have a limit of seconds.
WAITS: Final = {name: seconds for name, seconds in SHORTER.items() if "test_g_time" not in name}
COMMIT_CHARS: Final = 7
TEXT_CHARS: Final = 160  # of a failure: enough to name the cause


@dataclass(frozen=True)
class Report:
    """A public report: repository and number, and what it says.

    ``series``   the collection that it belongs to, from 1
    ``kind``     the kind of its defect; `visible` is false when no client of the server can see it
    ``what``     the defect on the wire
    ``checks``   the checks of that kind, as patterns: chosen by reading why they failed
    ``assumed``  what the report leaves open and its defect needs
    ``missed``   why the contract does not catch it, while it does not
    """

    report: str
    product: str
    title: str
    kind: str
    what: str
    visible: bool
    checks: tuple[str, ...] = ()
    assumed: str = ""
    missed: str = ""
    series: int = 1

    @property
    def url(self) -> str:
        """The address; GitHub leads from an issue to a pull request of the same number."""
        repository, _, number = self.report.partition("#")
        return f"https://github.com/{repository}/issues/{number}"

    def of_kind(self, checks: Iterable[str]) -> list[str]:
        """Those of these checks that are of its kind."""
        return [check for check in checks if any(fnmatchcase(check, pattern) for pattern in self.checks)]


def read_reports() -> list[Report]:
    """All reports; raises TypeError for an unknown field."""
    found = json.loads((HERE / "reports.json").read_text("utf-8"))
    return [Report(**each | {"checks": tuple(each.get("checks", ()))}) for each in found]


def measure(names: Iterable[str] = ()) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """Run the contract against these reports, or against all: tier → check → why it failed."""
    wanted = set(names)
    for report in read_reports():
        if not wanted or report.report in wanted:
            make = DEFECTS.get(report.report)
            yield report.report, failures(report.report, make()) if make else {tier: {} for tier in TIERS}


def failures(name: str, steps: Steps) -> dict[str, dict[str, str]]:
    """The checks of tiers M and S that fail for these steps; raises RuntimeError when a check ends with an error."""
    found: dict[str, dict[str, str]] = {tier: {} for tier in TIERS}
    fault = Fault(name, "", "", steps, profile="openai")
    for test, outcome in run_fault(fault, contract("openai").tests, WAITS).items():
        if outcome.word == "error":
            raise RuntimeError(f"{name}: {test.name} ends with an error: {outcome.reason}")
        check = check_of(test.item)
        if check and outcome.word == "failed" and check.tier in found:
            text = outcome.reason.encode("utf-8", "backslashreplace").decode()  # half of a pair cannot be written
            found[check.tier].setdefault(test.check, text)
    return found


def harmless() -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """The same for the ways in which defects are made, without a defect: nothing may fail."""
    for name, steps in unchanged():
        yield name, failures(name, steps)


def record(name: str, found: dict[str, dict[str, dict[str, str]]]) -> None:
    """Keep a measurement under this name, beside what is kept of other reports at the same commit."""
    path = HERE / "measured.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    # The last one of the contract; git's own short form grows with the repository.
    commit = _git("log", "-1", "--format=%H", "--", ":/lumen_conformance", ":/tests")[:COMMIT_CHARS]
    former = kept.get(name, {})
    others = former["failed"] if former.get("commit") == commit else {}
    kept[name] = {
        "commit": commit,
        "day": datetime.now(UTC).date().isoformat(),
        "checks": len(contract("openai").checks),
        "failed": others | {report: _kept(report, tiers) for report, tiers in found.items()},
    }
    path.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")


def _kept(name: str, tiers: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The ids of each tier, and the texts of the checks of the kind."""
    report = next(each for each in read_reports() if each.report == name)
    texts = {check: text for checks in tiers.values() for check, text in checks.items()}
    shown = {check: " ".join(texts[check].split())[:TEXT_CHARS] for check in report.of_kind(texts)[:1]}
    return {tier: " ".join(checks) for tier, checks in tiers.items()} | {"text": shown}


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=HERE, capture_output=True, encoding="utf-8", check=True).stdout.strip()
