"""Tests that wait for seconds are spread over the list, and no test is lost."""

from collections import Counter
from itertools import pairwise

import pytest

from lumen_conformance.contract.xdist_order import WAITS, spread_waits
from lumen_conformance.targets.target import Profile
from tests.matrix.contract import contract

PROFILES: tuple[Profile, ...] = ("lumen", "openai")
FIRSTS = [names[0] for names in WAITS]


def names_of(profile: Profile) -> list[str]:
    """The names of the tests for a target of this profile."""
    return [test.name for test in contract(profile).tests]


def test_the_waits_are_tests() -> None:
    """Each name in `WAITS` is the name of one test of the contract, for a target of some profile."""
    counts = {profile: Counter(names_of(profile)) for profile in PROFILES}
    names = [name for line in WAITS for name in line]
    assert [name for name in names if max(found[name] for found in counts.values()) != 1] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_the_waits_stand_apart(profile: Profile) -> None:
    """After spreading, each wait is followed by its share of the other tests."""
    names = names_of(profile)
    after = spread_waits([(name, name) for name in names])
    places = [after.index(first) for first in FIRSTS if first in after]
    assert places[0] == 0
    share = len(names) / len(places)
    assert all(abs(later - place - share) < len(WAITS) * 2 for place, later in pairwise(places))


@pytest.mark.parametrize("names", [[], ["a"], FIRSTS, ["a", *FIRSTS, "a", "b"], [FIRSTS[0], "a", "b"], ["a"] * 9])
def test_none_is_lost(names: list[str]) -> None:
    """Spreading keeps all tests, also those with equal names."""
    numbered = list(enumerate(names))
    assert sorted(spread_waits([(name, number) for number, name in numbered])) == [number for number, _ in numbered]
