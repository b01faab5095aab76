"""Starts a worker process and posts its messages and its exit as events: one thread reads, one thread waits.

The supervisor writes commands to the worker's standard input and reads messages from its standard output; both are
lines of JSON. The worker exits when it reads end of file, which is how it notices any end of the supervisor.
"""

from __future__ import annotations

import contextlib
import errno
import io
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy import platform, safe_path
from lumen_proxy.ipc import Drain, Serve, encode, messages
from lumen_proxy.supervisor.stack_dump import StackDump

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from lumen_proxy.ipc import Identity, Message

WORKER = safe_path.command("lumen_proxy.worker")
LAST_MESSAGES_S = 1.0  # the pipe of an ended worker is at its end at once, unless a stray child holds the other end


@dataclass(frozen=True)
class WorkerMessage:
    """A worker sent `message`."""

    worker: WorkerProcess
    message: Message


@dataclass(frozen=True)
class WorkerExit:
    """A worker ended and was reaped. `status` is its exit status, or minus the signal that ended it."""

    worker: WorkerProcess
    status: int


class MessageLines(io.BufferedReader):
    """The output of a worker without the lines of a stack dump."""

    def __init__(self, pipe: io.RawIOBase, dump: StackDump) -> None:
        super().__init__(pipe)
        self._dump = dump

    def readline(self, size: int | None = -1, /) -> bytes:
        """The next line that is none of a dump."""
        while self._dump.add(line := super().readline(size)):
            pass
        return line


class WorkerProcess:
    """One worker process and its two pipes. Raises OSError if it, or a thread that watches it, cannot be started.

    `report` gets a line about each invalid message of the worker.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        sockets: Sequence[socket.socket],
        post: Callable[[WorkerMessage | WorkerExit], None],
        report: Callable[[str], object],
    ) -> None:
        with platform.stop_signals_blocked():
            self._process = subprocess.Popen(
                command,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                **platform.spawn_options(sockets),
            )
        self.pid = self._process.pid
        self.dump = StackDump()
        self._sockets = sockets
        self._post = post
        self._report = report
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        try:
            self._reader.start()
            self._waiter.start()
        except RuntimeError as error:  # a limit of threads, which also counts the processes of this user
            self._abandon()
            raise OSError(errno.EAGAIN, "no thread can be started") from error

    def promote(self, pid: int, identity: Identity) -> None:
        """Tell the worker to serve. `pid` comes from the worker: on Windows, Popen may know only a launcher's PID."""
        self.pid = pid
        with contextlib.suppress(OSError):  # Windows: the worker has already ended; its exit is the next event
            listeners = [platform.share_socket(sock, pid) for sock in self._sockets]
            self._send(Serve(**vars(identity), listeners=listeners))

    def drain(self, within_s: float, *, handed_over: bool = False) -> None:
        """Tell the worker to finish the requests in progress and to exit. See `Drain`."""
        self._send(Drain(within_s, handed_over))

    def process_state(self) -> str:
        """What the process does by the operating system, in the words of psutil: `stopped`, `running`, `sleeping`, …"""
        import psutil  # noqa: PLC0415 - 20 ms; most workers never hang

        try:
            return str(psutil.Process(self.pid).status())
        except psutil.Error:
            return "unknown"

    def request_dump(self) -> bool:
        """Ask the worker to write its stack into `dump`; return whether this system has a signal for that."""
        if number := platform.dump_signal():
            self._process.send_signal(number)
        return number is not None

    def kill(self) -> None:
        """Kill the worker and all its descendants. The exit of the worker is still an event."""
        if self._process.returncode is not None:
            return  # already reaped: the PID may belong to another process, and the event is on its way
        import psutil  # noqa: PLC0415 - 20 ms; most workers are never killed

        with contextlib.suppress(psutil.Error):
            for descendant in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    descendant.kill()
        self._process.kill()

    def end(self, within_s: float) -> None:
        """Kill the worker and its descendants, and wait at most this long for its end."""
        self.kill()
        self._waiter.join(within_s)

    def close(self) -> None:
        """Close the pipes of a worker that has ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not self._reader.is_alive():
                pipe.close()

    def _abandon(self) -> None:
        """End a process that no thread watches."""
        self._process.kill()
        self._process.wait()
        if self._reader.ident is not None:
            self._reader.join(LAST_MESSAGES_S)
        self.close()

    def _send(self, message: Message) -> None:
        pipe = self._process.stdin
        with contextlib.suppress(OSError, ValueError):  # the worker has just ended; the waiting thread posts that
            if pipe is not None:
                pipe.write(encode(message))

    def _read(self) -> None:
        pipe = self._process.stdout
        lines = MessageLines(pipe, self.dump) if isinstance(pipe, io.RawIOBase) else io.BytesIO()
        for message in messages(lines, lambda problem: self._report(f"{problem} (from worker {self.pid})")):
            self._post(WorkerMessage(self, message))
        lines.detach()

    def _wait(self) -> None:
        status = self._process.wait()
        self._reader.join(LAST_MESSAGES_S)
        self._post(WorkerExit(self, status))
