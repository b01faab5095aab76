"""The server with real sockets. docs/adr/0001-http-server.md describes what waitress does otherwise."""

from __future__ import annotations

import errno
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.http import client
from lumen_conformance.waiting import until
from lumen_proxy.worker.http.server import ACCEPT_PAUSE_S, CUT_GRACE_S, TICK_S, Hooks, Server, _Listener
from lumen_proxy.worker.limits import ServerLimits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

HEADER_TIMEOUT_S = 1.0
MAX_BODY_BYTES = 10_000
LARGE_BYTES = 3_000_000  # waitress alone spills from one megabyte
WITHIN_S = 10.0  # everything here takes milliseconds; ten seconds say that it never comes


@dataclass
class Served:
    """A server in a thread, and an application that records its requests."""

    url: str
    server: Server
    thread: threading.Thread
    release: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    was_cut: threading.Event = field(default_factory=threading.Event)
    cut: list[int] = field(default_factory=list)

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """`/wait` answers after `release` or a cut, `/crash` raises, other paths answer at once."""
        if environ["PATH_INFO"] == "/crash":
            raise RuntimeError("a secret")
        if environ["PATH_INFO"] == "/wait":
            self._wait(environ["waitress.client_disconnected"])
        body = environ["wsgi.input"].read() or b"ok"
        if environ["PATH_INFO"] == "/large":
            body = b"x" * LARGE_BYTES
        odd = [("X-Odd", "루")] if environ["PATH_INFO"] == "/bad-header" else []
        start_response("200 OK", [("Content-Length", str(len(body))), *odd])
        return [body]

    def _wait(self, disconnected: Callable[[], bool]) -> None:
        self.started.set()
        until("released or gone", lambda: self.release.is_set() or disconnected(), within_s=WITHIN_S)
        if disconnected():
            self.gone.set()

    def on_cut(self) -> None:
        """The deadline of a drain has passed."""
        self.was_cut.set()
        self.release.set()


