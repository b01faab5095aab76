"""The order of tests that wait for seconds: they are spread over the list, so that parallel workers wait at once.

xdist's `worksteal` gives each worker a contiguous part of the list. If the waiting tests were next to each other, one
worker would wait for all of them at the end, while the others are idle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# One line for each wait; the tests of a line share the wait.
WAITS: tuple[tuple[str, ...], ...] = (
    ("test_late_failure[F5.1-silent]", "test_late_failure[F5.2-silent]", "test_late_failure[F5.3-silent]",
     "test_late_failure_is_framed[F5-framed-silent]", "test_late_code[F5-code-silent]"),
    ("test_timeout[G3-silent]", "test_timeout_hints[G8-silent]"),
    ("test_timeout[G3-dripping]",),
    ("test_after_idling[H2-after-idling]",),
    ("test_no_clean_end[G13-cut]", "test_whole[G13-pause]", "test_whole[G13-pause-first]", "test_whole[G13-long]",
     "test_whole[G13-plain]"),
)  # fmt: skip


def spread_waits(tests: Sequence[tuple[str, T]]) -> list[T]:
    """Reorder tests, given as (name, test): put the waits at equal distances between the other tests."""
    waits = [[test for name, test in tests if name in names] for names in WAITS]
    waits = [wait for wait in waits if wait]
    others = [test for name, test in tests if not any(name in names for names in WAITS)]
    if not waits:
        return others
    step = -(-len(others) // len(waits))
    shares = [others[number * step : (number + 1) * step] for number in range(len(waits))]
    return [test for wait, share in zip(waits, shares, strict=True) for test in (*wait, *share)]
