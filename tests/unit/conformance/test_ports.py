"""A reserved port is never given to another test, and a server can still use it."""

import socket
import struct
import sys

import pytest

from lumen_conformance.ports import FIRST_PORT, PORTS_PER_WORKER, _from_range, reserved_port
from lumen_conformance.stages.observations import is_port_free

IP_LOCAL_PORT_RANGE = 51  # linux/in.h, since Linux 6.3: the ephemeral range of one socket
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port comes from a range of the worker")


def narrowed_to(port: int) -> socket.socket:
    """A socket for which the system may choose this one port only; skips where the kernel is too old."""
    sock = socket.socket()
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port << 16 | port))
    except OSError:
        sock.close()
        pytest.skip("the kernel is older than 6.3")
    return sock


@linux
@pytest.mark.parametrize("sharing", [0, 1], ids=["exclusive", "SO_REUSEADDR"])
def test_nobody_is_given_a_reserved_port(sharing: int) -> None:
    """The system has no port to give when the reserved one is the only one it may choose."""
    with reserved_port() as port, narrowed_to(port) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sharing)
        with pytest.raises(OSError, match="in use"):
            sock.bind(("127.0.0.1", 0))


@linux
def test_nobody_connects_out_from_a_reserved_port() -> None:
    """Outgoing connections do not get it either."""
    with (
        reserved_port() as port,
        narrowed_to(port) as sock,
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(OSError, match="assign requested address"),
    ):
        sock.connect(server.getsockname())


@linux
def test_control_without_reservation() -> None:
    """The same port is given when nobody holds it: the two tests above prove the reservation."""
    with reserved_port() as port:
        pass
    with narrowed_to(port) as sock:
        sock.bind(("127.0.0.1", 0))
        assert sock.getsockname()[1] == port


def test_server_can_use_a_reserved_port() -> None:
    """A server that shares addresses, as nearly all do, listens beside the reservation, again and again."""
    with reserved_port() as port:
        assert is_port_free(port)
        assert is_port_free(port)


def test_range_is_its_workers_own() -> None:
    """Where holding does not work, two workers draw from ranges that do not overlap."""
    first, second = {_from_range("gw0") for _ in range(5)}, {_from_range("gw1") for _ in range(5)}
    assert all(FIRST_PORT <= port < FIRST_PORT + PORTS_PER_WORKER <= other for port in first for other in second)
    assert len(first) == 5
