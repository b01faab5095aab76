"""The sockets of a few processes on a machine with many connections.

On Linux they come from the kernel in one request, by the interface of ``ss`` (sock_diag). The files of /proc/net also
have a line for each connection that ended within the last minute: it takes tens of milliseconds to read them. On other
systems the sockets come from psutil.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import psutil

from lumen_conformance.processes.process_tree import ProcessRef

LISTEN, TIME_WAIT, CLOSING = 10, 6, 11  # of net/tcp_states.h, the last of them
ANY: Final = sum(1 << state for state in range(1, CLOSING + 1) if state != TIME_WAIT)  # no process has those
LISTENING: Final = 1 << LISTEN  # the kernel has a short table of these alone
SOCK_DIAG: Final = 4  # NETLINK_SOCK_DIAG of linux/netlink.h
SOCK_DIAG_BY_FAMILY, REQUEST_DUMP = 20, 0x301  # of linux/sock_diag.h; NLM_F_REQUEST | NLM_F_DUMP
ERROR, DONE = 2, 3  # NLMSG_ERROR and NLMSG_DONE
HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, number, port
REQUEST: Final = struct.Struct("=BBBxI48x")  # inet_diag_req_v2: family, protocol, extensions, states, no socket
# inet_diag_msg: family, state, ports, addresses, and the inode at its end; what is left out is not needed.
SOCKET: Final = struct.Struct("=BB2x2s2s16x16s28xI")
STATUS: Final = struct.Struct("=i")  # behind the header of an end: 0, or an error number below
READ_BYTES: Final = 262_144  # more than the kernel sends at once
PROTOCOLS: Final = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}


@dataclass(frozen=True)
class OwnedSocket:
    """A socket and a process that has it; ``remote_port`` 0: it is not connected."""

    ref: ProcessRef
    port: int
    listens: bool
    remote_ip: str = ""
    remote_port: int = 0


def list_listening_sockets(refs: Iterable[ProcessRef]) -> list[OwnedSocket]:
    """Return the listening TCP sockets of these processes, in the order of the processes."""
    return [each for each in list_sockets(refs, states=LISTENING) if each.listens]


def list_sockets(
    refs: Iterable[ProcessRef], kinds: tuple[str, ...] = ("tcp", "tcp6"), states: int = ANY
) -> list[OwnedSocket]:
    """Return the sockets of these processes, in the order of the processes; none for a process that cannot be read.

    `states` limits the answer of the kernel; psutil gives all sockets.
    """
    known = tuple(ref for ref in refs if ref.process())
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a kernel without this interface
            return sorted(_read_from_kernel(known, kinds, states), key=lambda each: known.index(each.ref))
    return [each for ref in known for each in _read_from_psutil(ref, kinds)]


def _read_from_kernel(refs: tuple[ProcessRef, ...], kinds: tuple[str, ...], states: int) -> Iterator[OwnedSocket]:
    owners: dict[int, list[ProcessRef]] = {}
    for ref in refs:
        for inode in _list_inodes(ref.pid):
            owners.setdefault(inode, []).append(ref)
    for kind in kinds if owners else ():
        family = socket.AF_INET6 if kind.endswith("6") else socket.AF_INET
        for message in _read_messages(family, PROTOCOLS[kind.rstrip("6")], states):
            _, state, port, remote_port, remote, inode = SOCKET.unpack_from(message)
            for ref in owners.get(inode, ()):
                ip = socket.inet_ntop(family, remote[: 4 if family == socket.AF_INET else 16])
                yield OwnedSocket(ref, int.from_bytes(port), state == LISTEN, ip, int.from_bytes(remote_port))


def _read_messages(family: int, protocol: int, states: int) -> Iterator[bytes]:
    """Yield the message of the kernel for each socket of this kind; raises OSError where the kernel has none."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as sock:
        request = REQUEST.pack(family, protocol, 0, states)
        sock.send(HEADER.pack(HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 0, 0) + request)
        while data := sock.recv(READ_BYTES):
            while data:
                length, kind, *_ = HEADER.unpack_from(data)
                # A kernel without a module for this protocol ends with an error number (sock_diag(7)).
                if kind == ERROR or (kind == DONE and STATUS.unpack_from(data, HEADER.size) < (0,)):
                    raise OSError("the kernel gives no sockets by sock_diag")
                if kind == DONE:
                    return
                yield data[HEADER.size : length]
                data = data[length + -length % 4 :]  # each begins at a multiple of four bytes


def _list_inodes(pid: int) -> Iterator[int]:
    """Yield the inode numbers of the open sockets of a process."""
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as descriptors:
        for each in descriptors:
            with contextlib.suppress(OSError):
                kind, _, inode = os.readlink(each.path).partition(":[")  # noqa: PTH115 -- the link has no path
                if kind == "socket":
                    yield int(inode.rstrip("]"))


def _read_from_psutil(ref: ProcessRef, kinds: tuple[str, ...]) -> Iterator[OwnedSocket]:
    process = ref.process()
    with contextlib.suppress(psutil.Error):
        for one in process.net_connections("inet" if "udp" in kinds else "tcp") if process else ():
            remote = (one.raddr.ip, one.raddr.port) if one.raddr else ("", 0)
            yield OwnedSocket(ref, one.laddr.port if one.laddr else 0, one.status == psutil.CONN_LISTEN, *remote)
