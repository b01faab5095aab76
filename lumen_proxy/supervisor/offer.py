"""Hands a port from a running instance to a new one, without a moment in which a connection is refused.

Both talk over a Unix socket in the state directory, in lines of JSON. Each checks that the other has the same user.

    new supervisor       old supervisor
    take              ->
                      <- give, with copies of the lock and of the listening sockets
    (boots its worker, which accepts from the shared backlog)
    commit            ->
                      <- released: the old one writes no file any more, and its worker stops accepting
    (writes the state file, closes the connection)

The old one serves until the commit; if the connection ends before, nothing has changed. It sends `stopping` instead if
a signal stops it: then the new one ends, too. If it dies, the new one has all that it needs. The lock belongs to the
open file (see `instance_lock`), so it is held all the time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy import platform
from lumen_proxy.supervisor.handover_socket import is_same_user, messages, send, short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lumen_proxy.supervisor.instance_lock import FileLock
    from lumen_proxy.supervisor.listener import Listener


@dataclass(frozen=True)
class TakeOver:
    """A new supervisor asks for the port."""

    successor: Successor


@dataclass(frozen=True)
class Commit:
    """A new supervisor serves."""

    successor: Successor


@dataclass(frozen=True)
class Left:
    """The connection to a new supervisor has ended."""

    successor: Successor


OfferEvent = TakeOver | Commit | Left


class Successor:
    """A new supervisor, as the old one sees it. Messages to one that has ended are dropped."""

    def __init__(self, connection: socket.socket, instance: str, pid: int) -> None:
        self.instance = instance
        self.pid = pid
        self._connection = connection

    def send(self, message: str, descriptors: Sequence[int] = (), **fields: object) -> None:
        """Send one message."""
        with contextlib.suppress(OSError):
            send(self._connection, message, descriptors, **fields)


class Offer:
    """Offers the port of this instance to new supervisors. Their requests are events for the loop."""

    def __init__(
        self, path: Path, listener: Listener, lock: FileLock, instance: str, post: Callable[[OfferEvent], object]
    ) -> None:
        self._path = path
        self._listener = listener
        self._lock = lock
        self._instance = instance
        self._post = post
        self._server: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._file: os.stat_result | None = None  # of the socket at the path
        self._successor: Successor | None = None

    def open(self) -> None:
        """Accept new supervisors. Where that is impossible, `restart` stops the instance before it starts another."""
        if not platform.can_pass_descriptors():
            return
        with contextlib.suppress(OSError, RuntimeError):  # also a limit of descriptors or threads: see `restore`
            self._path.unlink(missing_ok=True)  # of an instance that was killed: the lock is ours
            self._server = server = self._listen()
            self._file = self._path.stat()
            self._thread = threading.Thread(target=self._accept, args=(server,), name="handover", daemon=True)
            self._thread.start()

    def restore(self) -> None:
        """Open the offer again if its socket was deleted, or if it has ended at a limit of descriptors or threads."""
        if self._lock.is_owner and not self._is_open():
            self.close()
            self.open()

    def _is_open(self) -> bool:
        with contextlib.suppress(OSError):
            is_ours = self._file is not None and os.path.samestat(self._path.stat(), self._file)
            return is_ours and self._thread is not None and self._thread.is_alive()
        return False

    def _listen(self) -> socket.socket:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            with short_name(self._path) as name:
                server.bind(name)
            self._path.chmod(0o600)
            server.listen()
            stack.pop_all()
        return server

    def give(self, successor: Successor) -> None:
        """Send copies of the lock and the sockets. One new supervisor at a time gets them."""
        if self._successor is not None:
            self.refuse(successor)
            return
        self._successor = successor
        sockets = self._listener.sockets
        successor.send(
            "give",
            [self._lock.fileno(), *(sock.fileno() for sock in sockets)],
            instance=self._instance,
            port=self._listener.port,
            hosts=self._listener.hosts,
            note=self._listener.note,
        )

    def has_given(self, successor: Successor) -> bool:
        """Whether this new supervisor has the sockets."""
        return successor is self._successor

    def refuse(self, successor: Successor) -> None:
        """Tell a new supervisor that this instance ends, so that it must not serve."""
        successor.send("stopping")

    def withdraw(self) -> None:
        """Tell the new supervisor that has the sockets, but not the port yet, that this instance is stopped."""
        if self._successor is not None and self._lock.is_owner:
            self.refuse(self._successor)

    def release(self, successor: Successor) -> None:
        """Let the new supervisor own the port and the files. This process keeps its copy of the lock for a moment."""
        self._lock.is_owner = False
        self._listener.close()
        self.close()
        successor.send("released")

    def forget(self, successor: Successor) -> bool:
        """The connection to a new supervisor has ended; return True if it has failed while it had the sockets."""
        if not self.has_given(successor):
            return False
        self._successor = None
        if self._lock.is_owner:
            return True
        self._lock.drop_copy()
        return False

    def close(self) -> None:
        """Stop accepting new supervisors. The path of an owner is its own; another one may have replaced it."""
        if self._server is not None:
            with contextlib.suppress(OSError):  # macOS, for a socket that only listens
                self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread on Linux
            self._server.close()
            self._server = None
            if self._lock.is_owner:
                with contextlib.suppress(OSError):  # the next instance replaces it
                    self._path.unlink()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # the socket is closed; no descriptor or thread: see `restore`
            while True:
                connection, _ = server.accept()
                try:
                    threading.Thread(target=self._read, args=(connection,), name="handover", daemon=True).start()
                except RuntimeError:
                    connection.close()
                    raise

    def _read(self, connection: socket.socket) -> None:
        successor = None
        with connection, contextlib.suppress(OSError):
            for message in messages(connection) if is_same_user(connection) else ():
                match message:
                    case {"message": "hello"}:
                        send(connection, "hello", instance=self._instance)
                    case {"message": "take", "instance": str(instance), "pid": int(pid)} if successor is None:
                        successor = Successor(connection, instance, pid)
                        self._post(TakeOver(successor))
                    case {"message": "commit"} if successor is not None:
                        self._post(Commit(successor))
        if successor is not None:
            self._post(Left(successor))
