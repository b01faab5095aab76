"""Names and connections: how addresses are found, in which order they are tried, and how the attempt ends."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from lumen_conformance.ports import reserved_port
from lumen_proxy.health.http_probe import send_probe
from lumen_proxy.net import happy_eyeballs, names
from lumen_proxy.net.failure import TRANSIENT, ConnectFailed
from lumen_proxy.net.names import Address, Name
from lumen_proxy.net.reachability import try_addresses
from lumen_proxy.net.time_limits import TimeLimits
from tests.fixtures.blackholes import NEEDS_LINUX, black_hole

WITHIN_S = 10.0
V4, V6 = socket.AF_INET, socket.AF_INET6


def at(host: str, port: int = 80) -> Address:
    """A literal address."""
    return Address(V6 if ":" in host else V4, (host, port, 0, 0) if ":" in host else (host, port))


def resolves(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> list[str]:
    """Let every name resolve to these; the list has the names that were looked up."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        return [(at(one).family, socket.SOCK_STREAM, 6, "", at(one, port).sockaddr) for one in hosts]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return asked


def patient(within_s: float = WITHIN_S, connect_s: float = WITHIN_S) -> TimeLimits:
    """Time enough, unless a test says otherwise."""
    return TimeLimits(within_s, connect_s)


@contextmanager
def listening(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A server that accepts connections."""
    with socket.create_server((host, port)) as server:
        yield server.getsockname()[1]


@contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """This process may open so many files more."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305, 4: beginning with the family of the first address; the same address once."""
    resolves(monkeypatch, "::1", "::2", "::2", "::3", "127.0.0.1")
    found = Name("a.example", 80).addresses(patient())
    assert [one.host for one in found] == ["::1", "127.0.0.1", "::2", "::3"]


def test_an_address_that_failed_is_tried_last_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its time is over."""
    resolves(monkeypatch, "127.0.0.2", "127.0.0.1")
    name = Name("a.example", 80)
    name.failed([at("127.0.0.2")])
    assert [one.host for one in name.addresses(patient())] == ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr(names, "FAILED_S", 0.0)
    assert [one.host for one in name.addresses(patient())] == ["127.0.0.2", "127.0.0.1"]


def test_addresses_are_kept_for_a_short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look-up for all calls of half a minute; a new one when none of the addresses has answered."""
    asked = resolves(monkeypatch, "127.0.0.1")
    name = Name("a.example", 80)
    for _ in range(3):
        name.addresses(patient())
    assert len(asked) == 1
    name.forget()
    name.addresses(patient())
    assert len(asked) == 2
    monkeypatch.setattr(names, "FRESH_S", 0.0)
    name.addresses(patient())
    assert len(asked) == 3


def test_a_look_up_that_ends_late_serves_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the same name joins it; no second thread is started."""
    hanging, asked = threading.Event(), []

    def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        hanging.wait(WITHIN_S)
        return [(V4, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    name = Name("a.example", 80)
    with pytest.raises(ConnectFailed) as caught:
        name.addresses(patient(within_s=0.05))
    assert caught.value.kind == "dns_timeout"
    hanging.set()
    assert [one.host for one in name.addresses(patient())] == ["127.0.0.1"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "unknown_host"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "dns_failure"),
        (UnicodeError("label empty or too long"), "unknown_host"),
        (OSError(errno.EMFILE, "Too many open files"), "dns_failure"),
        (MemoryError(), "dns_failure"),
    ],
)
def test_names_that_are_not_found(error: Exception, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not exist is told apart from nameservers that do not answer, and from a lack of resources."""

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise error

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectFailed) as caught:
        Name("a.example", 80).addresses(patient())
    assert caught.value.kind == kind
    assert "'a.example'" in caught.value.text


def test_a_look_up_for_which_there_is_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call fails at once, another one may succeed, and the next one looks the name up."""

    def start(_: object) -> None:
        raise RuntimeError("can't start new thread")

    resolves(monkeypatch, "127.0.0.1")
    name = Name("a.example", 80)
    with monkeypatch.context() as without_threads:
        without_threads.setattr(threading.Thread, "start", start)
        with pytest.raises(ConnectFailed, match=r"'a.example'.* can't start new thread") as caught:
            name.addresses(patient())
    assert caught.value.kind in TRANSIENT
    assert [one.host for one in name.addresses(patient(within_s=1.0))] == ["127.0.0.1"]


def test_old_failures_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose addresses change all the time does not fill the memory."""
    name = Name("a.example", 80)
    monkeypatch.setattr(names, "FAILED_S", 0.0)
    for number in range(3):
        name.failed([at(f"127.0.0.{number}")])
    assert list(name._failed) == [at("127.0.0.2")]  # noqa: SLF001 - no other way to see it


