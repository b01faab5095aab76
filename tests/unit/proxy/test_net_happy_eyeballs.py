"""Name resolution and connections: addresses, their order, and the failures."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic

import pytest

from lumen_conformance.ports import reserved_port
from lumen_proxy import threads
from lumen_proxy.health.http_probe import send_probe
from lumen_proxy.net import happy_eyeballs
from lumen_proxy.net.failure import ConnectFailed
from lumen_proxy.net.names import Address, Name
from lumen_proxy.net.reachability import try_addresses
from lumen_proxy.net.time_limits import TimeLimits
from tests.fixtures.blackholes import NEEDS_LINUX, open_black_hole

WITHIN_S = 10.0
V4, V6 = socket.AF_INET, socket.AF_INET6


def at(host: str, port: int = 80) -> Address:
    """A literal address."""
    return Address(V6 if ":" in host else V4, (host, port, 0, 0) if ":" in host else (host, port))


def resolve_to(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> list[str]:
    """Let each name resolve to these addresses; the returned list has the names that were looked up."""
    lookups: list[str] = []

    def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        lookups.append(host)
        return [(at(one).family, socket.SOCK_STREAM, 6, "", at(one, port).sockaddr) for one in hosts]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return lookups


def new_limits(within_s: float = WITHIN_S, connect_s: float = WITHIN_S) -> TimeLimits:
    """Limits that are not reached, unless a test sets them."""
    return TimeLimits(within_s, connect_s)


@contextmanager
def listening_server(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A server that accepts connections."""
    with socket.create_server((host, port)) as server:
        yield server.getsockname()[1]


@contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """Limit the descriptors that this process may open."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@NEEDS_LINUX
@pytest.mark.parametrize("silent", ["127.0.0.2", "::1"])
def test_a_silent_address_costs_a_quarter_of_a_second(silent: str) -> None:
    """The next address is tried after 250 ms; the silent one is reported, and its socket closed."""
    with listening_server() as port, open_black_hole(silent, port):
        began = monotonic()
        sock, failed = happy_eyeballs.connect([at(silent, port), at("127.0.0.1", port)], new_limits(), began + WITHIN_S)
        with sock:
            assert happy_eyeballs.ATTEMPT_DELAY_S <= monotonic() - began < WITHIN_S / 2
            assert sock.getpeername() == ("127.0.0.1", port)
            assert failed == [at(silent, port)]


@NEEDS_LINUX
def test_a_refusal_starts_the_next_attempt_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the delay, which is far longer than this test."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY_S", WITHIN_S)
    with reserved_port() as dead, listening_server() as port:
        found = happy_eyeballs.connect(
            [at("127.0.0.1", dead), at("127.0.0.1", port)], new_limits(), monotonic() + WITHIN_S / 2
        )
    found[0].close()
    assert found[1] == [at("127.0.0.1", dead)]


@NEEDS_LINUX
def test_failures_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """All refused, one silent, no route: three kinds."""
    with reserved_port() as dead, open_black_hole("127.0.0.2") as full:
        attempts = {
            "refused": [at("127.0.0.1", dead)],
            "connect_timeout": [at("127.0.0.1", dead), at("127.0.0.2", full)],
        }
        for kind, addresses in attempts.items():
            with pytest.raises(ConnectFailed) as caught:
                happy_eyeballs.connect(addresses, new_limits(), monotonic() + 0.2)
            assert caught.value.kind == kind
        monkeypatch.setattr("socket.socket.connect_ex", lambda *_: errno.ENETUNREACH)
        with pytest.raises(ConnectFailed) as caught:
            happy_eyeballs.connect([at("127.0.0.1", dead)], new_limits(), monotonic() + 0.2)
    assert caught.value.kind == "no_route"


@pytest.mark.parametrize("spare", [0, 1])
def test_without_descriptors(spare: int) -> None:
    """It is a failed connection with the reason of the system, for a probe, too."""
    with listening_server() as port:
        with few_descriptors(spare), pytest.raises(ConnectFailed, match="Too many open files") as caught:
            happy_eyeballs.connect([at("127.0.0.1", port)], new_limits(), monotonic() + WITHIN_S)
        assert caught.value.kind == "no_route"
        with few_descriptors(spare):
            lookups = send_probe("GET", f"http://127.0.0.1:{port}/", within_s=WITHIN_S)
    assert lookups.trouble == "no_route"


def test_a_socket_that_the_selector_refuses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt fails without an open descriptor."""
    given: list[socket.socket] = []

    def register(_: object, sock: socket.socket, *__: object) -> None:
        given.append(sock)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("selectors.DefaultSelector.register", register)
    with reserved_port() as dead, pytest.raises(ConnectFailed) as caught:
        happy_eyeballs.connect([at("127.0.0.1", dead)], new_limits(), monotonic() + WITHIN_S)
    assert caught.value.kind == "no_route"
    assert [sock.fileno() for sock in given] == [-1]


def test_a_connection_whose_options_cannot_be_set_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """MacOS refuses options after a reset; the first write then fails."""

    def setsockopt(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    with listening_server() as port:
        monkeypatch.setattr("socket.socket.setsockopt", setsockopt)
        sock, _ = happy_eyeballs.connect([at("127.0.0.1", port)], new_limits(), monotonic() + WITHIN_S)
        sock.close()


def test_a_look_up_that_used_up_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the deadline, not the connect time-out."""
    resolve_to(monkeypatch, "127.0.0.1")
    for attempt in (
        lambda limits: happy_eyeballs.connect([at("127.0.0.1")], limits, monotonic()),
        lambda limits: Name("a.example", 80).addresses(limits),
    ):
        with monkeypatch.context() as slow:
            slow.setattr(threads, "start", lambda *_: Future())  # a look-up that does not end
            with pytest.raises(ConnectFailed) as caught:
                attempt(new_limits(within_s=0.0))
        message = f"{caught.value.text} {caught.value.remedy}"
        assert caught.value.kind == "dns_timeout"
        assert "LUMEN_TIMEOUT_S" in message
        assert "LUMEN_CONNECT_TIMEOUT_S" not in message


@NEEDS_LINUX
def test_an_attempt_can_be_aborted() -> None:
    """From another thread, while all addresses are silent."""
    patience, kinds = new_limits(), []

    def attempt(port: int) -> None:
        with pytest.raises(ConnectFailed) as caught:
            happy_eyeballs.connect([at("127.0.0.2", port)], patience, monotonic() + WITHIN_S)
        kinds.append(caught.value.kind)

    with open_black_hole("127.0.0.2") as port:
        attempting = threading.Thread(target=attempt, args=(port,))
        attempting.start()
        patience.abort()
        attempting.join(WITHIN_S / 2)
        assert kinds == ["aborted"]


@NEEDS_LINUX
def test_every_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result has silent and refusing addresses; a name with one address is not tried."""
    with listening_server() as port, open_black_hole("127.0.0.2", port):
        url = f"http://a.example:{port}"
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1", "127.0.0.3")
        found = try_addresses(url, within_s=WITHIN_S, connect_s=0.3)
        assert found == ("a.example", ("127.0.0.2", "127.0.0.1", "127.0.0.3"), ("127.0.0.2", "127.0.0.3"))
        resolve_to(monkeypatch, "127.0.0.2")
        assert try_addresses(url, within_s=WITHIN_S, connect_s=0.3).dead == ()
