"""A server of a worker in a thread, with an application that records its requests, and raw connections to it."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lumen_conformance.waiting import until
from lumen_proxy.worker.http.server import Hooks, HttpServer
from lumen_proxy.worker.limits import ServerLimits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

THREADS = 4
HEADER_TIMEOUT_S = 1.0
MAX_BODY_BYTES = 10_000
LARGE_BYTES = 3_000_000  # waitress by default writes more than one megabyte to the disk
WITHIN_S = 10.0  # all steps here take milliseconds; after ten seconds a step has failed


@dataclass
class RawServer:
    """A server in a thread, and an application that records its requests."""

    url: str
    server: HttpServer
    thread: threading.Thread
    listener: socket.socket
    release: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    is_disconnected: threading.Event = field(default_factory=threading.Event)
    was_cut: threading.Event = field(default_factory=threading.Event)
    cut: list[int] = field(default_factory=list)

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """`/wait` answers after `release` or a cut, `/compute` computes until then, `/crash` raises; others answer."""
        if environ["PATH_INFO"] == "/crash":
            raise RuntimeError("a secret")
        if environ["PATH_INFO"] == "/wait":
            self._wait(environ["waitress.client_disconnected"])
        while environ["PATH_INFO"] == "/compute" and not self.release.is_set():
            self.started.set()
        body = environ["wsgi.input"].read() or b"ok"
        if environ["PATH_INFO"] == "/large":
            body = b"x" * LARGE_BYTES
        odd = [("X-Odd", "루")] if environ["PATH_INFO"] == "/bad-header" else []
        start_response("200 OK", [("Content-Length", str(len(body))), *odd])
        return [body]

    def _wait(self, disconnected: Callable[[], bool]) -> None:
        self.started.set()
        until("released or gone", lambda: self.release.is_set() or disconnected(), within_s=WITHIN_S)
        if disconnected():
            self.is_disconnected.set()

    def on_cut(self) -> None:
        """The deadline of a drain has passed."""
        self.was_cut.set()
        self.release.set()


@contextmanager
def run_server(
    header_timeout_s: float = HEADER_TIMEOUT_S, beat_s: float = math.inf, on_beat: Callable[[], None] = lambda: None
) -> Iterator[RawServer]:
    """A server with small limits on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        it = RawServer(url, server=None, thread=None, listener=sock)  # type: ignore[arg-type]
        limits = ServerLimits(THREADS, header_timeout_s, MAX_BODY_BYTES, beat_s)
        it.server = HttpServer(it.app, [sock.dup()], limits, Hooks(on_cut=it.on_cut, on_beat=on_beat))
        it.thread = threading.Thread(target=lambda: it.cut.append(it.server.run()))
        it.thread.start()
        try:
            yield it
        finally:  # a test that fails must not leave the thread, for which Python would wait at its end
            it.release.set()
            it.server.drain(0)
            it.thread.join(WITHIN_S)
        assert not it.thread.is_alive()
        it.server.close()


def connect(served: RawServer) -> socket.socket:
    """A raw connection to the server."""
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=WITHIN_S)


def all_of(sock: socket.socket) -> bytes:
    """Read to the end; a reset ends it, too, and is marked."""
    received = b""
    with sock:
        try:
            while data := sock.recv(65536):
                received += data
        except ConnectionResetError:
            received += b"<reset>"
    return received


def use_once(sock: socket.socket) -> None:
    """Send one request, then leave the connection idle."""
    sock.sendall(head())
    received = b""
    while not received.endswith(b"ok"):
        received += sock.recv(1000)


def head(*lines: str, target: str = "/", version: str = "HTTP/1.1") -> bytes:
    """The head of a request."""
    return "\r\n".join([f"POST {target} {version}", "Host: localhost", *lines, "", ""]).encode()
