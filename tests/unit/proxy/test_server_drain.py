"""The drain of the server, with real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lumen_conformance.http import client
from lumen_conformance.waiting import until
from lumen_proxy.worker.http import server as under_test
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


def test_during_a_drain_a_new_connection_is_not_closed_before_its_request(served: RawServer) -> None:
    """A connection without a request so far stays open when the idle ones are closed, and its request is answered."""
    with connect(served) as idle, connect(served) as new, connect(served) as busy:
        use_once(idle)
        busy.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
        served.server.drain(WITHIN_S)
        assert all_of(idle) == b""
        new.sendall(head())
        assert all_of(new).startswith(b"HTTP/1.1 200 ")
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


def until_closed(served: RawServer) -> None:
    """Wait until the server has closed its listening socket."""
    (listener,) = served.server._listeners  # noqa: SLF001 - no answer shows it, as the test has the socket, too
    until("it does not accept", lambda: not listener.accepting, within_s=WITHIN_S)


def test_after_a_handover_another_process_accepts(served: RawServer) -> None:
    """The server leaves new connections in the backlog, although it still answers a request."""
    with connect(served) as busy:
        busy.sendall(head(target="/wait"))
        assert served.started.wait(WITHIN_S)
        served.server.drain(WITHIN_S, is_handed_over=True)
        until_closed(served)
        with connect(served) as new:
            served.listener.settimeout(WITHIN_S)
            accepted, address = served.listener.accept()
            accepted.close()
            assert address == new.getsockname()
        served.release.set()
        assert b"\r\nConnection: close\r\n" in all_of(busy)


def test_after_a_handover_the_next_request_of_a_connection_is_answered(served: RawServer) -> None:
    """A connection between two requests stays open; the next answer closes it, and then the server ends."""
    with connect(served) as kept:
        use_once(kept)
        served.server.drain(WITHIN_S, is_handed_over=True)
        until_closed(served)
        kept.sendall(head())
        assert b"\r\nConnection: close\r\n" in all_of(kept)
    served.thread.join(WITHIN_S)
    assert served.cut == [0]


def test_after_a_handover_an_idle_connection_ends(served: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is not used for a while is closed, and does not count as cut."""
    monkeypatch.setattr(under_test, "KEPT_S", 0.1)
    with connect(served) as idle:
        use_once(idle)
        served.server.drain(WITHIN_S, is_handed_over=True)
        assert all_of(idle) == b""
    served.thread.join(WITHIN_S / 2)
    assert served.cut == [0]


def test_after_a_handover_the_deadline_ends_idle_connections(served: RawServer) -> None:
    """The deadline of the drain is shorter than the time for which a connection is kept."""
    with connect(served) as idle:
        use_once(idle)
        served.server.drain(0.1, is_handed_over=True)
        assert all_of(idle) == b""
    served.thread.join(WITHIN_S / 2)
    assert served.cut == [0]
