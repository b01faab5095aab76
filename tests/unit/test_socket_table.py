"""The sockets of a process: ports, states and addresses, from the table of the kernel and from psutil alike."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import psutil
import pytest

from tests.fixtures.children import Child
from tests.fixtures.observations import listening_ports
from tests.fixtures.outside import KINDS, addresses
from tests.fixtures.ports import LOOPBACKS
from tests.fixtures.proctree import ProcessRef
from tests.fixtures.socket_table import Held, held, read_listening


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """A socket of each family that listens and is connected to by this process."""
    with ExitStack() as stack:
        made = []
        for family, host in LOOPBACKS:
            listener = stack.enter_context(socket.create_server((host, 0), family=family))
            stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
            made.append(listener)
        yield made


@pytest.mark.parametrize("platform", [sys.platform, "another"])
def test_sockets_of_a_process(listeners: list[socket.socket], monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """A listening socket and a connected one are found with their ports and the address at the other end."""
    monkeypatch.setattr(sys, "platform", platform)
    me = ProcessRef.of(os.getpid())
    found = held([me], KINDS)
    for listener in listeners:
        ip, port = listener.getsockname()[:2]
        assert [each.ref for each in found if each.listens and each.port == port] == [me]
        assert [each.remote_ip for each in found if each.remote_port == port] == [ip]
    assert held([me], KINDS, listening=True) == [each for each in found if each.listens]


def test_loopback_is_not_outside(listeners: list[socket.socket]) -> None:
    """Connections on this machine are none beyond it."""
    assert listeners
    assert addresses([ProcessRef.of(os.getpid())]) == frozenset()


def test_who_has_ended_has_none() -> None:
    """A process that has ended, or a PID that belongs to another now, has no sockets."""
    nobody: list[Held] = held([ProcessRef(os.getpid(), 0.0)])
    assert nobody == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is asked")
def test_a_look_at_the_ports_of_a_child_reads_the_table_once(
    listeners: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ports on which a child listens come from the table of the kernel, which is not parsed for each process."""
    asked = mock.Mock(side_effect=AssertionError("a process is asked"))
    monkeypatch.setattr(psutil.Process, "net_connections", asked)
    child = mock.Mock(spec=Child, family=lambda: (ProcessRef.of(os.getpid()),))
    assert {each.getsockname()[1] for each in listeners} <= set(listening_ports(child))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is asked")
def test_connections_cost_nothing_when_listeners_are_looked_for(listeners: list[socket.socket]) -> None:
    """Of a table with a hundred connections, the rows after the last listening socket are not read."""
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(listeners[0].getsockname()[:2]))
        read = read_listening(Path("/proc/net/tcp"))
    rows = read.splitlines()
    assert rows
    assert {row.split()[3] for row in rows} == {b"0A"}
