"""Starts workers and turns what happens to them into events: one thread reads, one waits.

They exchange the messages of `lumen_proxy.ipc` on the worker's standard input and output. When the supervisor ends in
any way, the worker reads the end of its input and ends.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy import platform, safe_path
from lumen_proxy.ipc import Drain, Serve, encode, messages

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from lumen_proxy.ipc import Identity, Message

WORKER = safe_path.command("lumen_proxy.worker")
LAST_WORDS_S = 1.0  # a dead worker's pipe is at its end at once, unless a stray child of it holds the other end


@dataclass(frozen=True)
class Said:
    """A worker sent `message`."""

    child: Child
    message: Message


@dataclass(frozen=True)
class Died:
    """A worker is gone and reaped. `status` is its exit status, or minus the signal that ended it."""

    child: Child
    status: int


class Child:
    """One worker process and its pipes. Raises OSError if it cannot be started."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        sockets: Sequence[socket.socket],
        post: Callable[[Said | Died], None],
    ) -> None:
        with platform.signals_held_back():
            self._process = subprocess.Popen(
                command,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                **platform.spawn_options(sockets),
            )
        self.pid = self._process.pid
        self._sockets = sockets
        self._post = post
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, daemon=True).start()

    def promote(self, pid: int, identity: Identity) -> None:
        """Tell the worker to serve. `pid` is its own: on Windows Popen may know that of a launcher only."""
        self.pid = pid
        with contextlib.suppress(OSError):  # Windows: it is gone already, and its death will be an event
            listeners = [platform.hand_over(sock, pid) for sock in self._sockets]
            self._send(Serve(**vars(identity), listeners=listeners))

    def drain(self, within_s: float) -> None:
        """Tell the worker to finish what is in flight and to leave."""
        self._send(Drain(within_s))

    def kill(self) -> None:
        """End the worker and everything it started, at once. Its death is still an event."""
        if self._process.returncode is not None:
            return  # reaped, so its number may be a stranger's by now; the event of its death is on its way
        import psutil  # noqa: PLC0415 - 20 ms; most workers are never killed

        with contextlib.suppress(psutil.Error):
            for descendant in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    descendant.kill()
        self._process.kill()

    def close(self) -> None:
        """Give back the pipes of a worker that is gone."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not self._reader.is_alive():
                pipe.close()

    def _send(self, message: Message) -> None:
        pipe = self._process.stdin
        with contextlib.suppress(OSError, ValueError):  # it just died: the waiting thread will say so
            if pipe is not None:
                pipe.write(encode(message))

    def _read(self) -> None:
        pipe = self._process.stdout
        lines = io.BufferedReader(pipe) if isinstance(pipe, io.RawIOBase) else io.BytesIO()
        for message in messages(lines):
            self._post(Said(self, message))
        lines.detach()

    def _wait(self) -> None:
        status = self._process.wait()
        self._reader.join(LAST_WORDS_S)
        self._post(Died(self, status))
