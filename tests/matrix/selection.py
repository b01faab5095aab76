"""Which checks a fault is run against.

All checks of 380 faults take minutes of processor time, and most of them read bytes that the fault does not change. So
a fault is run against the checks that it declares, every second other row of their test functions, and every 24th of
all other checks: other ones for each fault, as its name decides. Checks that take seconds are run where they are
declared. A healthy variant is also run against every text and against the checks for which it was built, by
`variants.txt`; the references are run against all. ``E2E_LUMEN_WHOLE_MATRIX=1`` (`make matrix`, and the job "everything
on Linux") runs every check.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final
from zlib import crc32

from tests.fixtures.check_session import CheckItem
from tests.fixtures.faults.fault import BUILT_FOR, Fault, matches

WHOLE: Final = os.environ.get("E2E_LUMEN_WHOLE_MATRIX") == "1"
NEAR_STEP: Final = 2
FAR_STEP: Final = 24  # with 380 faults each check is run against some fifteen that must not turn it red
# They wait for a time-out or an idle connection, or send megabytes or hundreds of requests.
SLOW: Final = frozenset((
    "test_healthy_after_unusual",
    "test_after_idling", "test_disconnected_client", "test_healthy_after_bad", "test_identity", "test_large_answer",
    "test_long_request", "test_no_clean_end", "test_no_cross_talk", "test_oversize", "test_split_anywhere",
    "test_stream_byte_by_byte", "test_timeout", "test_timeout_hints", "test_unique_ids", "test_unique_request_ids",
    "test_whole",
))  # fmt: skip
SLOW_ROWS: Final = ("silent", "F3-oversize-huge", "G3-oversize", "G8-oversize")
EVERY: Final = ("*",)


def select(fault: Fault, tests: tuple[CheckItem, ...], *, whole: bool = WHOLE) -> Iterator[CheckItem]:
    """The checks that a fault is run against."""
    first = crc32(fault.name.encode())
    near = {function_of(test) for test in tests if fault.declares(test.check)}
    for number, test in enumerate(tests):
        step = 1 if whole else NEAR_STEP if function_of(test) in near else FAR_STEP
        drawn = (number + first) % step == 0
        if fault.declares(test.check) or (drawn and not is_slow(test)):
            yield test


def select_for_variant(variant: Fault, tests: tuple[CheckItem, ...]) -> Iterator[CheckItem]:
    """The checks that a healthy variant is run against: those for which it was built, every text, and a sample."""
    drawn, built_for = set(select(variant, tests)), BUILT_FOR.get(variant.name, EVERY)
    for test in tests:
        if test in drawn or matches(test.check, built_for) or function_of(test) == "test_round_trip":
            yield test


def declared_by(fault: Fault, tests: Iterable[CheckItem]) -> frozenset[str]:
    """The checks of these tests that must fail."""
    return frozenset(check for check in {test.check for test in tests} if fault.declares(check))


def function_of(test: CheckItem) -> str:
    """The name of the test function."""
    return test.name.partition("[")[0]


def is_slow(test: CheckItem) -> bool:
    """Whether it takes seconds."""
    return function_of(test) in SLOW or any(row in test.name for row in SLOW_ROWS)
