"""The drain of the server, with real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lumen_conformance.http import client
from tests.unit.proxy.raw_server import WITHIN_S, RawServer, all_of, connect, head, run_server, use_once


@pytest.fixture
def served() -> Iterator[RawServer]:
    """A server with small limits on a free port."""
    with run_server() as running:
        yield running


def test_drain_closes_idle_connections_and_finishes_work(served: RawServer) -> None:
    """Idle connections are closed at once; a request in progress is answered with Connection: close."""
    with connect(served) as idle, connect(served) as busy:
        use_once(idle)
        busy.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
        served.server.drain(WITHIN_S)
        assert all_of(idle) == b""
        assert not served.cut
        served.release.set()
        assert b"\r\nConnection: close\r\n" in all_of(busy)
    served.thread.join(WITHIN_S)
    assert served.cut == [0]


def test_a_drain_without_work_is_over_at_once(served: RawServer) -> None:
    """It does not wait for an idle connection."""
    with connect(served) as idle:
        use_once(idle)
        began = time.monotonic()
        served.server.drain(WITHIN_S)
        served.thread.join(WITHIN_S)
        assert time.monotonic() - began < WITHIN_S / 2
    assert served.cut == [0]


def test_during_a_drain_new_connections_are_answered(served: RawServer) -> None:
    """The application can answer 503 until the drain ends."""
    with connect(served) as busy:
        busy.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
        served.server.drain(WITHIN_S)
        assert client.call(served.url, "GET", "/").header("connection") == "close"
        served.release.set()
        assert all_of(busy)


def test_a_drains_deadline_cuts_and_counts(served: RawServer) -> None:
    """Requests that are not finished are cut and counted."""
    with connect(served) as busy:
        busy.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
        served.server.drain(0.1)
        assert all_of(busy).startswith(b"HTTP/1.1 200 ")
        served.thread.join(WITHIN_S)
        assert not served.thread.is_alive()
    assert served.was_cut.is_set()
    assert served.cut == [1]
