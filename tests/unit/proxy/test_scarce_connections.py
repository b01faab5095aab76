"""Clients that use all connections: those with the longest wait for their client are closed."""

from __future__ import annotations

import errno
import socket
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.waiting import until
from lumen_proxy.worker.http.server import HttpServer, _Listener
from lumen_proxy.worker.limits import ServerLimits
from tests.unit.proxy.running_proxy import run_proxy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

    from lumen_conformance.gateway.server import ScriptedGateway
    from tests.unit.proxy.running_proxy import RunningProxy

CONNECTIONS, SPARE = 60, 10  # instead of 1,000 and 100
# A round closes at most SPARE connections, and starts when the loop has CONNECTIONS entries. Before the last round at
# most as many are closed as there are entries beyond that: one for /health, and three of the loop itself.
BEYOND = 1 + 3
WITHIN_S = 10.0
SLOW_S = 6 * WITHIN_S  # the time of a slow client: a request that is answered within its 10 s has waited for none
HEADS = {"LUMEN_HEADER_TIMEOUT_S": str(SLOW_S)}
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SLOW = {
    "silent": b"",
    "head": HEAD,
    "body": HEAD + b"Content-Length: 500000\r\n\r\n{",
    "body-that-was-invited": HEAD + b"Content-Length: 500000\r\nExpect: 100-continue\r\n\r\n",
    "chunked-body": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    "refused-body": HEAD + b"Content-Length: 99999999\r\n\r\n{",
}


@pytest.fixture(autouse=True)
def few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that a test reaches quickly, and a time for slow clients that it does not reach."""
    monkeypatch.setattr("lumen_proxy.worker.http.server.CONNECTIONS", CONNECTIONS)
    monkeypatch.setattr("lumen_proxy.worker.http.server.SPARE_CONNECTIONS", SPARE)
    monkeypatch.setattr("lumen_proxy.worker.http.connection.BODY_S", SLOW_S)
    monkeypatch.setattr("lumen_proxy.worker.http.connection.DISCARD_S", SLOW_S)


def flood(served: RunningProxy, stack: ExitStack, sent: bytes, clients: int) -> list[socket.socket]:
    """Connect so many times, and send the beginning of a request only."""
    host, port = served.url.removeprefix("http://").split(":")
    slow = [stack.enter_context(socket.create_connection((host, int(port)), WITHIN_S)) for _ in range(clients)]
    for sock in slow:
        with suppress(ConnectionError):  # the server may have closed it
            sock.sendall(sent)
    return slow


def is_closed(sock: socket.socket) -> bool:
    """Whether the server has closed the connection: an end, or a reset."""
    sock.settimeout(0)
    try:
        return not sock.recv(1)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_health_answers_although_slow_clients_take_every_connection(gateway: ScriptedGateway, sent: bytes) -> None:
    """No deadline of a slow client has to pass, and a chat in progress is not ended."""
    gate = threading.Event()
    gateway.script(replies.gated(gate))
    with run_proxy(gateway.url, **HEADS) as served, ExitStack() as stack:
        chat = threading.Thread(target=lambda: answers.append(served.chat(timeout_s=SLOW_S).status))
        answers: list[int | None] = []
        chat.start()
        gateway.until_called(1)
        flood(served, stack, sent, 2 * CONNECTIONS)
        assert served.get("/health").status == 200
        gate.set()
        chat.join(WITHIN_S)
        assert answers == [200]


def test_health_answers_although_slow_clients_take_every_descriptor(
    gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same if accept() fails, since the system allows fewer connections than the server."""
    accept = _Listener.accept

    def limited(listener: _Listener) -> object:
        if len(listener._map) >= CONNECTIONS // 2:  # noqa: SLF001 - as many as the system allows
            raise OSError(errno.EMFILE, "too many open files")
        return accept(listener)

    monkeypatch.setattr(_Listener, "accept", limited)
    with run_proxy(gateway.url, **HEADS) as served, ExitStack() as stack:
        flood(served, stack, SLOW["body"], CONNECTIONS // 2)
        assert served.get("/health").status == 200


def test_the_longest_wait_is_closed_first(gateway: ScriptedGateway) -> None:
    """Of the slow clients the oldest are closed, and only as many as needed."""
    with run_proxy(gateway.url, **HEADS) as served, ExitStack() as stack:
        slow = flood(served, stack, SLOW["silent"], CONNECTIONS)  # so that they wait in the order of their connections
        until("the first is closed", lambda: is_closed(slow[0]), within_s=WITHIN_S)
        assert served.get("/health").status == 200
        assert not any(map(is_closed, slow[SPARE + BEYOND :]))


class Turned:
    """A server that handles events when the test calls it."""

    def __init__(self, sock: socket.socket, stack: ExitStack) -> None:
        self.gate = threading.Event()
        self.server = HttpServer(self._answer, [sock.dup()], ServerLimits(1, WITHIN_S, 1))
        self._address, self._stack = sock.getsockname(), stack

    def _answer(self, _environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.gate.wait(WITHIN_S)
        start_response("204 No Content", [])
        return []

    def connect(self, clients: int) -> list[socket.socket]:
        """Connect so many clients, which the server has not accepted yet."""
        return [self._stack.enter_context(socket.create_connection(self._address)) for _ in range(clients)]

    def leave_room_for(self, clients: int) -> list[socket.socket]:
        """Accept clients until so many connections are left."""
        slow = self.connect(CONNECTIONS - len(self.server._map) - clients)  # noqa: SLF001 - what the limit counts
        self.turn()
        return slow

    def turn(self) -> None:
        """Handle the events."""
        self.server._turn(0)  # noqa: SLF001 - run() turns on until it is drained


@pytest.fixture
def turned() -> Iterator[Turned]:
    """A server without a thread."""
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as sock, ExitStack() as stack:
        one = Turned(sock, stack)
        yield one
        one.gate.set()
        one.server.close()


def test_an_event_of_a_closed_connection_does_not_close_another(turned: Turned) -> None:
    """A new connection gets the descriptor of a closed one, for which bytes had arrived."""
    for sock in turned.leave_room_for(1):
        sock.sendall(b"G")
    newcomers = turned.connect(SPARE)
    turned.turn()
    assert not any(map(is_closed, newcomers))


def test_the_wait_begins_with_the_connection(turned: Turned) -> None:
    """A late first byte does not shorten it."""
    slow = turned.leave_room_for(2)
    for sock in slow:
        sock.sendall(b"G")
    newcomers = turned.connect(1)
    turned.turn()
    newcomers += turned.connect(1)
    turned.turn()
    assert not any(map(is_closed, newcomers))
    assert all(map(is_closed, slow[:SPARE]))


def test_a_new_connection_may_send_its_request(turned: Turned) -> None:
    """With the last connection: it is not closed before the server has read from it."""
    for sock in turned.leave_room_for(1):
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    turned.turn()
    newcomers = turned.connect(1)
    turned.turn()
    assert not any(map(is_closed, newcomers))
