"""Name resolution: shared look-ups, the order of addresses, and failures."""

from __future__ import annotations

import errno
import socket
import threading

import pytest

from lumen_proxy import threads
from lumen_proxy.net import names
from lumen_proxy.net.failure import TRANSIENT, ConnectFailed
from lumen_proxy.net.names import Name
from tests.unit.proxy.test_net_happy_eyeballs import WITHIN_S, at, new_limits, resolve_to


def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305, 4: the families alternate, beginning with that of the first address; each address once."""
    resolve_to(monkeypatch, "::1", "::2", "::2", "::3", "127.0.0.1")
    found = Name("a.example", 80).addresses(new_limits())
    assert [one.host for one in found] == ["::1", "127.0.0.1", "::2", "::3"]


def test_an_address_that_failed_is_tried_last_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the time is over."""
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    name = Name("a.example", 80)
    name.failed([at("127.0.0.2")])
    assert [one.host for one in name.addresses(new_limits())] == ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr(names, "FAILED_S", 0.0)
    assert [one.host for one in name.addresses(new_limits())] == ["127.0.0.2", "127.0.0.1"]


def test_addresses_are_kept_for_a_short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look-up serves all calls of 30 s; if no address accepts, there is a new one."""
    lookups = resolve_to(monkeypatch, "127.0.0.1")
    name = Name("a.example", 80)
    for _ in range(3):
        name.addresses(new_limits())
    assert len(lookups) == 1
    name.forget()
    name.addresses(new_limits())
    assert len(lookups) == 2
    monkeypatch.setattr(names, "FRESH_S", 0.0)
    name.addresses(new_limits())
    assert len(lookups) == 3


def test_a_look_up_that_ends_late_serves_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls for the same name share it, without a second thread."""
    hanging, lookups = threading.Event(), []

    def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        lookups.append(host)
        hanging.wait(WITHIN_S)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    name = Name("a.example", 80)
    with pytest.raises(ConnectFailed) as caught:
        name.addresses(new_limits(within_s=0.05))
    assert caught.value.kind == "dns_timeout"
    hanging.set()
    assert [one.host for one in name.addresses(new_limits())] == ["127.0.0.1"]
    assert len(lookups) == 1


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
    """An unknown name, nameservers without an answer, and a lack of resources have different failures."""

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise error

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectFailed) as caught:
        Name("a.example", 80).addresses(new_limits())
    assert caught.value.kind == kind
    assert "'a.example'" in caught.value.text


def test_a_look_up_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call fails at once with a transient failure, and the next call looks the name up."""

    def start(_: object) -> None:
        raise RuntimeError("can't start new thread")

    resolve_to(monkeypatch, "127.0.0.1")
    name = Name("a.example", 80)
    with monkeypatch.context() as without_threads:
        without_threads.setattr(threading.Thread, "start", start)
        with pytest.raises(ConnectFailed, match=r"'a.example'.* can't start new thread") as caught:
            name.addresses(new_limits())
    assert caught.value.kind in TRANSIENT
    assert [one.host for one in name.addresses(new_limits(within_s=1.0))] == ["127.0.0.1"]


def test_old_failures_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory does not grow for a name whose addresses change."""
    name = Name("a.example", 80)
    monkeypatch.setattr(names, "FAILED_S", 0.0)
    for number in range(3):
        name.failed([at(f"127.0.0.{number}")])
    assert list(name._failed) == [at("127.0.0.2")]  # noqa: SLF001 - no other way to see it


def test_a_literal_address_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not looked up."""
    monkeypatch.setattr(threads, "start", lambda *_: pytest.fail("looked up"))
    assert [one.host for one in Name("127.0.0.1", 80).addresses(new_limits())] == ["127.0.0.1"]
    assert [one.host for one in Name("::1", 80).addresses(new_limits())] == ["::1"]
