"""Takes a port over from a running instance: the other end of `offer`."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor.handover_socket import REPLY_S, connect, messages, receive, send, socket_path
from lumen_proxy.supervisor.instance_lock import FileLock, lock_path
from lumen_proxy.supervisor.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Cancelled:
    """The old supervisor is stopped by a signal, so the new one must not serve."""


class Predecessor:
    """The old supervisor, as the new one sees it. `listener` and `lock` are what it gave."""

    def __init__(self, connection: socket.socket, listener: Listener, lock: FileLock, restart_lock: int | None) -> None:
        self.listener = listener
        self.lock = lock
        self._connection = connection
        self._restart_lock = restart_lock
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()

    def watch(self, post: Callable[[Cancelled], object]) -> None:
        """Read its messages in a thread from now on, and post `Cancelled` if it is stopped."""
        threading.Thread(target=self._read, args=(post,), name="handover", daemon=True).start()

    def commit(self) -> bool:
        """Take the port over; False if the old supervisor is stopped. One that has died or is suspended does not count.

        A suspended one reads the commit when it continues.
        """
        with contextlib.suppress(OSError):
            send(self._connection, "commit")
        reply = "ended"
        with contextlib.suppress(queue.Empty):
            reply = self._replies.get(timeout=REPLY_S)
        if reply == "stopping":
            return False
        self.lock.write_holder()
        return True

    def close(self) -> None:
        """End the connection: the old supervisor closes its copy of the lock. Another restart may begin."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads
        self._connection.close()
        if self._restart_lock is not None:
            os.close(self._restart_lock)
            self._restart_lock = None

    def _read(self, post: Callable[[Cancelled], object]) -> None:
        with self._connection, contextlib.suppress(OSError):
            for message in messages(self._connection):
                if message.get("message") == "stopping":
                    post(Cancelled())
                self._replies.put(str(message.get("message")))
        self._replies.put("ended")


def take(state_dir: Path, port: int, instance: str, restart_lock: int | None = None) -> Predecessor:
    """Get the sockets and the lock of the instance on the port. Raises Fatal (70) if it does not give them.

    `restart_lock` is a descriptor that `close` closes: until then no other restart begins.
    """
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(connect(socket_path(state_dir, port)))
            send(connection, "take", instance=instance, pid=os.getpid())
            answer, descriptors = receive(connection)
        except OSError as error:
            problem = f"cannot take over port {port}: the proxy on it does not answer ({error.strerror or error})"
            raise Fatal(f"{problem}; run the command again", Exit.SOFTWARE) from error
        if answer.get("message") != "give" or len(descriptors) != 1 + len(answer.get("hosts", ())):
            raise Fatal(f"cannot take over port {port}: another command has stopped the proxy", Exit.SOFTWARE)
        stack.pop_all()
    connection.settimeout(None)
    lock = FileLock(lock_path(state_dir, port), descriptors[0], is_owner=False)
    sockets = tuple(socket.socket(fileno=descriptor) for descriptor in descriptors[1:])
    listener = Listener(sockets, tuple(answer["hosts"]), port, answer.get("note"))
    return Predecessor(connection, listener, lock, restart_lock)