def test_a_literal_address_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not looked up."""
    monkeypatch.setattr(names._Lookup, "start", lambda _: pytest.fail("looked up"))  # noqa: SLF001 - no other way to see it
    assert [one.host for one in Name("127.0.0.1", 80).addresses(patient())] == ["127.0.0.1"]
    assert [one.host for one in Name("::1", 80).addresses(patient())] == ["::1"]


@NEEDS_LINUX
@pytest.mark.parametrize("silent", ["127.0.0.2", "::1"])
def test_a_silent_address_costs_a_quarter_of_a_second(silent: str) -> None:
    """The next address is tried after 250 ms; the silent one is reported and its socket closed."""
    with listening() as port, black_hole(silent, port):
        began = monotonic()
        sock, failed = happy_eyeballs.connect([at(silent, port), at("127.0.0.1", port)], patient(), began + WITHIN_S)
        with sock:
            assert happy_eyeballs.ATTEMPT_DELAY_S <= monotonic() - began < WITHIN_S / 2
            assert sock.getpeername() == ("127.0.0.1", port)
            assert failed == [at(silent, port)]


@NEEDS_LINUX
def test_a_refusal_starts_the_next_attempt_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for the delay, here far longer than the test."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY_S", WITHIN_S)
    with reserved_port() as dead, listening() as port:
        found = happy_eyeballs.connect(
            [at("127.0.0.1", dead), at("127.0.0.1", port)], patient(), monotonic() + WITHIN_S / 2
        )
    found[0].close()
    assert found[1] == [at("127.0.0.1", dead)]


@NEEDS_LINUX
def test_how_it_ends_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """All refused, one silent, no route: three kinds."""
    with reserved_port() as dead, black_hole("127.0.0.2") as full:
        attempts = {
            "refused": [at("127.0.0.1", dead)],
            "connect_timeout": [at("127.0.0.1", dead), at("127.0.0.2", full)],
        }
        for kind, addresses in attempts.items():
            with pytest.raises(ConnectFailed) as caught:
                happy_eyeballs.connect(addresses, patient(), monotonic() + 0.2)
            assert caught.value.kind == kind
        monkeypatch.setattr("socket.socket.connect_ex", lambda *_: errno.ENETUNREACH)
        with pytest.raises(ConnectFailed) as caught:
            happy_eyeballs.connect([at("127.0.0.1", dead)], patient(), monotonic() + 0.2)
    assert caught.value.kind == "no_route"


@pytest.mark.parametrize("spare", [0, 1])
def test_without_descriptors(spare: int) -> None:
    """It is a failure of the connection, with the system's reason, for a probe too."""
    with listening() as port:
        with few_descriptors(spare), pytest.raises(ConnectFailed, match="Too many open files") as caught:
            happy_eyeballs.connect([at("127.0.0.1", port)], patient(), monotonic() + WITHIN_S)
        assert caught.value.kind == "no_route"
        with few_descriptors(spare):
            asked = send_probe("GET", f"http://127.0.0.1:{port}/", within_s=WITHIN_S)
    assert asked.trouble == "no_route"


def test_a_socket_that_cannot_be_watched_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt has failed; no descriptor leaks."""
    given: list[socket.socket] = []

    def register(_: object, sock: socket.socket, *__: object) -> None:
        given.append(sock)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("selectors.DefaultSelector.register", register)
    with reserved_port() as dead, pytest.raises(ConnectFailed) as caught:
        happy_eyeballs.connect([at("127.0.0.1", dead)], patient(), monotonic() + WITHIN_S)
    assert caught.value.kind == "no_route"
    assert [sock.fileno() for sock in given] == [-1]


def test_a_connection_whose_options_cannot_be_set_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reset macOS refuses them, which the first write tells."""

    def setsockopt(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    with listening() as port:
        monkeypatch.setattr("socket.socket.setsockopt", setsockopt)
        sock, _ = happy_eyeballs.connect([at("127.0.0.1", port)], patient(), monotonic() + WITHIN_S)
        sock.close()


def test_a_look_up_that_used_up_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is named, not the time for connecting, which was not used."""
    resolves(monkeypatch, "127.0.0.1")
    for attempt in (
        lambda limits: happy_eyeballs.connect([at("127.0.0.1")], limits, monotonic()),
        lambda limits: Name("a.example", 80).addresses(limits),
    ):
        with monkeypatch.context() as slow:
            slow.setattr(names._Lookup, "run", lambda _: None)  # noqa: SLF001 - a look-up that does not end
            with pytest.raises(ConnectFailed) as caught:
                attempt(patient(within_s=0.0))
        said = f"{caught.value.text} {caught.value.remedy}"
        assert caught.value.kind == "dns_timeout"
        assert "LUMEN_TIMEOUT_S" in said
        assert "LUMEN_CONNECT_TIMEOUT_S" not in said


@NEEDS_LINUX
def test_an_attempt_can_be_aborted() -> None:
    """From another thread, while all addresses are silent."""
    patience, kinds = patient(), []

    def attempt(port: int) -> None:
        with pytest.raises(ConnectFailed) as caught:
            happy_eyeballs.connect([at("127.0.0.2", port)], patience, monotonic() + WITHIN_S)
        kinds.append(caught.value.kind)

    with black_hole("127.0.0.2") as port:
        attempting = threading.Thread(target=attempt, args=(port,))
        attempting.start()
        patience.abort()
        attempting.join(WITHIN_S / 2)
        assert kinds == ["aborted"]


@NEEDS_LINUX
def test_every_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells the silent and the refusing ones; a name with one address is not tried."""
    with listening() as port, black_hole("127.0.0.2", port):
        url = f"http://a.example:{port}"
        resolves(monkeypatch, "127.0.0.2", "127.0.0.1", "127.0.0.3")
        found = try_addresses(url, within_s=WITHIN_S, connect_s=0.3)
        assert found == ("a.example", ("127.0.0.2", "127.0.0.1", "127.0.0.3"), ("127.0.0.2", "127.0.0.3"))
        resolves(monkeypatch, "127.0.0.2")
        assert try_addresses(url, within_s=WITHIN_S, connect_s=0.3).dead == ()
