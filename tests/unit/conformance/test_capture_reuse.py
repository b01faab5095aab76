"""A connection is reused while it persists, then a new one is opened (RFC 9112, 9.3 and 9.6)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from lumen_conformance.http.client import Connection

SIZED = b"Content-Length: 2\r\n\r\nhi"


class Answer(Protocol):
    """Starts a server and returns its origin."""

    def __call__(self, said: bytes, *, closes: bool = False) -> str:
        """Start a server; with ``closes`` it closes each connection after its answer."""
        ...


@pytest.fixture
def answer() -> Iterator[Answer]:
    """A function that starts a server, which answers only the first request of each connection."""
    with ExitStack() as stack:

        def start(said: bytes, *, closes: bool = False) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            accepted = stack.enter_context(ExitStack())
            thread = threading.Thread(target=_serve, args=(listener, said, accepted, closes))
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


def _serve(listener: socket.socket, said: bytes, accepted: ExitStack, closes: bool) -> None:  # noqa: FBT001 -- an argument of a thread
    while True:
        try:
            sock = listener.accept()[0]
        except OSError:
            return
        accepted.enter_context(sock)
        if sock.recv(65_536):
            sock.sendall(said)
        if closes:
            sock.close()


ENDS = {
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n",
    "close-among-others": b"HTTP/1.1 200 OK\r\nConnection: x-own, Close\r\n",
    "old-version": b"HTTP/1.0 200 OK\r\n",
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("said", ENDS.values(), ids=ENDS)
def test_a_new_connection_after_the_last_answer(answer: Answer, said: bytes, method: str) -> None:
    """After a response that ends its connection, the next request opens another with the next number."""
    url = answer(said + (b"Content-Length: 2\r\n\r\n" if method == "HEAD" else SIZED))
    with Connection(url) as connection:
        capture = [connection.call(method, "/", timeout_s=5) for _ in range(3)]
    assert [(each.ended, each.connection) for each in capture] == [("complete", 1), ("complete", 2), ("complete", 3)]


def test_a_new_connection_after_a_body_without_length(answer: Answer) -> None:
    """A body that ends with its connection allows no reuse."""
    with Connection(answer(b"HTTP/1.1 200 OK\r\n\r\nhi", closes=True)) as connection:
        capture = [connection.call("GET", "/", timeout_s=5) for _ in range(2)]
    assert [(each.ended, each.body, each.connection) for each in capture] == [
        ("complete", b"hi", 1),
        ("complete", b"hi", 2),
    ]


def test_a_client_that_leaves_asks_on_a_new_connection(answer: Answer) -> None:
    """After a request with Connection: close, the next one opens another connection."""
    with Connection(answer(b"HTTP/1.1 200 OK\r\n" + SIZED)) as connection:
        connection.call("GET", "/", headers=[("Connection", "close")])
        assert connection.call("GET", "/", timeout_s=5).connection == 2


KEPT = {
    "by-version": b"HTTP/1.1 200 OK\r\n",
    "old-version-that-says-so": b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n",
}


@pytest.mark.parametrize("said", KEPT.values(), ids=KEPT)
def test_the_same_connection(answer: Answer, said: bytes) -> None:
    """After a response that keeps its connection, the next request uses it, also when it gets no answer."""
    with Connection(answer(said + SIZED)) as connection:
        capture = [connection.call("GET", "/", timeout_s=each) for each in (5, 0.1)]
    assert [(each.ended, each.connection) for each in capture] == [("complete", 1), ("timeout", 1)]


@pytest.mark.parametrize("closes", [True, False])
def test_stays_open_after_connection_close(answer: Answer, closes: bool) -> None:  # noqa: FBT001 -- a row
    """``stays_open`` works after a response with Connection: close, until the next request."""
    with Connection(answer(ENDS["close"] + SIZED, closes=closes)) as connection:
        connection.call("GET", "/")
        assert connection.stays_open(5 if closes else 0.1) is not closes


def test_a_body_is_not_sent_after_a_refusal(answer: Answer) -> None:
    """A response in place of 100 Continue ends the request without its body; the next one opens a connection."""
    with Connection(answer(KEPT["by-version"] + SIZED)) as connection:
        first = connection.call("POST", "/", body=b"body", headers=[("Expect", "100-continue")])
        second = connection.call("GET", "/", timeout_s=5)
    assert [(each.ended, each.connection) for each in (first, second)] == [("complete", 1), ("complete", 2)]
