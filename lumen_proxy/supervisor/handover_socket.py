"""The Unix socket of a handover: messages between an old and a new supervisor, in lines of JSON.

Both check that the other process has the same user. See `offer` for the messages.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform
from lumen_proxy.wire.text import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROTOCOL = 1  # of the messages; a supervisor that speaks another one is not understood
REPLY_S = 5.0  # a supervisor that is not suspended answers within milliseconds
ADDRESS_BYTES = 104  # the shortest limit of sun_path, with its final zero: macOS; Linux has 108
LINE_BYTES = 4096
MAX_DESCRIPTORS = 8  # the lock, and one socket for each loopback


def socket_path(state_dir: Path, port: int) -> Path:
    """The Unix socket of the instance on a port."""
    return state_dir / f"handover-{port}.sock"


@contextlib.contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name of the path that fits into the address of a socket: a long one goes through a symbolic link."""
    if len(os.fsencode(path)) < ADDRESS_BYTES:
        yield str(path)
        return
    import tempfile  # noqa: PLC0415 - 10 ms; few paths are that long

    with tempfile.TemporaryDirectory(prefix="lumen-") as folder:
        link = Path(folder) / "state"
        link.symlink_to(path.parent.resolve(), target_is_directory=True)
        yield str(link / path.name)


def send(connection: socket.socket, message: str, descriptors: Sequence[int] = (), **fields: object) -> None:
    """Send one message, with copies of descriptors. Raises OSError."""
    line = json.dumps({"message": message, "protocol": PROTOCOL, **fields}).encode() + b"\n"
    socket.send_fds(connection, [line], descriptors)


def is_same_user(connection: socket.socket) -> bool:
    """True if the process at the other end has the user of this one."""
    return platform.peer_user(connection) == os.geteuid()


def connect(path: Path) -> socket.socket:
    """A connection to the instance that offers its port. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(REPLY_S)
        with short_name(path) as name:
            connection.connect(name)
        if not is_same_user(connection):
            raise PermissionError(f"another user listens at {path}")
    except OSError:
        connection.close()
        raise
    return connection


def messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """The messages of this protocol until the end of the connection. Raises OSError."""
    with connection.makefile("rb") as lines:
        while line := lines.readline(LINE_BYTES):
            message = json_object(line)
            if message.get("protocol") == PROTOCOL:
                yield message


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The first message, and the descriptors that came with it. Raises OSError."""
    line, descriptors = b"", list[int]()
    while not line.endswith(b"\n"):
        data, received, _, _ = socket.recv_fds(connection, LINE_BYTES, MAX_DESCRIPTORS)
        descriptors += received
        if not data:
            break
        line += data
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - its only form
    return json_object(line), descriptors


def is_offered(path: Path, instance: str) -> bool:
    """True if this instance hands its port over now. A suspended one, and one of an older release, does not."""
    if not platform.can_pass_descriptors():
        return False
    with contextlib.suppress(OSError), connect(path) as connection:
        send(connection, "hello")
        return next(messages(connection), {}).get("instance") == instance
    return False
