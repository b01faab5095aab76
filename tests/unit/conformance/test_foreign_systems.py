"""Ports by the rules of other systems: Windows shares a live port, BSD lets a wildcard listen beside an address."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Self

import pytest

from lumen_conformance.processes import squatter_program
from lumen_conformance.stages import observations

PORT = 4711  # of a network that is not there
Rule = Callable[["FakeSocket", "FakeSocket"], bool]


class FakeSocket:
    """A socket of a network with one rule: which two sockets may not listen beside each other."""

    refuses: Rule
    listening: list[FakeSocket]

    def __init__(self, family: int = socket.AF_INET, _kind: int = socket.SOCK_STREAM) -> None:
        self.family = family
        self.reuses = False
        self.address = ("", 0)

    def setsockopt(self, _level: int, option: int, value: int) -> None:
        """Record SO_REUSEADDR."""
        self.reuses = self.reuses or (option == socket.SO_REUSEADDR and bool(value))

    def bind(self, address: tuple[str, int]) -> None:
        """Raise OSError beside a socket that the rule names."""
        self.address = address
        if any(self.refuses(self, other) for other in self.listening):
            raise OSError("address already in use")

    def getsockname(self) -> tuple[str, int]:
        """Return the bound address."""
        return self.address

    def listen(self, _backlog: int = 0) -> None:
        """Block the address for other sockets."""
        self.listening.append(self)

    def close(self) -> None:
        """Release the address."""
        self.listening[:] = [each for each in self.listening if each is not self]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def of_windows(one: FakeSocket, other: FakeSocket) -> bool:
    """The same address is refused, unless the second socket asks to share it."""
    return one.address == other.address and not one.reuses


def of_bsd(one: FakeSocket, other: FakeSocket) -> bool:
    """The same address is refused; a wildcard beside 127.0.0.1 only where a socket does not set SO_REUSEADDR."""
    return one.address == other.address or not (one.reuses and other.reuses)


def network(monkeypatch: pytest.MonkeyPatch, rule: Rule) -> type[FakeSocket]:
    """Replace the sockets of the suite by sockets with this rule."""
    fake = type("Network", (FakeSocket,), {"refuses": staticmethod(rule), "listening": []})
    monkeypatch.setattr(socket, "socket", fake)
    return fake


@pytest.mark.parametrize("taken", ["127.0.0.1", "::1"])
def test_a_taken_port_of_windows_is_found(monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    """A port with a live listener cannot be bound on Windows, although SO_REUSEADDR would share it."""
    monkeypatch.setattr(observations, "SHARES_LIVE_PORTS", True)
    fake = network(monkeypatch, of_windows)
    assert observations.is_port_free(PORT)
    holder = fake()
    holder.bind((taken, PORT))
    holder.listen()
    assert not observations.is_port_free(PORT)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])  # noqa: S104 -- where a server would listen
@pytest.mark.parametrize("system", ["darwin", "freebsd14"])
def test_a_dummy_of_bsd_holds_its_port_everywhere(monkeypatch: pytest.MonkeyPatch, system: str, host: str) -> None:
    """On BSD a server that sets SO_REUSEADDR is refused at each address beside the dummy, the wildcards among them."""
    fake = network(monkeypatch, of_bsd)
    monkeypatch.setattr(sys, "platform", system)
    squatter_program.hold("banner", PORT)
    server = fake()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with pytest.raises(OSError, match="in use"):
        server.bind((host, PORT))


def test_a_wildcard_that_is_refused_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses a wildcard beside the dummy, it refuses it to a server as well."""
    fake = network(monkeypatch, lambda *_: True)
    monkeypatch.setattr(sys, "platform", "win32")
    squatter_program.hold("banner", PORT)
    assert [each.address for each in fake.listening] == [("127.0.0.1", PORT)]