@pytest.fixture
def served() -> Iterator[Served]:
    """A server with small limits on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        it = Served(f"http://127.0.0.1:{sock.getsockname()[1]}", server=None, thread=None)  # type: ignore[arg-type]
        limits = ServerLimits(4, HEADER_TIMEOUT_S, MAX_BODY_BYTES)
        it.server = Server(it.app, [sock.dup()], limits, Hooks(on_cut=it.on_cut))
        it.thread = threading.Thread(target=lambda: it.cut.append(it.server.run()))
        it.thread.start()
        yield it
        it.release.set()
        it.server.drain(0)
        it.thread.join(WITHIN_S)
        assert not it.thread.is_alive()
        it.server.close()


def connect(served: Served) -> socket.socket:
    """A raw connection to the server."""
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=WITHIN_S)


def all_of(sock: socket.socket) -> bytes:
    """Read to the end; a reset ends it, too, and is marked."""
    received = b""
    with sock:
        try:
            while data := sock.recv(65536):
                received += data
        except ConnectionResetError:
            received += b"<reset>"
    return received


def use_once(sock: socket.socket) -> None:
    """Send one request, then leave the connection idle."""
    sock.sendall(head())
    received = b""
    while not received.endswith(b"ok"):
        received += sock.recv(1000)


def head(*lines: str, target: str = "/", version: str = "HTTP/1.1") -> bytes:
    """The head of a request."""
    return "\r\n".join([f"POST {target} {version}", "Host: localhost", *lines, "", ""]).encode()


MALFORMED = {
    "plus": head("Content-Length: +10"),
    "minus": head("Content-Length: -1"),
    "not-a-number": head("Content-Length: ten"),
    "hexadecimal": head("Content-Length: 0x10"),
    "two-lengths": head("Content-Length: 1", "Content-Length: 2"),
    "five-thousand-digits": head("Content-Length: " + "9" * 5000),
    "length-and-chunked": head("Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunked-in-1.0": head("Transfer-Encoding: chunked", version="HTTP/1.0") + b"0\r\n\r\n",
    "unknown-version": head(version="HTTP/3.0"),
    "no-version": b"POST /\r\n\r\n",
    "bad-uri": head(target="http://[oops/"),
    "space-before-colon": head("Content-Length : 3") + b"abc",
    "bad-chunk-size": head("Transfer-Encoding: chunked") + b"+5\r\nhello\r\n0\r\n\r\n",
    "bare-line-feed": b"POST / HTTP/1.1\nHost: localhost\n\n\r\n\r\n",
    "garbage": b"\x80\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused(served: Served, name: str) -> None:
    """It is a 400 in the OpenAI envelope with a request id, and the connection is closed."""
    got = client.send(served.url, MALFORMED[name])
    assert (got.status, got.ended) == (400, "complete")
    assert got.header("content-type") == "application/json; charset=utf-8"
    assert (got.header("x-request-id") or "").startswith("req_")
    assert got.header("connection") == "close"
    error = json.loads(got.body)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_http")
    assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (head("X: " + "x" * 40_000), 431, "headers_too_large"),
        (head("Transfer-Encoding: gzip, chunked"), 501, "unsupported_encoding"),
        (head("Content-Length: 10001"), 413, "request_too_large"),
        (head("Content-Length: 10001", "Expect: 100-continue"), 413, "request_too_large"),
        (head(target="/crash"), 500, "internal_error"),
    ],
    ids=["431", "501", "413", "413-expect", "500"],
)
def test_errors_of_the_server(served: Served, request_bytes: bytes, status: int, code: str) -> None:
    """They have the envelope, and the request id of the client if it was read."""
    got = client.send(served.url, request_bytes)
    assert (got.status, json.loads(got.body)["error"]["code"]) == (status, code)
    assert b"secret" not in got.body


def test_an_error_of_the_server_has_the_request_id_of_the_client(served: Served) -> None:
    """If the client sent one."""
    got = client.send(served.url, head("x-request-id: mine", "Content-Length: 10001"))
    assert got.header("x-request-id") == "mine"


def test_a_head_request_gets_no_error_body(served: Served) -> None:
    """The answer to a refused HEAD has no body."""
    with connect(served) as sock:
        sock.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10001\r\n\r\n")
        assert all_of(sock).endswith(b"\r\n\r\n")


def test_a_body_of_exactly_the_limit_is_served(served: Served) -> None:
    """The limit itself is allowed."""
    got = client.call(served.url, "POST", "/", body=b"x" * MAX_BODY_BYTES)
    assert (got.status, len(got.body)) == (200, MAX_BODY_BYTES)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_oversize_body_is_refused_without_a_reset(served: Served, framing: str) -> None:
    """A client that writes all of its 8 MiB before it reads still reads the whole 413."""
    size = 8 * 1024 * 1024
    with connect(served) as sock:
        if framing == "length":
            sock.sendall(head(f"Content-Length: {size}") + b"x" * size)
        else:
            sock.sendall(head("Transfer-Encoding: chunked") + f"{size:x}\r\n".encode() + b"x" * size)
        answer = all_of(sock)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"}}\n")


def test_trickled_headers_end_at_the_total_deadline(served: Served) -> None:
    """Single bytes do not extend the time for the head."""
    with connect(served) as sock:
        began = time.monotonic()

        def trickle() -> bool:
            with suppress(OSError):
                sock.sendall(b"a")
            sock.settimeout(0.05)
            try:
                return sock.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        until("closed", trickle, within_s=WITHIN_S)
        assert HEADER_TIMEOUT_S - 0.1 <= time.monotonic() - began < HEADER_TIMEOUT_S + 10 * TICK_S


def test_slow_clients_do_not_delay_others(served: Served) -> None:
    """With 200 clients in the middle of their heads, another one is answered at once."""
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(served)).sendall(b"POST / HTTP/1.1\r\nHost: ")
        got = client.call(served.url, "GET", "/")
        assert got.status == 200
        assert got.elapsed_s < HEADER_TIMEOUT_S


def test_keep_alive_and_pipelining(served: Served) -> None:
    """Ten requests on one connection; two in one packet are answered in order."""
    with client.Connection(served.url) as connection:
        assert [connection.call("POST", "/", body=b"%d" % n).body for n in range(10)] == [b"%d" % n for n in range(10)]
    with connect(served) as sock:
        sock.sendall(head("Content-Length: 1") + b"a" + head("Content-Length: 1", "Connection: close") + b"b")
        answers = all_of(sock)
    assert answers.index(b"\r\n\r\na") < answers.index(b"\r\n\r\nb")


def test_what_follows_a_refused_request_is_not_a_request(served: Served) -> None:
    """After an error no more requests of the connection are served (request smuggling)."""
    with connect(served) as sock:
        sock.sendall(head("Content-Length: +1") + head("Content-Length: 1") + b"a")
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock).count(b"HTTP/1.") <= 1


def test_a_client_that_disconnects_before_its_refusal(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """It causes no error."""
    for _ in range(20):
        with connect(served) as sock:
            sock.sendall(MALFORMED["plus"])
            sock.shutdown(socket.SHUT_WR)
    assert client.call(served.url, "GET", "/").status == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_disconnected_client_is_noticed(served: Served) -> None:
    """The application notices it during the request."""
    with connect(served) as sock:
        sock.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
    assert served.gone.wait(WITHIN_S)


def test_the_server_does_not_name_itself(served: Served) -> None:
    """There is no Server header, neither in answers nor in errors."""
    assert client.call(served.url, "GET", "/").header("server") is None
    assert client.send(served.url, MALFORMED["plus"]).header("server") is None


def test_drain_closes_idle_connections_and_finishes_work(served: Served) -> None:
    """Idle connections are closed at once; a request in progress is answered with Connection: close."""
    with connect(served) as idle, connect(served) as busy:
        use_once(idle)
        busy.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
        served.server.drain(WITHIN_S)
        assert all_of(idle) == b""
        assert not served.cut
        served.release.set()
        assert b"\r\nConnection: close\r\n" in all_of(busy)
    served.thread.join(WITHIN_S)
    assert served.cut == [0]


def test_a_drain_without_work_is_over_at_once(served: Served) -> None:
    """It does not wait for an idle connection."""
    with connect(served) as idle:
        use_once(idle)
        began = time.monotonic()
        served.server.drain(WITHIN_S)
        served.thread.join(WITHIN_S)
        assert time.monotonic() - began < WITHIN_S / 2
    assert served.cut == [0]


def test_during_a_drain_new_connections_are_answered(served: Served) -> None:
    """The application can answer 503 until the drain ends."""
    with connect(served) as busy:
        busy.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
        served.server.drain(WITHIN_S)
        assert client.call(served.url, "GET", "/").header("connection") == "close"
        served.release.set()
        assert all_of(busy)


def test_a_drains_deadline_cuts_and_counts(served: Served) -> None:
    """Requests that are not finished are cut and counted."""
    with connect(served) as busy:
        busy.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
        began = time.monotonic()
        served.server.drain(0.1)
        assert all_of(busy).startswith(b"HTTP/1.1 200 ")
        served.thread.join(WITHIN_S)
        assert time.monotonic() - began < CUT_GRACE_S + 10 * TICK_S
    assert served.was_cut.is_set()
    assert served.cut == [1]


def test_without_descriptors_accept_pauses(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """accept() is not tried again at once, and the client is served later."""
    tries: list[float] = []
    accept = _Listener.accept

    def failing(listener: _Listener) -> object:
        tries.append(time.monotonic())
        if len(tries) <= 2:
            raise OSError(errno.EMFILE, "too many open files")
        return accept(listener)

    monkeypatch.setattr(_Listener, "accept", failing)
    assert client.call(served.url, "GET", "/").status == 200
    gaps = [later - earlier for earlier, later in pairwise(tries[:3])]
    assert min(gaps) >= ACCEPT_PAUSE_S


def test_no_text_is_written_to_the_disk(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large answer stays in memory until its client has read it."""
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: pytest.fail("a file was made"))
    got = client.call(served.url, "GET", "/large")
    assert len(got.body) == LARGE_BYTES


def test_head_and_body_are_sent_together(served: Served) -> None:
    """A small answer is one packet; so is the beginning of one that fails later."""
    with connect(served) as sock:
        sock.sendall(head())
        assert sock.recv(10_000).endswith(b"\r\n\r\nok")
    got = client.call(served.url, "GET", "/bad-header")
    assert (got.status, json.loads(got.body)["error"]["code"]) == (500, "internal_error")
