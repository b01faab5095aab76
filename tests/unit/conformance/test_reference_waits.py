"""The reference servers wait for gateway and client, however many files the process has open."""

from __future__ import annotations

import http.client
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fixtures.faults.reference import forwarder, gateway
from tests.fixtures.faults.reference.http import Refused, Request
from tests.fixtures.faults.reference.readable import readable as wait_for

if sys.platform == "win32":
    pytest.skip("Windows numbers its sockets otherwise", allow_module_level=True)

import fcntl
import resource

SELECT_MAX = 1024  # FD_SETSIZE: select(2) knows descriptors below it
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
WAIT_S = 5.0  # the answer is there before the wait begins
READ_BYTES = 65_536

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[tuple[Pair, Pair]]:
    """Both connections of a reference server, its own end first, with descriptors above the limit of select."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = SELECT_MAX + 64  # four descriptors above the limit of select, and what the wait itself opens
    with ExitStack() as stack:
        if limits[0] < spare:
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, limits[1]))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        yield _pair(stack), _pair(stack)


def test_answer_arrives_with_many_files_open(pairs: tuple[Pair, Pair]) -> None:
    """The reference server reads the answer of its gateway when its descriptors are above the limit of select(2)."""
    (sock, gateways), (client, _) = pairs
    gateways.sendall(ANSWER)
    assert gateway.received(sock, client, time.monotonic() + WAIT_S, READ_BYTES, gateway.take) == ANSWER


def test_relay_gets_its_answer_with_many_files_open(pairs: tuple[Pair, Pair]) -> None:
    """The relay reads the answer of its gateway when its descriptors are above the limit of select(2)."""
    (sock, gateways), (client, _) = pairs
    connection, request = _send_request(sock, client, WAIT_S)
    gateways.sendall(ANSWER)
    assert forwarder.response_of(connection, request).read() == b"{}"


def test_a_disconnect_is_noticed_with_many_files_open(pairs: tuple[Pair, Pair]) -> None:
    """The reference server notices a disconnected client when its descriptors are above the limit of select(2)."""
    (sock, _), (client, clients) = pairs
    clients.close()
    with pytest.raises(gateway.ClientLeft):
        gateway.received(sock, client, time.monotonic() + WAIT_S, READ_BYTES, gateway.take)


def test_connection_that_is_closed_meanwhile(pairs: tuple[Pair, Pair]) -> None:
    """A connection that another thread has closed counts as disconnected, and is no crash."""
    (sock, _), (client, _) = pairs
    client.close()
    with pytest.raises(gateway.ClientLeft):
        gateway.received(sock, client, time.monotonic() + WAIT_S, READ_BYTES, gateway.take)


def test_silent_gateway_is_a_timeout(pairs: tuple[Pair, Pair]) -> None:
    """A gateway that sends nothing until the deadline is a time-out."""
    (sock, _), (client, _) = pairs
    with pytest.raises(Refused, match="gateway_timeout"):
        gateway.received(sock, client, time.monotonic() + 0.05, READ_BYTES, gateway.take)


LOOKS = 3  # at the client that has sent ahead, at the gateway, and once more at most
SHORT_S = 0.2  # a loop without a wait looks thousands of times meanwhile


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The allowed seconds of each wait of the reference servers."""
    waits: list[float] = []

    def readable(*socks: socket.socket, within_s: float | None = None) -> set[int]:
        waits.append(within_s or 0.0)
        return wait_for(*socks, within_s=within_s) if len(waits) <= LOOKS else set()  # or a defect would never end

    monkeypatch.setattr("tests.fixtures.faults.reference.gateway.readable", readable)
    return waits


def test_a_client_that_sends_ahead_costs_no_time(pairs: tuple[Pair, Pair], looks: list[float]) -> None:
    """A byte that the client sends early does not end each wait for the gateway at once."""
    (sock, _), (client, clients) = pairs
    clients.sendall(b"G")
    with pytest.raises(Refused, match="gateway_timeout"):
        gateway.received(sock, client, time.monotonic() + SHORT_S, READ_BYTES, gateway.take)
    assert len(looks) <= LOOKS


def test_a_client_that_sends_ahead_costs_a_relay_no_time(pairs: tuple[Pair, Pair], looks: list[float]) -> None:
    """A byte that the client sends early does not end each wait of the relay at once."""
    (sock, _), (client, clients) = pairs
    clients.sendall(b"G")
    with pytest.raises(Refused, match="gateway_timeout"):
        forwarder.response_of(*_send_request(sock, client, SHORT_S))
    assert len(looks) <= LOOKS


def test_a_client_that_sends_ahead_gets_its_answer(pairs: tuple[Pair, Pair]) -> None:
    """A request of a client that sends early is answered as any other."""
    (sock, gateways), (client, clients) = pairs
    clients.sendall(b"G")
    gateways.sendall(ANSWER)
    assert gateway.received(sock, client, time.monotonic() + WAIT_S, READ_BYTES, gateway.take) == ANSWER


def test_relay_sees_that_its_client_has_left(pairs: tuple[Pair, Pair]) -> None:
    """The relay drops a request when its client has disconnected."""
    (sock, _), (client, clients) = pairs
    clients.close()
    with pytest.raises(gateway.ClientLeft):
        forwarder.response_of(*_send_request(sock, client, WAIT_S))


def _send_request(
    sock: socket.socket, client: socket.socket, within_s: float
) -> tuple[http.client.HTTPConnection, Request]:
    """Return a connection with a sent request to the gateway, and the request of the client."""
    connection = http.client.HTTPConnection("127.0.0.1", timeout=within_s)
    connection.sock = sock
    connection.putrequest("POST", "/v1/chat/completions")
    connection.endheaders()
    return connection, Request("POST", "/v1/chat/completions", [], b"", client)


def _pair(stack: ExitStack) -> Pair:
    """Return two connected sockets, the first with a high descriptor."""
    low, other = (stack.enter_context(end) for end in socket.socketpair())
    high = socket.socket(fileno=fcntl.fcntl(low.fileno(), fcntl.F_DUPFD_CLOEXEC, SELECT_MAX))
    low.close()
    return stack.enter_context(high), other
