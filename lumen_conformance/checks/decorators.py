"""Decorators that make one check of each judge: the check has the id, the tier and the claim of the judge."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

from lumen_conformance.checks.verdict import Claim, Comparison, Judge
from lumen_conformance.registry.declaration import Check, check_each

TestFunction = TypeVar("TestFunction", bound=Callable[..., object])


def check_each_judge(judges: Iterable[Judge], *marks: pytest.MarkDecorator) -> Callable[[TestFunction], TestFunction]:
    """Make one check of each judge; the test gets the judge as its argument ``judge``."""
    return check_each("judge", {check_from_claim(each.claim): each for each in judges}, marks=marks)


def check_each_comparison(comparisons: Iterable[Comparison]) -> Callable[[TestFunction], TestFunction]:
    """Make one check of each comparison; the test gets the comparison as its argument ``comparison``."""
    return check_each("comparison", {check_from_claim(each.claim): each for each in comparisons})


def check_from_claim(claim: Claim) -> Check:
    """The check of a claim, for the report."""
    return Check(claim.check, claim.tier, claim=claim.text, source=claim.source)
