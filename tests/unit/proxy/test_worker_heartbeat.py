"""The heartbeat of a worker: the serving loop sends it, whatever the threads do that answer requests."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack
from io import BytesIO

import pytest

from lumen_conformance.waiting import until
from lumen_proxy.config import load
from lumen_proxy.ipc import Beat, SupervisorPipes, encode
from lumen_proxy.worker.limits import server_limits
from tests.unit.proxy.raw_server import THREADS, WITHIN_S, all_of, connect, head, run_server

BEAT_S = 0.05  # far below the quarter of a second that an idle loop waits for connections


class Beats:
    """Counts heartbeats and remembers the threads that sent them."""

    def __init__(self) -> None:
        self.count = 0
        self.senders: set[int | None] = set()

    def send(self) -> None:
        """Record one."""
        self.count += 1
        self.senders.add(threading.get_ident())

    def until_more(self) -> None:
        """Wait for ten more."""
        wanted = self.count + 10
        until("ten more heartbeats", lambda: self.count >= wanted, within_s=WITHIN_S)


def test_an_idle_server_beats() -> None:
    """The loop alone sends heartbeats, so a loop that is stuck sends none."""
    beats = Beats()
    with run_server(beat_s=BEAT_S, on_beat=beats.send) as served:
        beats.until_more()
        assert beats.senders == {served.thread.ident}


def test_a_long_turn_does_not_stop_heartbeats() -> None:
    """A heartbeat that is due is also sent before a connection is read, not only once a turn."""
    callers: set[str] = set()

    def send() -> None:
        callers.add(sys._getframe(2).f_code.co_name)  # noqa: SLF001 - the caller of `send_if_due`

    with run_server(beat_s=0.0, on_beat=send) as served, connect(served) as client:
        client.sendall(head("Content-Length: 0"))
        assert client.recv(1)
    assert {"_turn", "handle_read"} <= callers


@pytest.mark.parametrize("path", ["/wait", "/compute"])
def test_busy_threads_do_not_stop_heartbeats(path: str) -> None:
    """Each thread waits as for a slow gateway, or computes; more requests wait for a thread."""
    beats = Beats()
    with run_server(beat_s=BEAT_S, on_beat=beats.send) as served, ExitStack() as connections:
        for _ in range(2 * THREADS):
            connections.enter_context(connect(served)).sendall(head("Content-Length: 0", target=path))
        served.started.wait(WITHIN_S)
        beats.until_more()


def test_a_large_body_does_not_stop_heartbeats() -> None:
    """They come while a client sends a body that is refused, and while another one does not read its answer."""
    beats = Beats()
    with run_server(beat_s=BEAT_S, on_beat=beats.send) as served, connect(served) as unread, connect(served) as sender:
        unread.sendall(head("Content-Length: 0", target="/large"))
        sender.sendall(head("Content-Length: 8000000"))
        for _ in range(8):
            sender.sendall(b"x" * 1_000_000)
        beats.until_more()
        assert all_of(sender).startswith(b"HTTP/1.1 413 ")


def test_a_drain_does_not_stop_heartbeats() -> None:
    """They come until the worker ends; the supervisor has another deadline for a drain and ignores them."""
    beats = Beats()
    with run_server(beat_s=BEAT_S, on_beat=beats.send) as served, connect(served) as client:
        client.sendall(head("Content-Length: 0", target="/wait"))
        served.started.wait(WITHIN_S)
        served.server.drain(WITHIN_S)
        beats.until_more()


@pytest.mark.parametrize(("watchdog_s", "beat_s"), [("0.5", 0.0625), ("10", 1.25), ("86400", 10_800)])
def test_the_rate_follows_the_watchdog(watchdog_s: str, beat_s: float) -> None:
    """Eight heartbeats are due in the time of the watchdog."""
    assert server_limits(load({"LUMEN_WATCHDOG_S": watchdog_s})).beat_s == beat_s


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe blocks there, so no heartbeat is sent")
def test_a_heartbeat_never_waits_for_the_supervisor() -> None:
    """A heartbeat is dropped whole if the pipe is full: the supervisor may be suspended for days."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    pipes = SupervisorPipes(BytesIO(), writer)
    assert pipes.never_blocks
    for _ in range(100_000):  # more than any pipe holds
        pipes.send(Beat())
    os.close(writer)
    with open(reader, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        received = file.readlines()
    assert set(received) == {encode(Beat())}
