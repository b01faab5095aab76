"""The sockets of a process: ports, states and addresses, the same from the kernel and from psutil."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import psutil
import pytest

from lumen_conformance.ports import LOOPBACKS
from lumen_conformance.processes import socket_table
from lumen_conformance.processes.child_process import ChildProcess
from lumen_conformance.processes.external_connections import KINDS, list_external_addresses
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.processes.socket_table import OwnedSocket, list_sockets
from lumen_conformance.stages.observations import listening_ports


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Listening sockets, one of each family, with a connection of this process."""
    with ExitStack() as stack:
        made = []
        for family, host in LOOPBACKS:
            listener = stack.enter_context(socket.create_server((host, 0), family=family))
            stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
            made.append(listener)
        yield made


CHILD = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
MANY = 600  # the kernel sends 72 bytes and more for each, in messages of at most 32 KiB
# A protocol that no part of the kernel can tell of: it answers as a kernel does that lacks the part for TCP.
UNKNOWN = {"tcp": 250, "udp": 250}


@pytest.mark.parametrize("way", ["of-this-system", "of-another", "of-a-kernel-without-it"])
def test_sockets_of_a_process(listeners: list[socket.socket], monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A listening socket and a connected one are found with their ports and the address at the other end."""
    if way == "of-another":
        monkeypatch.setattr(sys, "platform", way)
    if way == "of-a-kernel-without-it":
        monkeypatch.setattr(socket_table, "PROTOCOLS", UNKNOWN)
    me = ProcessRef.of(os.getpid())
    found = list_sockets([me], KINDS)
    for listener in listeners:
        ip, port = listener.getsockname()[:2]
        assert [each.ref for each in found if each.listens and each.port == port] == [me]
        assert [each.remote_ip for each in found if each.remote_port == port] == [ip]
        assert [
            each.ref for each in socket_table.list_listening_sockets([me]) if port in {each.port, each.remote_port}
        ] == [me]


def test_loopback_is_not_external(listeners: list[socket.socket]) -> None:
    """Connections on this machine are not external."""
    assert listeners
    assert list_external_addresses([ProcessRef.of(os.getpid())]) == frozenset()


def test_a_process_that_has_ended_has_no_sockets(listeners: list[socket.socket]) -> None:
    """A process that has ended, or a PID that belongs to another now, has no sockets."""
    assert listeners
    nobody: list[OwnedSocket] = list_sockets([ProcessRef(os.getpid(), 0.0)])
    assert nobody == []


@pytest.mark.skipif(os.name == "nt", reason="Windows hands down no descriptors")
@pytest.mark.parametrize("platform", [sys.platform, "another"])
def test_sockets_of_a_family(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """A socket that a child has inherited belongs to both, parents first; one of the child alone does not."""
    monkeypatch.setattr(sys, "platform", platform)
    command = [sys.executable, "-c", CHILD]
    with (
        socket.create_server(("127.0.0.1", 0)) as shared,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[shared.fileno()]) as child,
    ):
        assert child.stdout
        own = int(child.stdout.readline())
        me, other = ProcessRef.of(os.getpid()), ProcessRef.of(child.pid)
        of_both = list_sockets([me, other])
        assert [each.ref for each in of_both if each.port == shared.getsockname()[1]] == [me, other]
        assert [each.ref for each in of_both if each.port == own] == [other]
        assert own not in {each.port for each in list_sockets([me])}
        child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is asked")
def test_more_sockets_than_one_message_holds() -> None:
    """A thousand sockets arrive from the kernel in several messages, and all of them are read."""
    with ExitStack() as stack:
        made = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(MANY)]
        ports = {each.getsockname()[1] for each in made}
        assert ports <= {each.port for each in list_sockets([ProcessRef.of(os.getpid())])}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is asked")
def test_a_look_at_the_ports_of_a_child_asks_the_kernel(
    listeners: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ports on which a child listens come from the kernel; no table of all connections is read."""
    asked = mock.Mock(side_effect=AssertionError("a table is read"))
    monkeypatch.setattr(psutil.Process, "net_connections", asked)
    monkeypatch.setattr(Path, "read_bytes", asked)
    child = mock.Mock(spec=ChildProcess, processes=lambda: (ProcessRef.of(os.getpid()),))
    assert {each.getsockname()[1] for each in listeners} <= set(listening_ports(child))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is asked")
def test_ended_connections_are_left_out() -> None:
    """The kernel leaves out connections in TIME_WAIT: a busy machine has thousands, which belong to no process."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.close()  # who closes first is the one that waits
        listener.accept()[0].close()
        port = listener.getsockname()[1].to_bytes(2)
        messages = list(socket_table._read_messages(socket.AF_INET, socket.IPPROTO_TCP, socket_table.ANY))  # noqa: SLF001 -- what is asked
    assert [message[1] for message in messages if port in {message[4:6], message[6:8]}] == [socket_table.LISTEN]
