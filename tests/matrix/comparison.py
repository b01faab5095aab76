"""Compare the outcomes of a fault, or of a healthy variant, with what it declares."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import pytest

from lumen_conformance.report.root_causes import roots
from tests.fixtures.faults.fault import FAILURES, Fault, matches
from tests.matrix.contract import contract
from tests.matrix.failure_texts import failure_text
from tests.matrix.fault_run import Outcomes, failed_checks, run_fault
from tests.matrix.patterns import patterns_for
from tests.matrix.selection import WHOLE, declared_by, select, select_for_variant

SHOWN: Final = 8  # of the differences: they are alike
NOT_RUN: Final = "not run"
HOW_TO_UPDATE: Final = "If this is intended, run 'pytest tests/matrix --update' and review the diff."


@dataclass(frozen=True)
class Matrix:
    """Runs faults and healthy variants.

    ``record``  keeps a property of the running test
    ``update``  whether the failures that are observed replace the declared ones instead of being compared
    """

    record: Callable[[str, object], None]
    update: bool

    def compare(self, fault: Fault) -> None:
        """Fail unless exactly the declared checks fail, unjudged checks lead to a failed one, and the text is known."""
        tests = contract(fault.profile).tests
        outcomes = run_fault(fault, tuple(select(fault, tests, whole=WHOLE or self.update)))
        failed, partly_run = failed_checks(outcomes), {test.check for test in tests if test not in outcomes}
        observed = observe(fault, outcomes, failed) if self.update else {}
        self.record("fault", {"name": fault.name, "red": sorted(failed), **observed})
        differences = [*errors(outcomes), *untraced(outcomes, failed, partly_run)]
        if fault.check not in failed:
            differences.append(
                f"{fault.check}, which names the fault, does not fail: {describe(outcomes, fault.check)}"
            )
        if not self.update:
            differences += [*undeclared(fault, outcomes, failed), *other_text(fault, outcomes)]
        _report(fault, differences, HOW_TO_UPDATE)

    def compare_variant(self, variant: Fault) -> None:
        """Fail when any check fails, is not judged, or ends with an error."""
        outcomes = run_fault(variant, tuple(select_for_variant(variant, contract(variant.profile).tests)))
        failed = failed_checks(outcomes)
        self.record("healthy", {"name": variant.name, "red": sorted(failed)})
        not_judged = [
            f"{test.name} is not judged: {outcome.reason}"
            for test, outcome in outcomes.items()
            if outcome.word == "not_judged"
        ]
        _report(variant, [*errors(outcomes), *_failures(outcomes, failed), *not_judged])


def errors(outcomes: Outcomes) -> list[str]:
    """The checks that ended with an error of their own."""
    return [
        f"{test.name} ends with an error: {outcome.reason}"
        for test, outcome in outcomes.items()
        if outcome.word == "error"
    ]


def untraced(outcomes: Outcomes, failed: frozenset[str], partly_run: Collection[str] = ()) -> list[str]:
    """The unjudged checks whose reasons do not lead to a failed check, nor to one with rows that were not run."""
    reasons: dict[str, tuple[str, ...]] = {}
    for test, outcome in outcomes.items():
        if outcome.word == "not_judged":
            reasons[test.check] = reasons.get(test.check, ()) + outcome.because_of
    found = []
    for test, outcome in outcomes.items():
        named = roots(outcome.because_of, failed, reasons)
        if outcome.word == "not_judged" and not failed.intersection(named) and not set(partly_run).intersection(named):
            ended = ", ".join(f"{check}: {describe(outcomes, check)}" for check in named) or "it names no check"
            found.append(f"{test.name} is not judged because of {', '.join(named) or 'nothing'}, but {ended}")
    return found


def undeclared(fault: Fault, outcomes: Outcomes, failed: frozenset[str]) -> list[str]:
    """The checks that fail and are not declared, and those that are declared and do not fail."""
    declared = declared_by(fault, outcomes)
    missing = [f"{check} is declared and does not fail: {describe(outcomes, check)}" for check in declared - failed]
    return [*_failures(outcomes, failed - declared), *missing]


def other_text(fault: Fault, outcomes: Outcomes) -> list[str]:
    """The failure of the check that names the fault, where its text is not the known one."""
    text, known = failure_text(fault, outcomes), FAILURES.get(fault.name)
    if text is None or text == known:
        return []
    return [f"{fault.check}: {text}; failures.txt has {known or 'no text of this fault'}"]


def observe(fault: Fault, outcomes: Outcomes, failed: frozenset[str]) -> dict[str, object]:
    """The text of the failure and the patterns of the companions; patterns that are right already stay."""
    text = failure_text(fault, outcomes)
    others = tuple(dict.fromkeys(test.check for test in contract(fault.profile).tests if test.check != fault.check))
    right = not undeclared(fault, outcomes, failed) and all(
        any(matches(check, (pattern.lstrip("!"),)) for check in others) for pattern in fault.companions
    )
    patterns = fault.companions if right else patterns_for(failed - {fault.check}, others)
    return {"text": list(text) if text else None, "companions": list(patterns)}  # lists: an xdist worker sends them


def describe(outcomes: Outcomes, check: str) -> str:
    """How the rows of a check ended."""
    ends = sorted({outcome.word for test, outcome in outcomes.items() if test.check == check})
    return " and ".join(ends) or NOT_RUN


def _failures(outcomes: Outcomes, checks: frozenset[str]) -> list[str]:
    return [
        f"{test.name} fails: {outcome.reason}"
        for test, outcome in outcomes.items()
        if test.check in checks and outcome.word == "failed"
    ]


def _report(fault: Fault, differences: list[str], *advice: str) -> None:
    if differences:
        lines = [f"{fault.name}: {fault.defect}", *sorted(differences)[:SHOWN], *advice]
        pytest.fail("\n".join(lines), pytrace=False)
