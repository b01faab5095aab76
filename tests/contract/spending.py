"""By URL the suite may be spending somebody's money: how many chat calls the selected checks make at most.

Counted are calls of the chat endpoint, refused ones too. Shared exchanges are made once; a test makes one call of its
own unless it is named here.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.contract.bad_requests import ROWS

SHARED = {"chat": 1, "stream": 1, "usage_stream": 1, "refusal": 1, "refused_stream": 1, "twenty": 20}
OWN = {
    **dict.fromkeys(("test_strict_json", "test_integers", "test_framing", "test_one_framing", "test_stream"), 0),
    **dict.fromkeys(("test_envelope", "test_no_leaks", "test_request_id", "test_identity", "test_answer"), 0),
    "test_stream_off": 2,
    "test_refused_before_the_stream": 2,
    "test_key_stays_here": 2,
    "test_ten_on_one_connection": 10,
    "test_after_idling": 2,
    "test_after_refusals": 4,
    "test_healthy_after_bad": 2 * len(ROWS),
}
READS_CHAT = {"test_answer", "test_stream_off"}


def most_calls(items: Iterable[pytest.Item], workers: int = 1) -> int:
    """The upper bound for these tests; those that are skipped cost nothing, each worker makes the shared exchanges."""
    running = _running(items)
    return sum(OWN.get(item.originalname, 1) for item in running) + workers * shared_calls(running)


def shared_calls(items: Iterable[pytest.Item]) -> int:
    """The calls of the exchanges that these tests share, made once in each process."""
    return sum(SHARED[name] for name in {name for item in _running(items) for name in _shared_by(item)})


def _running(items: Iterable[pytest.Item]) -> list[pytest.Function]:
    return [item for item in items if isinstance(item, pytest.Function) and not item.get_closest_marker("skip")]


def _shared_by(item: pytest.Function) -> set[str]:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    named = {str(params.get("exchange")), *item.fixturenames} | ({"chat"} if item.originalname in READS_CHAT else set())
    return named & set(SHARED)
