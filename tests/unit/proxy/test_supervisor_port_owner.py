"""The owner of a port: the tables of Linux and psutil name the same processes."""

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

BOUND = {
    "127.0.0.1": socket.AF_INET,
    "0.0.0.0": socket.AF_INET,  # noqa: S104 - the wildcard is the case
    "::1": socket.AF_INET6,
    "::": socket.AF_INET6,
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these tables")


@pytest.mark.parametrize(
    ("bound", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - the wildcard is the case
        ("::1", "::1"),
        ("::", "127.0.0.1"),
        ("127.0.0.1", "::1"),
    ],
)
def test_linux_tables_and_psutil_agree(bound: str, asked: str) -> None:
    """Both sources name the same owner for a listener on one address, on a family, and on both families."""
    with socket.create_server((bound, 0), family=BOUND[bound], dualstack_ipv6=bound == "::") as server:
        port = server.getsockname()[1]
        assert port_owner.describe(asked, port) == port_owner.describe(asked, port, system="darwin")
        assert port_owner.find_with_ancestors([asked], port) == port_owner.find_with_ancestors(
            [asked], port, system="darwin"
        )
        is_there = bound in {asked, "::", "0.0.0.0"}  # noqa: S104 - the wildcard is the case
        assert (f"(pid {os.getpid()})" in port_owner.describe(asked, port)) is is_there


def test_a_connection_is_no_listener() -> None:
    """A bound socket and the ends of a connection are no listeners."""
    with socket.socket() as bound, socket.create_server(("127.0.0.1", 0)) as server:
        bound.bind(("127.0.0.1", 0))
        assert port_owner.describe("127.0.0.1", bound.getsockname()[1]) == "a process that does not listen"
        with socket.create_connection(server.getsockname()) as client:
            assert port_owner.describe("127.0.0.1", client.getsockname()[1]) == "a process that does not listen"


def test_a_port_of_few_digits_is_found(tmp_path: Path) -> None:
    """Port 80 is found as 0050, the format of the kernel table."""
    (tmp_path / "net").mkdir()
    row = "  0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100"
    (tmp_path / "net" / "tcp").write_text(f"  sl  local_address\n{row}\n", "utf-8")
    ip = "127.0.0.1" if sys.byteorder == "little" else "1.0.0.127"
    assert list(port_owner.listening_sockets(80, tmp_path)) == [(ip, "4242")]


def test_psutil_replaces_hidden_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the tables of the kernel cannot be read, psutil names the owner."""
    monkeypatch.setattr(port_owner, "listening_sockets", mock.Mock(side_effect=PermissionError))
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert f"(pid {os.getpid()})" in port_owner.describe("127.0.0.1", server.getsockname()[1])


def test_the_oldest_of_related_holders_is_named() -> None:
    """If a child inherited the socket, its parent is named."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, command = server.getsockname()[1], [sys.executable, "-c", "input()"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[server.fileno()]) as child:
            ((_, inode),) = port_owner.listening_sockets(port)
            assert sorted(port_owner.socket_holders(inode)) == sorted([os.getpid(), child.pid])
            assert port_owner.describe("127.0.0.1", port) == f"{psutil.Process().name()} (pid {os.getpid()})"
            child.kill()


def test_a_hidden_holder_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the descriptors of a listener cannot be read, no process is named."""
    holders = port_owner.socket_holders
    monkeypatch.setattr(port_owner, "socket_holders", lambda inode: holders(inode, tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = port_owner.describe("127.0.0.1", server.getsockname()[1])
    assert text == "a process that listens, owner not visible to this user"
