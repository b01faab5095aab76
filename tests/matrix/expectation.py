"""Hold one fault, or one healthy variant, to what it declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from lumen_conformance.report.root_causes import roots
from tests.fixtures.faults.fault import FAILURES, Fault, matches
from tests.matrix.failure_texts import told_by
from tests.matrix.fault_run import WHOLE, WRITING, asked, declared_by, judge, red_of, whole
from tests.matrix.in_process_runner import Asked, Outcome, contract
from tests.matrix.patterns import patterns_for

Found = Mapping[Asked, Outcome]
Record = Callable[[str, object], None]
SHOWN = 8  # surprises are alike
NOT_ASKED = "not asked"


def hold(fault: Fault, record: Record) -> None:
    """Fail unless exactly the declared checks are red, each unjudged one names a red one, and the text is the known."""
    found = judge(fault, tuple(asked(fault, contract(fault.profile).tests)))
    red = red_of(found)
    record("fault", {"name": fault.name, "red": sorted(red), **_seen(fault, found, red)})
    surprises = [*errors(found), *untraced(found, red)]
    if not WRITING:
        surprises += [*_undeclared(fault, found, red), *_other_words(fault, found)]
    if fault.check not in red:
        surprises.append(f"{fault.check}, which names the fault, is not red: {_words(found, fault.check)}")
    if surprises:
        pytest.fail(f"{fault.name}: {fault.defect}\n" + "\n".join(sorted(surprises)[:SHOWN]), pytrace=False)


def hold_healthy(variant: Fault, record: Record) -> None:
    """Fail when any check is red, is not judged, or could not be asked."""
    found = judge(variant, whole(variant, contract(variant.profile).tests))
    record("healthy", {"name": variant.name, "red": sorted(red_of(found))})
    unjudged = [f"{test.name} is not judged: {one.reason}" for test, one in found.items() if one.word == "not_judged"]
    surprises = [*errors(found), *_told(found, red_of(found)), *unjudged]
    assert not surprises, f"{variant.name}: {variant.defect}\n" + "\n".join(surprises[:SHOWN])


def errors(found: Found) -> list[str]:
    """What was not the fault of a check."""
    return [f"{test.name} is an ERROR: {outcome.reason}" for test, outcome in found.items() if outcome.word == "error"]


def untraced(found: Found, red: frozenset[str]) -> list[str]:
    """What was not judged for no reason: the checks that it names, and those that they name, are not red."""
    reasons: dict[str, tuple[str, ...]] = {}
    for test, outcome in found.items():
        if outcome.word == "not_judged":
            reasons[test.check] = reasons.get(test.check, ()) + outcome.because_of
    told = []
    for test, outcome in found.items():
        named = roots(outcome.because_of, red, reasons)
        decided = WHOLE or all(_words(found, check) != NOT_ASKED for check in named)  # else a part of the rows is asked
        if outcome.word == "not_judged" and decided and not red.intersection(named):
            green = ", ".join(f"{check} is {_words(found, check)}" for check in named) or "it names no check"
            told.append(f"{test.name} is not judged because of {', '.join(named) or 'nothing'}, but {green}")
    return told


def _undeclared(fault: Fault, found: Found, red: frozenset[str]) -> list[str]:
    declared = declared_by(fault, found)
    return [*_told(found, red - declared), *(f"{check} is {_words(found, check)}" for check in declared - red)]


def _other_words(fault: Fault, found: Found) -> list[str]:
    """Where the failure of the named check says something else than is known."""
    told, known = told_by(fault, found), FAILURES.get(fault.name)
    if told is None or told == known:
        return []
    shown = f"{known}" if known else "nothing: write it by E2E_LUMEN_WRITE_FAILURES=1"
    return [f"{fault.check} says {told}; failures.txt has {shown}"]


def _words(found: Found, check: str) -> str:
    words = sorted({outcome.word for test, outcome in found.items() if test.check == check})
    return " and ".join(words).replace("passed", "green") or NOT_ASKED


def _seen(fault: Fault, found: Found, red: frozenset[str]) -> dict[str, object]:
    """What is to be written of a fault: its text, and patterns of its companions; those that are right stay."""
    if not WRITING:
        return {}
    told = told_by(fault, found)
    others = tuple(dict.fromkeys(test.check for test in contract(fault.profile).tests if test.check != fault.check))
    known = not _undeclared(fault, found, red) and all(
        any(matches(check, (pattern.lstrip("!"),)) for check in others) for pattern in fault.companions
    )
    with_it = fault.companions if known else patterns_for(red - {fault.check}, others)
    return {"told": list(told) if told else None, "companions": list(with_it)}  # lists: they leave a parallel worker


def _told(found: Found, checks: frozenset[str]) -> list[str]:
    return [
        f"{test.name} is red: {outcome.reason}"
        for test, outcome in found.items()
        if test.check in checks and outcome.word == "failed"
    ]
