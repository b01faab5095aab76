"""The upper bound of the chat calls of the selected checks: by URL, each call may cost money.

A chat call is a POST request to the chat endpoint, whatever its response. A shared exchange is made once. A test makes
one call of its own unless it is listed here.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lumen_conformance.contract.bad_requests import BAD_REQUESTS, UNSUPPORTED_REQUESTS
from lumen_conformance.contract.exchanges import FEW_CLIENTS, MANY_CLIENTS, TOKEN_COUNT_TEXTS
from lumen_conformance.contract.prerequisites import needs_chat, needs_stream
from lumen_conformance.contract.tool_requests import TOOL_EXCHANGES
from lumen_conformance.contract.unusual_requests import UNUSUAL_REQUESTS
from lumen_conformance.registry.declaration import check_of

ANSWERS = ("chat", "stream")
ANSWERED = (
    4  # calls for all of `ANSWERS`: a question, plain and as a stream, and a simpler question, plain and as a stream
)
SHARED = {
    **dict.fromkeys(("usage_stream", "refusal", "refused_stream", "unparsable", "wrong_type", "wrong_media_type"), 1),
    **dict.fromkeys((f"{kind}-{text}" for kind in ("chat", "usage_stream") for text in TOKEN_COUNT_TEXTS), 1),
    **dict.fromkeys(("no_key", "oversize", *TOOL_EXCHANGES), 1),
    "twenty_answers": 20,
    "concurrent_answers": MANY_CLIENTS,
}
OWN = {
    **dict.fromkeys(("test_strict_json", "test_integers", "test_framing", "test_one_framing", "test_stream"), 0),
    **dict.fromkeys(("test_envelope", "test_no_leaks", "test_request_id", "test_identity", "test_answer"), 0),
    **dict.fromkeys(
        ("test_answered", "test_counts_add_up", "test_streamed_counts_add_up", "test_not_unprocessable"), 0
    ),
    **dict.fromkeys(("test_unique_ids", "test_unique_request_ids"), 0),
    **dict.fromkeys(("test_tool_call", "test_tool_calls", "test_usage", "test_no_usage"), 0),
    "test_no_replacement_character": 0,
    **dict.fromkeys(("test_body_is_no_request", "test_after_unknown_route", "test_close"), 0),
    "test_spelling_of_the_scheme": 2,
    "test_no_coding_unasked": 0,
    "test_vary": 2,
    "test_stream_off": 2,
    "test_stream_has_text": 2,
    "test_refused_before_the_stream": 2,
    "test_key_stays_here": 2,
    "test_own_answers": 4,
    "test_stream_during_an_abort": 2,
    "test_after_aborts": FEW_CLIENTS + 1,
    "test_ten_on_one_connection": 10,
    "test_after_idling": 2,
    "test_after_refusals": 4,
    "test_each_model_is_usable": 2,
    "test_healthy_after_bad": 4 * (len(BAD_REQUESTS) + len(UNSUPPORTED_REQUESTS)),
    "test_healthy_after_unusual": 1 + 3 * len(UNUSUAL_REQUESTS),
}
OWN_WITHOUT_LOAD = {"test_healthy_after_unusual": len(UNUSUAL_REQUESTS) + 2}


def max_chat_calls(items: Iterable[pytest.Item], workers: int = 1, *, load: bool) -> int:
    """The upper bound for these tests, with or without --proxy-load.

    Skipped tests make no calls; each parallel worker makes the shared exchanges.
    """
    running = _running(items)
    costs = OWN | ({} if load else OWN_WITHOUT_LOAD)
    own = sum(costs.get(item.originalname, 1) for item in running)
    return own + workers * max_shared_chat_calls(running, load=load)


def max_shared_chat_calls(items: Iterable[pytest.Item], *, load: bool) -> int:
    """The calls of the exchanges that these tests share; each process makes them once."""
    running = _running(items)
    costs = SHARED | ({} if load else {"concurrent_answers": FEW_CLIENTS})
    shared = {name for item in running for name in _shared_by(item)}
    return sum(costs[name] for name in shared) + (ANSWERED if any(map(_reads_answers, running)) else 0)


def _running(items: Iterable[pytest.Item]) -> list[pytest.Function]:
    return [item for item in items if isinstance(item, pytest.Function) and not item.get_closest_marker("skip")]


def _shared_by(item: pytest.Function) -> set[str]:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return {str(params.get("exchange")), *item.fixturenames} & set(SHARED)


def _reads_answers(item: pytest.Function) -> bool:
    """Whether a test reads a shared answer: by its parameter, in its body, or as its precondition."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    found = check_of(item)
    reads = found is not None and (
        needs_chat(found.id)
        or needs_stream(found.id, params)
        or found.id.startswith(("C", "E", "F3-oversize"))
        or found.id.endswith("-never-fails")
    )
    return (
        reads
        or str(params.get("exchange")) in ANSWERS
        or bool({"assert_holds", "fast_deadline_proxy"} & set(item.fixturenames))
    )
