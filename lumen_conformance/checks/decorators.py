"""From judges to checks: one test function, one check for each claim, with its own id, tier and words."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

from lumen_conformance.checks.verdict import Claim, Comparison, Judge
from lumen_conformance.registry.declaration import Check, check_each

TestFunction = TypeVar("TestFunction", bound=Callable[..., object])


def judged(judges: Iterable[Judge], *marks: pytest.MarkDecorator) -> Callable[[TestFunction], TestFunction]:
    """Make the test one check for each judge, which it takes as its argument ``judge``."""
    return check_each("judge", {check_of(each.claim): each for each in judges}, marks=marks)


def compared(comparisons: Iterable[Comparison]) -> Callable[[TestFunction], TestFunction]:
    """Make the test one check for each comparison, which it takes as its argument ``comparison``."""
    return check_each("comparison", {check_of(each.claim): each for each in comparisons})


def check_of(claim: Claim) -> Check:
    """The check that a claim is in the report."""
    return Check(claim.check, claim.tier, claim=claim.text)
