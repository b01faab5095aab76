"""What waits for seconds stands apart, and no test is lost by it."""

from itertools import pairwise

import pytest

from lumen_conformance.contract.xdist_order import WAITS, spread
from tests.matrix.contract import contract

FIRSTS = [names[0] for names in WAITS]


def test_the_waits_are_tests() -> None:
    """Each name is that of one test of the contract."""
    names = [test.name for test in contract("lumen").tests]
    assert [name for line in WAITS for name in line if names.count(name) != 1] == []


def test_the_waits_stand_apart() -> None:
    """In the order of the contract they stand together; spread, each has its quarter of the others behind it."""
    names = [test.name for test in contract("lumen").tests]
    after = spread([(name, name) for name in names])
    places = [after.index(first) for first in FIRSTS]
    assert places[0] == 0
    quarter = len(names) / len(WAITS)
    assert all(abs(later - place - quarter) < len(WAITS) * 2 for place, later in pairwise(places))


@pytest.mark.parametrize("names", [[], ["a"], FIRSTS, ["a", *FIRSTS, "a", "b"], [FIRSTS[0], "a", "b"], ["a"] * 9])
def test_none_is_lost(names: list[str]) -> None:
    """Not even one that has the name of another."""
    numbered = list(enumerate(names))
    assert sorted(spread([(name, number) for number, name in numbered])) == [number for number, _ in numbered]
