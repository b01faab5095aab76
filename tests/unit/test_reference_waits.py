"""The references wait for their gateway and their client, however many files the process has open."""

from __future__ import annotations

import http.client
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fixtures.faults.reference import forwarding, gateway
from tests.fixtures.faults.reference.http import Refused, Request

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
    """Both connections of a reference, its own end first: of the gateway and of the client, above what select knows."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = SELECT_MAX + 64  # four descriptors above the limit of select, and what the wait itself opens
    with ExitStack() as stack:
        if limits[0] < spare:
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, limits[1]))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        yield _pair(stack), _pair(stack)


def test_answer_arrives_with_many_files_open(pairs: tuple[Pair, Pair]) -> None:
    """The reference reads its gateway's answer when its descriptors are higher than select(2) knows."""
    (sock, gateways), (client, _) = pairs
    gateways.sendall(ANSWER)
    assert gateway.received(sock, client, time.monotonic() + WAIT_S, READ_BYTES, gateway.take) == ANSWER


def test_relay_gets_its_answer_with_many_files_open(pairs: tuple[Pair, Pair]) -> None:
    """The relay reads its gateway's answer when its descriptors are higher than select(2) knows."""
    (sock, gateways), (client, _) = pairs
    connection = http.client.HTTPConnection("127.0.0.1")
    connection.sock = sock
    connection.putrequest("POST", "/v1/chat/completions")
    connection.endheaders()
    gateways.sendall(ANSWER)
    response = forwarding.response_of(connection, Request("POST", "/v1/chat/completions", [], b"", client))
    assert response.read() == b"{}"


def test_client_who_left_is_seen_with_many_files_open(pairs: tuple[Pair, Pair]) -> None:
    """The reference sees that its client has left when its descriptors are higher than select(2) knows."""
    (sock, _), (client, clients) = pairs
    clients.close()
    with pytest.raises(gateway.Gone):
        gateway.received(sock, client, time.monotonic() + WAIT_S, READ_BYTES, gateway.take)


def test_connection_that_is_closed_meanwhile(pairs: tuple[Pair, Pair]) -> None:
    """A client whose connection the thread of its stream has closed has left; that is no crash."""
    (sock, _), (client, _) = pairs
    client.close()
    with pytest.raises(gateway.Gone):
        gateway.received(sock, client, time.monotonic() + WAIT_S, READ_BYTES, gateway.take)


def test_silent_gateway_is_a_timeout(pairs: tuple[Pair, Pair]) -> None:
    """The reference gives up a gateway that says nothing until its deadline."""
    (sock, _), (client, _) = pairs
    with pytest.raises(Refused, match="gateway_timeout"):
        gateway.received(sock, client, time.monotonic() + 0.05, READ_BYTES, gateway.take)


def _pair(stack: ExitStack) -> Pair:
    """Two connected sockets, the first with a high descriptor."""
    low, other = (stack.enter_context(end) for end in socket.socketpair())
    high = socket.socket(fileno=fcntl.fcntl(low.fileno(), fcntl.F_DUPFD_CLOEXEC, SELECT_MAX))
    low.close()
    return stack.enter_context(high), other
