"""The limits of chats: an admission is taken and released once; calls wait in order."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.waiting import until
from lumen_proxy import threads
from lumen_proxy.errors import ApiError
from lumen_proxy.worker.call import ClientCall
from lumen_proxy.worker.limits import AdmissionLimit, ConcurrencyLimit
from tests.unit.proxy.running_proxy import run_proxy

WITHIN_S = 10.0


def test_an_admission_is_released_once() -> None:
    """A second release has no effect: it does not admit one more chat."""
    limit = AdmissionLimit(1)
    with ExitStack() as admission:
        admission.enter_context(limit.admit())
        admission.close()
    with limit.admit(), pytest.raises(ApiError, match="Too many") as refused, limit.admit():
        pass
    assert refused.value.code == "concurrency_limit"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("body", [{"n": 0}, {}], ids=["refused", "failed"])
def test_each_error_releases_the_admission(gateway: ScriptedGateway, stream: bool, body: dict[str, Any]) -> None:  # noqa: FBT001 -- a row
    """With one admission, errors in sequence are followed by an answer."""
    with run_proxy(gateway.url, LUMEN_MAX_CONCURRENCY="1", LUMEN_MAX_QUEUE="0") as served:
        gateway.standing = replies.html
        statuses = {served.chat(stream=stream, **body).status for _ in range(3)}
        gateway.standing = replies.echo
        assert statuses == ({400} if body else {502})
        assert served.chat(stream=stream).status == 200


def test_no_call_overtakes_one_that_waits() -> None:
    """A slot is free, but the thread of the call that waits for it has not run yet: a new call waits behind it."""
    limit = ConcurrencyLimit(1, queue_timeout_s=0.05)
    limit._queue.append(ClientCall(WITHIN_S, lambda: False))  # noqa: SLF001 - no thread is as slow in a test
    with pytest.raises(ApiError, match="Too many"), limit.slot(ClientCall(WITHIN_S, lambda: False)):
        pass
    assert limit.queued == 1


@pytest.fixture
def limit() -> ConcurrencyLimit:
    """One slot; the time to wait for it is longer than any test."""
    return ConcurrencyLimit(1, queue_timeout_s=60.0)


def waiting(limit: ConcurrencyLimit, call: ClientCall) -> Future[None]:
    """A thread whose call waits for the slot; it ends when it has used the slot."""

    def use() -> None:
        with limit.slot(call):
            pass

    before = limit.queued
    thread = threads.start(use, "call")
    until("it waits", lambda: limit.queued > before, within_s=WITHIN_S)
    return thread


def test_a_free_slot_is_used_at_once(limit: ConcurrencyLimit) -> None:
    """The end of a call wakes the next one."""
    with limit.slot(ClientCall(WITHIN_S, lambda: False)):
        thread = waiting(limit, ClientCall(WITHIN_S, lambda: False))
    assert thread.result(WITHIN_S) is None
    assert limit.queued == 0


def test_a_waiting_call_that_ends_leaves_the_queue(limit: ConcurrencyLimit) -> None:
    """A client that disconnects, or a drain, ends the wait at once."""
    gone = ClientCall(WITHIN_S, lambda: False)
    with limit.slot(ClientCall(WITHIN_S, lambda: False)):
        thread = waiting(limit, gone)
        gone.end("client_gone")
        with pytest.raises(ApiError, match="The client went away"):
            thread.result(WITHIN_S)
        assert limit.queued == 0
