"""The scripted gateway: it runs in the test process, records every request, and sends the replies of a script.

It answers in the format of the request, that of Lumen or that of OpenAI. Each request gets the next scripted reply, or
else the standing one (an echo, so that a test can find its nonce). `replies` has the replies. A gate is an event: a
test opens it when it has what it waited for, instead of a sleep.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self

import h11
import pytest

from lumen_conformance.gateway.acceptors import Acceptors, Serve
from lumen_conformance.gateway.exchange import AT_ACCEPT, Exchange, ReceivedRequest, Reply
from lumen_conformance.gateway.openai_requests import error, is_openai
from lumen_conformance.gateway.openai_routes import MAX_BODY_BYTES
from lumen_conformance.gateway.received import RECEIVED
from lumen_conformance.gateway.replies import echo
from lumen_conformance.gateway.response import plain
from lumen_conformance.ports import CAN_HOLD, reserved_port
from lumen_conformance.waiting import observe, until

BACKLOG = 256  # more than the clients of any scenario, so that the system refuses none
READ_BYTES = 65_536
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CALLED_S = 10.0  # a request reaches the gateway within milliseconds; after ten seconds it does not come
LINGER_S = 1.0  # for a refused client that does not close; on loopback the end comes within milliseconds
JOIN_S = 5.0  # threads end as soon as their socket is shut down


class ScriptedGateway:
    """A gateway on 127.0.0.1, opened by ``with``; its port stays the same after an outage."""

    def __init__(self, standing: Reply = echo) -> None:
        self.standing = standing
        self.port = 0
        self.connections = 0
        self._calls: list[ReceivedRequest] = []
        self._disconnected_mono_s: dict[int, float] = {}
        self._script: deque[Reply] = deque()
        self._lock = threading.Lock()
        self._kept = ExitStack()
        self._up: ExitStack | None = None
        self._closing = threading.Event()
        self._malformed: list[str] = []

    @property
    def url(self) -> str:
        """The origin, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> tuple[ReceivedRequest, ...]:
        """Every request so far, in the order of arrival."""
        with self._lock:
            return tuple(self._calls)

    @property
    def chats(self) -> tuple[ReceivedRequest, ...]:
        """The chat requests: ``POST /chat``, or OpenAI's chat completions."""
        return tuple(call for call in self.calls if call.method == "POST" and (call.path == "/chat" or is_openai(call)))

    @property
    def malformed(self) -> tuple[str, ...]:
        """The errors of requests that are not HTTP/1.1."""
        return tuple(self._malformed)

    def script(self, *replies: Reply) -> None:
        """Send these replies next, one for each request; then the standing reply again."""
        with self._lock:
            self._script.extend(replies)

    @contextlib.contextmanager
    def scripted(self, reply: Reply) -> Iterator[None]:
        """Send this reply to the next request; drop it at the end of the block if no request came."""
        self.script(reply)
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._script.remove(reply)

    @contextlib.contextmanager
    def replying(self, reply: Reply) -> Iterator[None]:
        """Send this reply to every request of the block for which no reply is scripted."""
        previous, self.standing = self.standing, reply
        try:
            yield
        finally:
            self.standing = previous

    def until_called(self, times: int = 1, *, within_s: float = CALLED_S) -> ReceivedRequest:
        """Wait for the n-th chat request, and return it; raises `waiting.WaitTimeoutError`."""
        return until(
            f"the gateway has received {times} chat requests", lambda: self.chats[times - 1 : times], within_s=within_s
        )[0]

    def wait_disconnect_s(self, call: ReceivedRequest, *, within_s: float) -> float | None:
        """Return the seconds from a request until its client closed the connection; None when it is still open."""
        observe("the client has disconnected", lambda: call.connection in self._disconnected_mono_s, within_s=within_s)
        disconnected_mono_s = self._disconnected_mono_s.get(call.connection)
        return None if disconnected_mono_s is None else disconnected_mono_s - call.at_mono_s

    def down(self) -> None:
        """Start an outage: connections are cut, and new ones are refused."""
        if self._up is not None:
            self._up.close()
            self._up = None

    def up(self) -> None:
        """Listen on the port from before; raises OSError when another process has it by now."""
        if self._up is None:
            self._closing = threading.Event()
            with ExitStack() as stack:
                self._listen(stack)
                self._up = stack.pop_all()

    def __enter__(self) -> Self:
        if CAN_HOLD:
            self.port = self._kept.enter_context(reserved_port())
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
        self._kept.close()

    def _listen(self, stack: ExitStack) -> None:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG))
        self.port = listener.getsockname()[1]
        wake, woken = (stack.enter_context(end) for end in socket.socketpair())
        selector, live = stack.enter_context(selectors.DefaultSelector()), set[socket.socket]()
        for end in (listener, woken):
            selector.register(end, selectors.EVENT_READ)
        acceptors = Acceptors(partial(self._accept, listener, selector, live, self._closing))
        stack.callback(acceptors.join, JOIN_S)
        stack.callback(_shut_down_all, live)
        stack.callback(acceptors.wait_idle, JOIN_S)
        stack.callback(wake.send, b"x")
        stack.callback(self._closing.set)

    def _accept(
        self, listener: socket.socket, selector: selectors.BaseSelector, live: set[socket.socket],
        closing: threading.Event,
    ) -> Serve | None:  # fmt: skip
        selector.select()
        if closing.is_set():
            return None
        sock, _ = listener.accept()
        self.connections += 1
        live.add(sock)
        return partial(self._serve, sock, self.connections, live, closing)

    def _serve(self, sock: socket.socket, connection: int, live: set[socket.socket], closing: threading.Event) -> None:
        """Serve one connection, request by request, until one side closes it."""
        try:
            self._answer(sock, connection, closing)
        except h11.RemoteProtocolError as failure:
            self._malformed.append(str(failure))
            with contextlib.suppress(OSError):
                _refuse(_noted(Exchange(_empty_call(connection), sock, closing)), failure)
                _wait_for_end(sock)
        except OSError:
            pass  # reset by the client, or cut by an outage: the end of the connection
        live.discard(sock)
        sock.close()
        if not closing.is_set():
            self._disconnected_mono_s[connection] = time.monotonic()

    def _answer(self, sock: socket.socket, connection: int, closing: threading.Event) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reply := self._reply_at_accept():
            reply(_noted(Exchange(_empty_call(connection), sock, closing)))
            return
        data = b""
        while not closing.is_set() and (read := self._read(sock, data, connection)):
            call, data = read
            exchange = _noted(Exchange(call, sock, closing))
            self._next_reply()(exchange)
            if exchange.is_disconnected or sock.fileno() < 0:
                break
            if call.closes:
                exchange.close()
                break

    def _read(self, sock: socket.socket, data: bytes, connection: int) -> tuple[ReceivedRequest, bytes] | None:
        """Return the next request and the bytes after it; None when the client has disconnected. Raises OSError."""
        parser, request, body = h11.Connection(h11.SERVER), None, bytearray()
        if data:
            parser.receive_data(data)
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Request):
                request = event
                if parser.they_are_waiting_for_100_continue:
                    sock.sendall(CONTINUE)
            elif isinstance(event, h11.Data):
                body += event.data[: MAX_BODY_BYTES + 1 - len(body)]  # the rest is read and dropped
            elif isinstance(event, h11.EndOfMessage) and request:
                return self._record(request, bytes(body), connection), parser.trailing_data[0]
            elif event is h11.NEED_DATA:
                parser.receive_data(sock.recv(READ_BYTES))
            else:
                return None

    def _record(self, request: h11.Request, body: bytes, connection: int) -> ReceivedRequest:
        at_mono_s = time.monotonic()
        method, path = request.method.decode("latin-1"), request.target.decode("latin-1")
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
        with self._lock:
            number, version = len(self._calls) + 1, request.http_version.decode()
            self._calls.append(ReceivedRequest(number, connection, method, path, headers, body, at_mono_s, version))
            return self._calls[-1]

    def _next_reply(self) -> Reply:
        with self._lock:
            return self._script.popleft() if self._script else self.standing

    def _reply_at_accept(self) -> Reply | None:
        with self._lock:
            if self._script:
                return self._script.popleft() if self._script[0] in AT_ACCEPT else None
            return self.standing if self.standing in AT_ACCEPT else None


def _noted(exchange: Exchange) -> Exchange:
    """Note for the report what was received, and what will be sent."""
    RECEIVED.add(exchange.call, exchange.sent)
    return exchange


def _empty_call(connection: int) -> ReceivedRequest:
    """Return the record of a connection on which no request was read."""
    return ReceivedRequest(0, connection, "", "", (), b"", time.monotonic(), version="1.0")


def _refuse(exchange: Exchange, failure: h11.RemoteProtocolError) -> None:
    """Answer bytes that are not valid HTTP, such as a TLS handshake, with an error, as real servers do."""
    plain(exchange.call, error("The request is not valid HTTP/1.1."), failure.error_status_hint).send(exchange)


def _wait_for_end(sock: socket.socket) -> None:
    """Close the sending side, and read until the client closes: unread data turns a close into a reset."""
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(LINGER_S)
    while sock.recv(READ_BYTES):
        pass


def _shut_down_all(live: set[socket.socket]) -> None:
    for sock in tuple(live):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    """A scripted gateway that ends with the test."""
    with ScriptedGateway() as opened:
        yield opened
