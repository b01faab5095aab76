"""Clients that are slow to read their answer: they hold threads of the server, but never the last."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from lumen_conformance.waiting import until
from lumen_proxy.config import load
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.worker.limits import CONNECTIONS, limits
from tests.unit.proxy.serving import USER, Serving, serving
from tests.unit.proxy.test_gateway_calls import failure

if TYPE_CHECKING:
    from lumen_conformance.gateway.server import ScriptedGateway

WITHIN_S = 10.0
LARGE = "x" * 1_000_000  # 10 MB as a stream: more than the buffers of both sockets
IN_MEMORY_BYTES = 64 * 1024  # waitress keeps 16 MiB of an answer before a thread has to wait


@contextmanager
def not_reading(served: Serving, *, stream: bool = True, times: int = 1) -> Iterator[None]:
    """A client that asks, perhaps several times at once, and reads nothing of the answers."""
    host, port = served.url.removeprefix("http://").split(":")
    body = json.dumps({"messages": [USER], "stream": stream}).encode()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((host, int(port)))
        headers = [("Content-Type", "application/json")]
        request = client.request_bytes(served.url, "POST", "/v1/chat/completions", body=body, headers=headers)
        sock.sendall(request * times)
        yield


def test_who_does_not_read_holds_a_place_of_his_own(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond concurrency and queue others are told 429, and /health answers; places come back with the clients gone."""
    monkeypatch.setattr("waitress.adjustments.Adjustments.outbuf_high_watermark", IN_MEMORY_BYTES)
    gateway.script(*[replies.answer_with(LARGE)] * 3)
    with serving(gateway.url, LUMEN_MAX_CONCURRENCY="2", LUMEN_MAX_QUEUE="1") as served:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(not_reading(served))
            gateway.until_called(3)
            for _ in range(5):
                got = served.chat(stream=True)
                assert failure(got) == (429, "concurrency_limit")
                assert got.header("retry-after") == "1"
            assert served.get("/health").elapsed_s < 1
        until("places are free", lambda: served.chat().status == 200, within_s=WITHIN_S)
    assert len(gateway.chats) == 4


def test_who_asks_ahead_and_does_not_read_holds_no_thread(
    gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many such clients as threads: each gets what fits in memory, and everybody else is served."""
    monkeypatch.setattr("waitress.adjustments.Adjustments.outbuf_high_watermark", IN_MEMORY_BYTES)
    gateway.standing = replies.answer_with(LARGE * 5)
    with serving(gateway.url, LUMEN_MAX_CONCURRENCY="2", LUMEN_MAX_QUEUE="1") as served, ExitStack() as stack:
        for asked in range(1, 8):
            stack.enter_context(not_reading(served, stream=False, times=4))
            gateway.until_called(asked)
            until("answered", lambda: not served.proxy.watch.calls(), within_s=WITHIN_S)
        assert served.get("/health").elapsed_s < 1
        gateway.standing = replies.echo
        assert served.chat().status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_who_has_his_answer_may_ask_again(
    gateway: ScriptedGateway,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,  # noqa: FBT001 -- a row
) -> None:
    """With one place, a client that asks one after the other is not refused for an answer that it has read."""
    gate = threading.Event()
    done = (lambda body: b"[DONE]" in body) if stream else None
    with serving(gateway.url, LUMEN_MAX_CONCURRENCY="1", LUMEN_MAX_QUEUE="0") as served:
        monkeypatch.setattr(served.proxy, "_account", lambda *_: gate.wait(WITHIN_S))  # what follows the last byte
        got = [served.chat(stream=stream, on_body=done) for _ in range(3)]
        gate.set()
    assert {one.status for one in got} == {200}


def test_one_stream_is_made_at_a_time(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four streams one makes its events, others wait: many at work would keep /health from the interpreter."""
    gateway.standing = replies.answer_with("word " * 1000)
    makers: list[int] = []
    together: list[int] = []

    def event(_: object) -> bytes:
        makers.append(threading.get_ident())
        threading.Event().wait(0.0005)  # another would come in here
        together.append(len(set(makers)))
        makers.remove(threading.get_ident())
        return b"data: {}\n\n"

    monkeypatch.setattr("lumen_proxy.wire.sse.event", event)
    with serving(gateway.url) as served, ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: served.chat(stream=True), range(4)))
    assert all(b"[DONE]" in one.body for one in got)
    assert max(together) == 1


@pytest.mark.parametrize(("concurrency", "queue"), [("8", "4096"), ("1024", "0")])
def test_more_chats_than_connections_are_refused_at_the_start(concurrency: str, queue: str) -> None:
    """78, naming both settings: nobody could ask for /health while all of them wait."""
    settings = load({"LUMEN_MAX_CONCURRENCY": concurrency, "LUMEN_MAX_QUEUE": queue})
    with pytest.raises(
        Fatal, match=f"^LUMEN_MAX_CONCURRENCY is {concurrency} and LUMEN_MAX_QUEUE is {queue}, "
    ) as fatal:
        limits(settings)
    assert fatal.value.exit_status is Exit.CONFIG


def test_when_connections_are_scarce_none_rests(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Near their limit an answer ends its connection, and those that rest are closed, so that others are let in."""
    with serving(gateway.url) as served, client.Connection(served.url) as resting:
        assert resting.call("GET", "/health").header("connection") is None
        monkeypatch.setattr("lumen_proxy.worker.http.server.SPARE_CONNECTIONS", CONNECTIONS)
        assert not resting.stays_open(WITHIN_S)
        assert served.get("/health").header("connection") == "close"
