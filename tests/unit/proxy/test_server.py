"""The server with real sockets. docs/adr/0001-http-server.md describes what waitress does otherwise."""

from __future__ import annotations

import errno
import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.http import client
from lumen_proxy.worker.http.server import ACCEPT_PAUSE_S, _Listener
from tests.unit.proxy.raw_server import (
    LARGE_BYTES,
    MAX_BODY_BYTES,
    WITHIN_S,
    RawServer,
    all_of,
    connect,
    head,
    run_server,
)

if TYPE_CHECKING:
    pass


@pytest.fixture
def served() -> Iterator[RawServer]:
    """A server with small limits on a free port."""
    with run_server() as running:
        yield running


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
def test_a_malformed_request_is_refused(served: RawServer, name: str) -> None:
    """It is a 400 in the OpenAI envelope with a request id, and the connection is closed."""
    capture = client.send(served.url, MALFORMED[name])
    assert (capture.status, capture.ended) == (400, "complete")
    assert capture.header("content-type") == "application/json; charset=utf-8"
    assert (capture.header("x-request-id") or "").startswith("req_")
    assert capture.header("connection") == "close"
    error = json.loads(capture.body)["error"]
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
def test_errors_of_the_server(served: RawServer, request_bytes: bytes, status: int, code: str) -> None:
    """They have the envelope, and the request id of the client if it was read."""
    capture = client.send(served.url, request_bytes)
    assert (capture.status, json.loads(capture.body)["error"]["code"]) == (status, code)
    assert b"secret" not in capture.body


def test_an_error_of_the_server_has_the_request_id_of_the_client(served: RawServer) -> None:
    """If the client sent one."""
    capture = client.send(served.url, head("x-request-id: mine", "Content-Length: 10001"))
    assert capture.header("x-request-id") == "mine"


def test_a_head_request_gets_no_error_body(served: RawServer) -> None:
    """The answer to a refused HEAD has no body."""
    with connect(served) as sock:
        sock.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10001\r\n\r\n")
        assert all_of(sock).endswith(b"\r\n\r\n")


def test_a_body_of_exactly_the_limit_is_served(served: RawServer) -> None:
    """The limit itself is allowed."""
    capture = client.call(served.url, "POST", "/", body=b"x" * MAX_BODY_BYTES)
    assert (capture.status, len(capture.body)) == (200, MAX_BODY_BYTES)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_oversize_body_is_refused_without_a_reset(served: RawServer, framing: str) -> None:
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


def test_slow_clients_do_not_delay_others() -> None:
    """With 200 clients in the middle of their heads, another one is answered before any of them is closed."""
    with run_server(header_timeout_s=60.0) as served, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(served)).sendall(b"POST / HTTP/1.1\r\nHost: ")
        assert client.call(served.url, "GET", "/").status == 200


def test_keep_alive_and_pipelining(served: RawServer) -> None:
    """Ten requests on one connection; two in one packet are answered in order."""
    with client.Connection(served.url) as connection:
        assert [connection.call("POST", "/", body=b"%d" % n).body for n in range(10)] == [b"%d" % n for n in range(10)]
    with connect(served) as sock:
        sock.sendall(head("Content-Length: 1") + b"a" + head("Content-Length: 1", "Connection: close") + b"b")
        answers = all_of(sock)
    assert answers.index(b"\r\n\r\na") < answers.index(b"\r\n\r\nb")


def test_what_follows_a_refused_request_is_not_a_request(served: RawServer) -> None:
    """After an error no more requests of the connection are served (request smuggling)."""
    with connect(served) as sock:
        sock.sendall(head("Content-Length: +1") + head("Content-Length: 1") + b"a")
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock).count(b"HTTP/1.") <= 1


def test_a_client_that_disconnects_before_its_refusal(served: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    """It causes no error."""
    for _ in range(20):
        with connect(served) as sock:
            sock.sendall(MALFORMED["plus"])
            sock.shutdown(socket.SHUT_WR)
    assert client.call(served.url, "GET", "/").status == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_disconnected_client_is_noticed(served: RawServer) -> None:
    """The application notices it during the request."""
    with connect(served) as sock:
        sock.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
    assert served.is_disconnected.wait(WITHIN_S)


def test_the_server_does_not_name_itself(served: RawServer) -> None:
    """There is no Server header, neither in answers nor in errors."""
    assert client.call(served.url, "GET", "/").header("server") is None
    assert client.send(served.url, MALFORMED["plus"]).header("server") is None


def test_without_descriptors_accept_pauses(served: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_no_text_is_written_to_the_disk(served: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large answer stays in memory until its client has read it."""
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: pytest.fail("a file was made"))
    capture = client.call(served.url, "GET", "/large")
    assert len(capture.body) == LARGE_BYTES


def test_head_and_body_are_sent_together(served: RawServer) -> None:
    """A small answer is one packet; so is the beginning of one that fails later."""
    with connect(served) as sock:
        sock.sendall(head())
        assert sock.recv(10_000).endswith(b"\r\n\r\nok")
    capture = client.call(served.url, "GET", "/bad-header")
    assert (capture.status, json.loads(capture.body)["error"]["code"]) == (500, "internal_error")
