"""A reserved port is not assigned to another socket, and a server can use it."""

import socket
import struct
import sys

import pytest

from lumen_conformance.ports import FIRST_PORT, PORTS_PER_WORKER, _from_range, reserved_port
from lumen_conformance.stages.observations import is_port_free

IP_LOCAL_PORT_RANGE = 51  # linux/in.h, since Linux 6.3: the ephemeral range of one socket
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port comes from a range of the worker")


def socket_limited_to(port: int) -> socket.socket:
    """Return a socket to which the system can assign only this port; skip the test where the kernel is too old."""
    sock = socket.socket()
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port << 16 | port))
    except OSError:
        sock.close()
        pytest.skip("the kernel is older than 6.3")
    return sock


@linux
@pytest.mark.parametrize("sharing", [0, 1], ids=["exclusive", "SO_REUSEADDR"])
def test_port_0_never_assigns_a_reserved_port(sharing: int) -> None:
    """A bind to port 0 fails when the reserved port is the only one that the system can assign."""
    with reserved_port() as port, socket_limited_to(port) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sharing)
        with pytest.raises(OSError, match="in use"):
            sock.bind(("127.0.0.1", 0))


@linux
def test_outgoing_connections_never_use_a_reserved_port() -> None:
    """An outgoing connection fails when the reserved port is the only one that the system can assign."""
    with (
        reserved_port() as port,
        socket_limited_to(port) as sock,
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(OSError, match="assign requested address"),
    ):
        sock.connect(server.getsockname())


@linux
def test_an_unreserved_port_is_assigned() -> None:
    """The port is assigned when it is not reserved, so the two tests above prove the reservation."""
    with reserved_port() as port:
        pass
    with socket_limited_to(port) as sock:
        sock.bind(("127.0.0.1", 0))
        assert sock.getsockname()[1] == port


def test_server_can_use_a_reserved_port() -> None:
    """A server that sets SO_REUSEADDR can bind and listen on a reserved port, several times in turn."""
    with reserved_port() as port:
        assert is_port_free(port)
        assert is_port_free(port)


def test_ranges_of_workers_do_not_overlap() -> None:
    """Where a port cannot be reserved, two workers use ranges that do not overlap."""
    first, second = {_from_range("gw0") for _ in range(5)}, {_from_range("gw1") for _ in range(5)}
    assert all(FIRST_PORT <= port < FIRST_PORT + PORTS_PER_WORKER <= other for port in first for other in second)
    assert len(first) == 5
