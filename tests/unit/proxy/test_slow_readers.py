"""Clients that read their answers slowly use threads of the server, but never the last one."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from lumen_conformance.waiting import until
from lumen_proxy.config import load
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.worker.limits import CONNECTIONS, SPARE_CONNECTIONS, SPARE_THREADS, server_limits
from tests.unit.proxy.running_proxy import USER, RunningProxy, run_proxy
from tests.unit.proxy.test_gateway_calls import failure

if TYPE_CHECKING:
    from lumen_conformance.gateway.server import ScriptedGateway

WITHIN_S = 10.0
LARGE = "x" * 1_000_000  # 10 MB as a stream: more than the buffers of both sockets
IN_MEMORY_BYTES = 64 * 1024  # waitress keeps 16 MiB of an answer before a thread has to wait


@contextmanager
def client_without_reads(served: RunningProxy, *, stream: bool = True, times: int = 1) -> Iterator[None]:
    """A client that sends requests, perhaps several at once, and reads no answer."""
    host, port = served.url.removeprefix("http://").split(":")
    body = json.dumps({"messages": [USER], "stream": stream}).encode()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((host, int(port)))
        headers = [("Content-Type", "application/json")]
        request = client.request_bytes(served.url, "POST", "/v1/chat/completions", body=body, headers=headers)
        sock.sendall(request * times)
        yield


def test_unread_answers_count_against_the_limit(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it chats get 429, and /health answers; when the clients disconnect, chats are admitted again."""
    monkeypatch.setattr("waitress.adjustments.Adjustments.outbuf_high_watermark", IN_MEMORY_BYTES)
    gateway.script(*[replies.answer_with(LARGE)] * 3)
    with run_proxy(gateway.url, LUMEN_MAX_CONCURRENCY="2", LUMEN_MAX_QUEUE="1") as served:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(client_without_reads(served))
            gateway.until_called(3)
            for _ in range(5):
                capture = served.chat(stream=True)
                assert failure(capture) == (429, "concurrency_limit")
                assert capture.header("retry-after") == "1"
            assert served.get("/health").status == 200  # no client has read its answer, and none will
        until("chats are admitted again", lambda: served.chat().status == 200, within_s=WITHIN_S)
    assert len(gateway.chats) == 4


def test_unread_requests_use_no_thread(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many of them as threads, each gets what fits in memory, and other clients are served."""
    monkeypatch.setattr("waitress.adjustments.Adjustments.outbuf_high_watermark", IN_MEMORY_BYTES)
    gateway.standing = replies.answer_with(LARGE * 5)
    with run_proxy(gateway.url, LUMEN_MAX_CONCURRENCY="2", LUMEN_MAX_QUEUE="1") as served, ExitStack() as stack:
        for calls in range(1, 8):
            stack.enter_context(client_without_reads(served, stream=False, times=4))
            gateway.until_called(calls)
            until("answered", lambda: not served.proxy.calls.active(), within_s=WITHIN_S)
        assert served.get("/health").status == 200  # no client has read its answers, and none will
        gateway.standing = replies.echo
        assert served.chat().status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_read_answer_frees_its_admission(
    gateway: ScriptedGateway,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,  # noqa: FBT001 -- a row
) -> None:
    """With one admission, requests in sequence are not refused."""
    gate = threading.Event()
    done = (lambda body: b"[DONE]" in body) if stream else None
    with run_proxy(gateway.url, LUMEN_MAX_CONCURRENCY="1", LUMEN_MAX_QUEUE="0") as served:
        monkeypatch.setattr(served.proxy, "_account", lambda *_: gate.wait(WITHIN_S))  # it runs after the last byte
        capture = [served.chat(stream=stream, on_body=done) for _ in range(3)]
        gate.set()
    assert {one.status for one in capture} == {200}


class CountedLock:
    """A lock that counts the threads that wanted it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.wanted_by: set[int] = set()

    def __enter__(self) -> None:
        self.wanted_by.add(threading.get_ident())
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_one_stream_is_made_at_a_time(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four streams only one builds events: several threads would delay /health."""
    gateway.standing = replies.answer_with("word " * 1000)
    lock = CountedLock()
    building: list[int] = []
    most: list[int] = []

    def event(_: object) -> bytes:
        building.append(threading.get_ident())
        until("all streams want to build events", lambda: len(lock.wanted_by) == 4, within_s=WITHIN_S)
        most.append(len(building))
        building.remove(threading.get_ident())
        return b"data: {}\n\n"

    monkeypatch.setattr("lumen_proxy.wire.openai.event", event)
    with run_proxy(gateway.url) as served, ThreadPoolExecutor(4) as pool:
        monkeypatch.setattr(served.proxy._chat, "_batching", lock)  # noqa: SLF001 - shows that a thread waits for it
        capture = list(pool.map(lambda _: served.chat(stream=True), range(4)))
    assert all(b"[DONE]" in one.body for one in capture)
    assert max(most) == 1


def test_more_chats_than_connections_are_refused_at_the_start() -> None:
    """78 with both settings if no connection would be left for /health: a call needs two, a queued chat one."""
    queue = 30
    calls = (CONNECTIONS - SPARE_CONNECTIONS - queue) // 2
    settings = load({"LUMEN_MAX_CONCURRENCY": str(calls), "LUMEN_MAX_QUEUE": str(queue)})
    assert server_limits(settings).threads == calls + queue + SPARE_THREADS
    text = f"^LUMEN_MAX_CONCURRENCY is {calls} and LUMEN_MAX_QUEUE is {queue + 1}, "
    with pytest.raises(Fatal, match=text) as fatal:
        server_limits(replace(settings, max_queue=queue + 1))
    assert fatal.value.exit_status is Exit.CONFIG


def test_idle_connections_are_closed_near_the_limit(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also each connection with its answer, so that others are accepted."""
    with run_proxy(gateway.url) as served, client.Connection(served.url) as resting:
        assert resting.call("GET", "/health").header("connection") is None
        monkeypatch.setattr("lumen_proxy.worker.http.server.SPARE_CONNECTIONS", CONNECTIONS)
        assert not resting.stays_open(WITHIN_S)
        assert served.get("/health").header("connection") == "close"
