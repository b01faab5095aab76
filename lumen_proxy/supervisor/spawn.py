"""Starts workers and turns what happens to them into events: one thread reads, one waits.

The leash is a pair of pipes that carry JSON lines: commands down the worker's standard input, events
up its standard output. When we die, however we die, the worker reads end of file and leaves.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform, safe_path

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

WORKER = safe_path.command("lumen_proxy.worker")
LAST_WORDS_S = 1.0  # a dead worker's pipe is at its end at once, unless a stray child of it holds the other end
LINE_BYTES = 65_536  # far above any event; a line without end must not fill our memory


@dataclass(frozen=True)
class Said:
    """A worker wrote `message` on its leash; the key `event` names it."""

    child: Child
    message: dict[str, Any]


@dataclass(frozen=True)
class Died:
    """A worker is gone and reaped. `status` is its exit status, or minus the signal that ended it."""

    child: Child
    status: int


class Child:
    """One worker process and its leash. Raises OSError if it cannot be started."""

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

    def promote(self, pid: int, **facts: object) -> None:
        """Tell the worker to serve. `pid` is its own: on Windows we may only know a redirector's."""
        self.pid = pid
        with contextlib.suppress(OSError):  # Windows: it is gone already, and its death will be an event
            listeners = [platform.hand_over(sock, pid) for sock in self._sockets]
            self._send({"cmd": "serve", **facts, "listeners": listeners})

    def drain(self, within_s: float) -> None:
        """Tell the worker to finish what is in flight and to leave."""
        self._send({"cmd": "drain", "within_s": within_s})

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

    def _send(self, message: dict[str, Any]) -> None:
        pipe = self._process.stdin
        with contextlib.suppress(OSError, ValueError):  # it just died: the waiting thread will say so
            if pipe is not None:
                pipe.write(json.dumps(message).encode() + b"\n")

    def _read(self) -> None:
        pipe = self._process.stdout
        lines = io.BufferedReader(pipe) if isinstance(pipe, io.RawIOBase) else io.BytesIO()
        while line := lines.readline(LINE_BYTES):
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    self._post(Said(self, message))
        lines.detach()

    def _wait(self) -> None:
        status = self._process.wait()
        self._reader.join(LAST_WORDS_S)
        self._post(Died(self, status))
