"""The self-probe: /health is asked with a bound, and only a 200 is a sign of life."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lumen_conformance.waiting import until
from lumen_proxy.supervisor import self_probe

SHORT_S = 0.2  # until the probe of a silent worker ends
SOON_S = 10.0  # a connection on this machine takes milliseconds


@contextmanager
def answers(*parts: bytes) -> Iterator[str]:
    """The address of a server that sends these parts to one client, and then nothing; it never closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            kept.append(listener.accept()[0])
            assert kept[0].recv(1000).startswith(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:")
            for part in parts:
                kept[0].sendall(part)

        kept: list[socket.socket] = []
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()
        kept[0].close()


@pytest.mark.parametrize("parts", [(b"HTTP/1.1 200 OK\r\n\r\n",), (b"HTTP/1.", b"1 200 ", b"OK\r\n")])
def test_a_200_is_an_answer(parts: tuple[bytes, ...]) -> None:
    """It is one as soon as the status is known, in however many pieces."""
    answered = threading.Event()
    with answers(*parts) as url:
        self_probe.start(url, SOON_S, answered.set)
        assert answered.wait(SOON_S)


def test_another_status_is_none() -> None:
    """An error of the server does not show that the worker serves."""
    with answers(b"HTTP/1.1 503 Service Unavailable\r\n") as url:
        assert not self_probe.is_answered(url, SOON_S)


@pytest.mark.parametrize("parts", [(), (b"HTTP/1.1 ",)], ids=["silent", "half"])
def test_a_worker_that_does_not_answer_ends_the_probe(parts: tuple[bytes, ...]) -> None:
    """The bound holds for the whole exchange."""
    with answers(*parts) as url, pytest.raises(TimeoutError):
        self_probe.is_answered(url, SHORT_S)


def test_a_stopped_worker_is_no_answer() -> None:
    """A connection that waits in the backlog is accepted by the kernel, but nobody answers; the thread ends."""
    answered = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        self_probe.start(f"http://127.0.0.1:{listener.getsockname()[1]}", SHORT_S, answered.set)
        until("the probe has ended", lambda: "self-probe" not in names(), within_s=SOON_S)
    assert not answered.is_set()


def test_a_closed_port_is_no_answer() -> None:
    """The probe of a refused connection ends without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answered = threading.Event()
    self_probe.start(f"http://127.0.0.1:{port}", SHORT_S, answered.set)
    until("the probe has ended", lambda: "self-probe" not in names(), within_s=SOON_S)
    assert not answered.is_set()


def names() -> set[str]:
    """The names of all threads."""
    return {thread.name for thread in threading.enumerate()}
