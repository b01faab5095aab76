"""Who holds a port: the tables of Linux name the same processes as psutil does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from unittest import mock

import psutil
import pytest

from lumen_proxy.supervisor import port_owner

ASKED = ("127.0.0.1", "::1")
BOUND = {
    "127.0.0.1": socket.AF_INET,
    "0.0.0.0": socket.AF_INET,  # noqa: S104 - the wildcard is the case
    "::1": socket.AF_INET6,
    "::": socket.AF_INET6,
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these tables")


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("bound", BOUND)
def test_both_ways_name_the_same(bound: str, asked: str) -> None:
    """A listener on one address, on all of a family, or on both families, asked for by either loopback."""
    with socket.create_server((bound, 0), family=BOUND[bound], dualstack_ipv6=bound == "::") as server:
        port = server.getsockname()[1]
        assert port_owner.describe(asked, port) == port_owner.describe(asked, port, system="darwin")
        assert port_owner.find_with_ancestors([asked], port) == port_owner.find_with_ancestors(
            [asked], port, system="darwin"
        )
        is_there = bound in {asked, "::", "0.0.0.0"}  # noqa: S104 - the wildcard is the case
        assert (f"(pid {os.getpid()})" in port_owner.describe(asked, port)) is is_there


def test_who_only_has_a_connection_does_not_listen() -> None:
    """Neither a bound socket nor the two ends of a connection is a listener."""
    with socket.socket() as bound, socket.create_server(("127.0.0.1", 0)) as server:
        bound.bind(("127.0.0.1", 0))
        assert port_owner.describe("127.0.0.1", bound.getsockname()[1]) == "a process that does not listen"
        with socket.create_connection(server.getsockname()) as client:
            assert port_owner.describe("127.0.0.1", client.getsockname()[1]) == "a process that does not listen"


def test_a_port_of_few_digits_is_found(tmp_path: Path) -> None:
    """The table of the kernel has ports of four hexadecimal digits: port 80 is 0050."""
    (tmp_path / "net").mkdir()
    row = "  0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100"
    (tmp_path / "net" / "tcp").write_text(f"  sl  local_address\n{row}\n", "utf-8")
    ip = "127.0.0.1" if sys.byteorder == "little" else "1.0.0.127"
    assert list(port_owner.listening_sockets(80, tmp_path)) == [(ip, "4242")]


def test_hidden_tables_are_asked_of_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tables of the kernel cannot be read, psutil names the owner."""
    monkeypatch.setattr(port_owner, "listening_sockets", mock.Mock(side_effect=PermissionError))
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert f"(pid {os.getpid()})" in port_owner.describe("127.0.0.1", server.getsockname()[1])


def test_the_eldest_of_a_family_is_named() -> None:
    """A child that inherited the socket is a holder, and its parent is the one whose end ends it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, command = server.getsockname()[1], [sys.executable, "-c", "input()"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[server.fileno()]) as child:
            ((_, inode),) = port_owner.listening_sockets(port)
            assert sorted(port_owner.socket_holders(inode)) == sorted([os.getpid(), child.pid])
            assert port_owner.describe("127.0.0.1", port) == f"{psutil.Process().name()} (pid {os.getpid()})"
            child.kill()


def test_a_hidden_holder_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another user's descriptors cannot be read: somebody listens, and nobody can be named."""
    holders = port_owner.socket_holders
    monkeypatch.setattr(port_owner, "socket_holders", lambda inode: holders(inode, tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = port_owner.describe("127.0.0.1", server.getsockname()[1])
    assert said == "a process that listens, owner not visible to this user"
