"""Hold one fault, or one healthy variant, to what it declares."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fixtures.faults.fault import Fault
from tests.matrix.judging import asked, judge, red_of, whole
from tests.matrix.running import Asked, Outcome, contract

Record = Callable[[str, object], None]
SHOWN = 8  # surprises are alike


def hold(fault: Fault, record: Record) -> None:
    """Fail unless exactly the declared checks are red, and nothing is an ERROR."""
    found = judge(fault, tuple(asked(fault, contract(fault.profile).tests)))
    red = red_of(found)
    record("fault", {"name": fault.name, "red": sorted(red)})
    declared = frozenset(test.check for test in found if fault.declares(test.check))
    surprises = [*errors(found), *_told(found, red - declared), *(f"{check} is green" for check in declared - red)]
    if surprises:
        pytest.fail(f"{fault.name}: {fault.defect}\n" + "\n".join(sorted(surprises)[:SHOWN]), pytrace=False)
    assert fault.check in red


def hold_healthy(variant: Fault, record: Record) -> None:
    """Fail when any check is red or could not be asked."""
    found = judge(variant, whole(variant, contract(variant.profile).tests))
    record("healthy", {"name": variant.name, "red": sorted(red_of(found))})
    surprises = [*errors(found), *_told(found, red_of(found))]
    assert not surprises, f"{variant.name}: {variant.defect}\n" + "\n".join(surprises[:SHOWN])


def errors(found: dict[Asked, Outcome]) -> list[str]:
    """What was not the fault of a check."""
    return [f"{test.name} is an ERROR: {outcome.reason}" for test, outcome in found.items() if outcome.word == "error"]


def _told(found: dict[Asked, Outcome], checks: frozenset[str]) -> list[str]:
    return [
        f"{test.name} is red: {outcome.reason}"
        for test, outcome in found.items()
        if test.check in checks and outcome.word == "failed"
    ]
