"""Tests that wait for seconds are spread over the list, and no test is lost."""

from itertools import pairwise

import pytest

from lumen_conformance.contract.xdist_order import WAITS, spread_waits
from tests.matrix.contract import contract

FIRSTS = [names[0] for names in WAITS]


def test_the_waits_are_tests() -> None:
    """Each name in `WAITS` is the name of one test of the contract."""
    names = [test.name for test in contract("lumen").tests]
    assert [name for line in WAITS for name in line if names.count(name) != 1] == []


def test_the_waits_stand_apart() -> None:
    """After spreading, each wait is followed by its share of the other tests."""
    names = [test.name for test in contract("lumen").tests]
    after = spread_waits([(name, name) for name in names])
    places = [after.index(first) for first in FIRSTS]
    assert places[0] == 0
    quarter = len(names) / len(WAITS)
    assert all(abs(later - place - quarter) < len(WAITS) * 2 for place, later in pairwise(places))


@pytest.mark.parametrize("names", [[], ["a"], FIRSTS, ["a", *FIRSTS, "a", "b"], [FIRSTS[0], "a", "b"], ["a"] * 9])
def test_none_is_lost(names: list[str]) -> None:
    """Spreading keeps all tests, also those with equal names."""
    numbered = list(enumerate(names))
    assert sorted(spread_waits([(name, number) for number, name in numbered])) == [number for number, _ in numbered]
