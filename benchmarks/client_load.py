"""Clients that ask a server without a pause, each question on a new connection, and what became of each question.

One thread serves all clients by a selector, so that the times are those of the sockets and not those of sixteen threads
that wait for each other. Times are seconds of the monotonic clock. A question is in flight from its first byte sent to
its last byte received.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self

HOST: Final = "127.0.0.1"
READ_BYTES: Final = 65_536
REFUSED_PAUSE_S: Final = 0.01  # a client that is refused tries again; without a pause it would count its own speed
PATIENCE_S: Final = 15.0  # four times the longest restart of the servers, 3.6 s under load; then a client asks again
TICK_S: Final = 0.05  # how soon the thread notices that it has to stop

End = Literal["answered", "refused", "cut", "error", "timed out", "stopped"]


@dataclass(frozen=True, slots=True)
class LoadQuestion:
    """One question; ``sent_s`` is None when no byte of it was sent."""

    connected_s: float
    sent_s: float | None
    ended_s: float
    end: End
    status: int | None = None

    def is_connected(self, from_s: float, until_s: float) -> bool:
        """Return whether its connection was open, or about to be, at any time between these two."""
        return self.connected_s <= until_s and self.ended_s >= from_s

    def is_in_flight(self, from_s: float, until_s: float) -> bool:
        """Return whether it was in flight at any time between these two."""
        return self.sent_s is not None and self.sent_s <= until_s and self.ended_s >= from_s


@dataclass(slots=True)
class _Call:
    """A question that has not ended."""

    sock: socket.socket
    connected_s: float
    sent_s: float | None = None
    received: bytes = b""


@dataclass(slots=True)
class _Client:
    call: _Call | None = None
    next_s: float = 0.0


def read_status(received: bytes) -> int | None:
    """Return the status of a complete response; None when bytes of it are missing."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    lines = head.lower().split(b"\r\n")
    fields = dict(line.split(b":", 1) for line in lines[1:] if b":" in line)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        is_complete = body.endswith(b"0\r\n\r\n")
    else:
        is_complete = len(body) >= int(fields.get(b"content-length", b"-1")) >= 0
    return int(lines[0].split(b" ")[1]) if is_complete else None


@dataclass
class ClientLoad:
    """So many clients on one port, from ``with`` to its end; ``questions`` has those that have ended."""

    port: int
    request: bytes
    clients: int = 16
    patience_s: float = PATIENCE_S
    questions: list[LoadQuestion] = field(default_factory=list)
    _clients: list[_Client] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def wait_answer(self, since_s: float, within_s: float) -> float | None:
        """Return the seconds from then until the first answer to a question that was sent after it; None: none came."""
        seen = 0
        found: list[float] = []

        def has_arrived() -> bool:
            nonlocal seen
            while seen < len(self.questions) and not found:
                each, seen = self.questions[seen], seen + 1
                if each.end == "answered" and each.sent_s is not None and each.sent_s >= since_s:
                    found.append(each.ended_s - since_s)
            return bool(found)

        with self._ended:
            self._ended.wait_for(has_arrived, within_s)
        return found[0] if found else None

    def count_in_flight(self) -> int:
        """Return how many questions are in flight now."""
        calls = [client.call for client in self._clients]
        return sum(call is not None and call.sent_s is not None for call in calls)

    def _run(self) -> None:
        self._clients = clients = [_Client() for _ in range(self.clients)]
        with selectors.DefaultSelector() as selector:
            while not self._stopping.is_set():
                for client in clients:
                    if client.call is None and client.next_s <= time.monotonic():
                        self._connect(selector, client)
                for key, _ in selector.select(REFUSED_PAUSE_S):
                    self._advance(selector, key.data)
                for client in clients:
                    if client.call and time.monotonic() > client.call.connected_s + self.patience_s:
                        self._end(selector, client, "timed out")
            for client in clients:
                if client.call:
                    self._end(selector, client, "stopped")

    def _connect(self, selector: selectors.BaseSelector, client: _Client) -> None:
        sock = socket.socket()
        sock.settimeout(0)
        client.call = _Call(sock, time.monotonic())
        selector.register(sock, selectors.EVENT_WRITE, client)
        code = sock.connect_ex((HOST, self.port))
        if code not in {0, errno.EINPROGRESS}:
            self._end(selector, client, "refused")
            return
        self._advance(selector, client)  # on loopback it is connected by now, and the first byte follows at once

    def _advance(self, selector: selectors.BaseSelector, client: _Client) -> None:
        call = client.call
        if call is None:
            return
        try:
            if call.sent_s is None:
                self._send(selector, client, call)
            else:
                self._receive(selector, client, call)
        except OSError as error:
            self._end(selector, client, "refused" if isinstance(error, ConnectionRefusedError) else "cut")

    def _send(self, selector: selectors.BaseSelector, client: _Client, call: _Call) -> None:
        if call.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end(selector, client, "refused")
            return
        sent_s = time.monotonic()
        with contextlib.suppress(BlockingIOError):  # not connected yet: again when it is writable
            call.sock.sendall(self.request)  # less than the buffer of a socket
            call.sent_s = sent_s
        if call.sent_s is None:
            return
        selector.modify(call.sock, selectors.EVENT_READ, client)

    def _receive(self, selector: selectors.BaseSelector, client: _Client, call: _Call) -> None:
        data = call.sock.recv(READ_BYTES)
        call.received += data
        status = read_status(call.received)
        if status is not None:
            self._end(selector, client, "answered" if status == 200 else "error", status)
        elif not data:
            self._end(selector, client, "cut")

    def _end(self, selector: selectors.BaseSelector, client: _Client, end: End, status: int | None = None) -> None:
        call = client.call
        assert call
        ended_s = time.monotonic()
        selector.unregister(call.sock)
        call.sock.close()
        client.call, client.next_s = None, ended_s + (REFUSED_PAUSE_S if end == "refused" else 0)
        with self._ended:
            self.questions.append(LoadQuestion(call.connected_s, call.sent_s, ended_s, end, status))
            self._ended.notify_all()


def list_in_flight(questions: Sequence[LoadQuestion], from_s: float, until_s: float) -> list[LoadQuestion]:
    """Return the questions that were in flight at any time between these two."""
    return [each for each in questions if each.is_in_flight(from_s, until_s)]
