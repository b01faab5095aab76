"""The clients of the benchmarks classify each question by what its socket saw, and know when it was in flight."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.ports import reserved_port

if TYPE_CHECKING:
    from client_load import ClientLoad

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WITHIN_S = 10.0  # an answer takes less than a millisecond here; the rest is for a busy machine


@pytest.fixture(autouse=True)
def path_of_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import each other by this path."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def load_on(port: int, *, patience_s: float = WITHIN_S) -> ClientLoad:
    """One client on a port."""
    from client_load import ClientLoad  # noqa: PLC0415 -- see path_of_the_benchmarks

    return ClientLoad(port, REQUEST, 1, patience_s)


@contextmanager
def server(act: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server that reads each request and acts on its connection; yields its port."""
    closing = threading.Event()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if closing.is_set():
                    return
                connection.recv(65_536)
                act(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            closing.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join()


def first_end(load: ClientLoad) -> tuple[str, int | None]:
    """How the first question ended."""
    from lumen_conformance.waiting import until  # noqa: PLC0415 -- beside its only use

    with load:
        until("a question has ended", lambda: load.questions, within_s=WITHIN_S)
    return load.questions[0].end, load.questions[0].status


ANSWERS: dict[str, tuple[bytes, tuple[str, int | None]]] = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ("answered", 200)),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", ("answered", 200)),
    "error": (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", ("error", 503)),
    "nothing": (b"", ("cut", None)),
    "half-a-body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", ("cut", None)),
    "half-a-stream": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", ("cut", None)),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_complete_or_cut(name: str) -> None:
    """An answer without all of its bytes is cut, and one with another status than 200 is an error."""
    data, expected = ANSWERS[name]
    with server(lambda connection: connection.sendall(data)) as port:
        assert first_end(load_on(port)) == expected


def test_a_port_without_a_listener_refuses() -> None:
    """A question to a port where nobody listens is refused, and no byte of it is sent."""
    with reserved_port() as port:
        load = load_on(port)
        assert first_end(load) == ("refused", None)
    assert load.questions[0].sent_s is None


def test_a_question_without_an_answer_times_out() -> None:
    """A client gives up after its patience, and asks again."""
    release = threading.Event()
    with server(lambda _: release.wait(WITHIN_S)) as port:
        ended = first_end(load_on(port, patience_s=0.1))
        release.set()
    assert ended == ("timed out", None)


def test_the_next_answer_is_to_a_question_sent_later() -> None:
    """An answer to a question that was sent before the mark does not count as the next answer."""
    release = threading.Event()

    def act(connection: socket.socket) -> None:
        release.wait(WITHIN_S)
        connection.sendall(ANSWERS["length"][0])

    with server(act) as port, load_on(port) as load:
        from lumen_conformance.waiting import until  # noqa: PLC0415 -- beside its only use

        until("a question is in flight", load.count_in_flight, within_s=WITHIN_S)
        mark_s = time.monotonic()
        release.set()
        gap_s = load.wait_answer(mark_s, WITHIN_S)
    assert load.questions[0].is_in_flight(mark_s, mark_s)
    assert gap_s == load.questions[1].ended_s - mark_s


@pytest.mark.parametrize(
    ("begin_s", "until_s", "expected"),
    [(1.0, 1.5, False), (1.5, 2.0, True), (2.5, 2.5, True), (3.0, 4.0, True), (3.1, 4.0, False)],
)
def test_in_flight_from_the_first_byte_to_the_last(begin_s: float, until_s: float, expected: bool) -> None:  # noqa: FBT001 -- a column
    """A question is in flight from its first byte sent to its last byte received, not from its connection."""
    from client_load import LoadQuestion  # noqa: PLC0415 -- see path_of_the_benchmarks

    assert LoadQuestion(1.0, 2.0, 3.0, "cut").is_in_flight(begin_s, until_s) is expected
    assert LoadQuestion(1.0, None, 3.0, "refused").is_in_flight(begin_s, until_s) is False
