"""The capture client against servers that send given bytes and then close, reset or do nothing."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from urllib.parse import SplitResult

import pytest

from lumen_conformance.gateway.exchange import RESET
from lumen_conformance.http import client, response_reader
from lumen_conformance.http.client import TIMEOUT_S, Connection, call, request_bytes, send
from lumen_conformance.targets.endpoint import RemoteServer
from lumen_conformance.targets.target import Target

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that serves these answers, one per request, on one connection, and returns the URL."""
    with ExitStack() as stack:

        def start(*answers: bytes, silent: bool = False, piece_bytes: int = 65_536) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            released = threading.Event()
            thread = threading.Thread(
                target=_serve, args=(listener, answers, piece_bytes, released if silent else None)
            )
            thread.start()
            stack.callback(thread.join)
            stack.callback(released.set)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


def _serve(listener: socket.socket, answers: tuple[bytes, ...], piece_bytes: int, hold: threading.Event | None) -> None:
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with sock:
        for answer in answers:
            sock.recv(65_536)
            for start in range(0, len(answer), piece_bytes):
                sock.sendall(answer[start : start + piece_bytes])
        if hold:
            hold.wait()


SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"


def test_no_coding_is_asked_for() -> None:
    """Requests refuse content codings by default, because a server may compress otherwise."""
    assert b"Accept-Encoding: identity\r\n" in request_bytes("http://a", "GET", "/")
    assert b"identity" not in request_bytes("http://a", "GET", "/", headers=[("accept-encoding", "gzip")])


def test_a_whole_answer(serve: Serve) -> None:
    """A capture has the status, the headers, the head, the body and the raw bytes."""
    capture = call(serve(SIZED), "GET", "/x")
    assert (capture.status, capture.body, capture.ended, capture.error) == (200, b"hi", "complete", None)
    assert capture.headers == (("content-type", "text/plain"), ("content-length", "2"))
    assert (capture.raw, capture.raw_head) == (SIZED, SIZED[:-2])
    assert capture.url.endswith("/x")
    assert capture.arrived_s(1) is not None
    assert capture.arrived_s(2) is None


@pytest.mark.parametrize(
    ("answer", "ended", "body"),
    [
        pytest.param(CHUNKED + b"0\r\n\r\n", "complete", b"abcde", id="chunked"),
        pytest.param(CHUNKED, "aborted", b"abcde", id="no-last-chunk"),
        pytest.param(CHUNKED + b"zz\r\n", "invalid", b"abcde", id="bad-chunk-size"),
        pytest.param(SIZED[:-1], "aborted", b"h", id="short-body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "complete", b"until the end", id="until-close"),
        pytest.param(b"", "aborted", b"", id="no-answer"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED, "complete", b"hi", id="informational-first"),
    ],
)
def test_how_it_ended(serve: Serve, answer: bytes, ended: str, body: bytes) -> None:
    """The end of a response has a name, and the bytes before the end are kept."""
    capture = call(serve(answer), "GET", "/")
    assert (capture.ended, capture.body) == (ended, body)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNK = b"Transfer-Encoding: chunked\r\n"
ERRORS = {
    "no-response": (b"", "the connection ended before a response"),
    "half-a-head": (b"HTTP/1.1 200", "the connection ended before the end of the head"),
    "half-a-body": (SIZED[:-1], "the connection was closed before the end of the body (Content-Length: 2)"),
    "no-last-chunk": (OK + CHUNK + b"\r\n2\r\nhi\r\n", "the connection was closed before the last chunk"),
    "two-codings": (OK + CHUNK + CHUNK + b"\r\n", "2 headers Transfer-Encoding: chunked, chunked"),
    "unknown-coding": (
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        "invalid header Transfer-Encoding: gzip, chunked",
    ),
    "two-lengths": (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "2 headers Content-Length: 5, 6"),
    "bad-length": (OK + b"Content-Length: x\r\n\r\n", "invalid header Content-Length: x"),
    "bad-line": (OK + b"X : y\r\n\r\n", "illegal header line: 'X : y'"),
    "bad-chunk": (OK + CHUNK + b"\r\nzz\r\n", "illegal chunk header: 'zz\\r\\n'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_the_error_names_the_cause(serve: Serve, name: str) -> None:
    """The error of a response that is invalid or not complete names what is wrong with it."""
    answer, expected = ERRORS[name]
    assert call(serve(answer), "GET", "/").error == expected


@pytest.mark.parametrize(("per_read", "ended"), [(True, "complete"), (False, "timeout")])
def test_an_answer_that_goes_on(monkeypatch: pytest.MonkeyPatch, per_read: bool, ended: str) -> None:  # noqa: FBT001 -- a row
    """With ``timeout_per_read`` the timeout applies to each read, not to the whole exchange."""
    later_s, taken = [0.0], threading.Semaphore()
    clock = SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + later_s[0])
    monkeypatch.setattr(response_reader, "time", clock)

    def take(_: bytearray) -> None:
        later_s[0] += 0.75 * TIMEOUT_S  # two such pauses are longer than the timeout
        taken.release()

    def serve_slowly() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(65_536)
            for piece in (CHUNKED, b"1\r\nf\r\n", b"1\r\ng\r\n", b"0\r\n\r\n"):
                taken.acquire()
                sock.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve_slowly)
        with Connection(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_per_read=per_read) as connection:
            capture = connection.call("GET", "/", on_body=take)
        for _ in range(4):
            taken.release()
        serving.exception()  # the rest cannot be sent after a timeout
    assert capture.ended == ended


@pytest.mark.parametrize("piece_bytes", [1, 2, 7])
def test_pieces_do_not_matter(serve: Serve, piece_bytes: int) -> None:
    """A response in pieces of any size gives the same capture."""
    capture = call(serve(CHUNKED + b"0\r\n\r\n", piece_bytes=piece_bytes), "GET", "/")
    assert (capture.ended, capture.body, capture.raw) == ("complete", b"abcde", CHUNKED + b"0\r\n\r\n")
    assert [length for _, length in capture.arrivals] == sorted({length for _, length in capture.arrivals})


def test_not_http(serve: Serve) -> None:
    """A response that is not HTTP is recorded with its bytes."""
    capture = call(serve(b"SSH-2.0-OpenSSH_9.9\r\n"), "GET", "/")
    assert (capture.ended, capture.status, capture.raw) == ("invalid", None, b"SSH-2.0-OpenSSH_9.9\r\n")
    assert capture.raw_head == capture.raw
    assert capture.error == "no HTTP response: b'SSH-2.0-OpenSSH_9.9\\r\\n'"


def test_deadline_is_total(serve: Serve) -> None:
    """The exchange ends at the deadline when the server does not close the connection; the body so far is kept."""
    capture = call(serve(CHUNKED, silent=True), "GET", "/", timeout_s=0.2)
    assert (capture.ended, capture.body) == ("timeout", b"abcde")
    assert capture.elapsed_s >= 0.2


def test_nobody_listens() -> None:
    """A refused connection is recorded."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        capture = call(f"http://127.0.0.1:{bound.getsockname()[1]}", "GET", "/")
    assert (capture.ended, capture.status) == ("refused", None)


def test_no_such_name() -> None:
    """A name that cannot exist (RFC 6761) is recorded as unreachable."""
    assert call("http://nobody.invalid:1", "GET", "/").ended == "unreachable"


def test_hanging_up(serve: Serve) -> None:
    """``on_body`` can end an exchange in the middle of a body."""
    capture = call(serve(CHUNKED, silent=True), "GET", "/", on_body=lambda body: b"abc" in body)
    assert (capture.ended, capture.body[:3]) == ("left", b"abc")


def test_hanging_up_from_another_thread(serve: Serve) -> None:
    """``hang_up`` ends a waiting call from another thread."""
    with Connection(serve(SIZED, silent=True)) as connection, ThreadPoolExecutor(1) as pool:
        connection.call("GET", "/")
        waiting = pool.submit(connection.call, "GET", "/", timeout_s=60)
        connection.hang_up()
        assert waiting.result().ended in {"aborted", "reset"}  # before or after its request was written


def test_staying_open(serve: Serve) -> None:
    """``stays_open`` detects whether the server closes the connection."""
    with Connection(serve(SIZED, silent=True)) as kept, Connection(serve(SIZED)) as closed:
        kept.call("GET", "/")
        closed.call("GET", "/")
        assert (kept.stays_open(0.1), closed.stays_open(5)) == (True, False)


def test_connection_is_reused(serve: Serve) -> None:
    """Two requests use one connection."""
    with Connection(serve(SIZED, SIZED)) as connection:
        assert [connection.call("GET", "/").body for _ in range(2)] == [b"hi", b"hi"]


def test_head_has_no_body(serve: Serve) -> None:
    """The response to HEAD ends with the head, whatever its Content-Length."""
    capture = call(serve(SIZED[:-2], silent=True), "HEAD", "/")
    assert (capture.ended, capture.body) == ("complete", b"")


def test_illegal_requests_are_sent_as_they_are(serve: Serve) -> None:
    """Invalid requests are sent unchanged."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: +2\r\n\r\nhi"
    assert send(serve(SIZED), request).request == request


def test_defaults_give_way() -> None:
    """A header given by the caller replaces the default of the same name, in any case."""
    request = request_bytes("http://h:1/p/", "POST", "/v1", json={"a": "안"}, headers=[("host", "evil")])
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /p/v1 HTTP/1.1\r\n")
    assert head.lower().count(b"host:") == 1
    assert body == '{"a": "안"}'.encode()
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_body_without_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body above the limit ends the exchange with an error, and is not read further."""
    monkeypatch.setattr(response_reader, "MAX_BODY_BYTES", 100_000)
    capture = call(serve(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 150_000), "GET", "/")
    assert (capture.ended, capture.error) == ("invalid", "too large: more than 100000 bytes of body")


ENDLESS = {
    "head": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000,
    "interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1;" + b"e" * 90 + b"\r\nx\r\n") * 2_000,
}


@pytest.mark.parametrize("said", ENDLESS.values(), ids=ENDLESS)
def test_a_response_without_end(serve: Serve, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads and framing above the limit end the exchange with an error."""
    monkeypatch.setattr(response_reader, "MAX_BYTES", 100_000)
    capture = call(serve(said, silent=True), "GET", "/")
    assert (capture.ended, capture.error) == ("invalid", "too large: more than 100000 bytes without an end")


@pytest.mark.parametrize("name", ["a..b", f"{'a' * 64}.example"])
def test_no_name_at_all(name: str) -> None:
    """An invalid host name is unreachable, like one that does not exist."""
    capture = call(f"http://{name}:1", "GET", "/")
    assert (capture.ended, capture.status) == ("unreachable", None)


def test_what_came_behind_is_the_next_answer(serve: Serve) -> None:
    """Bytes after a response are the beginning of the next one, as clients read them; a new connection has none."""
    other = SIZED.replace(b"hi", b"ho")
    with Connection(serve(SIZED + other, SIZED, silent=True)) as connection:
        assert [connection.call("GET", "/").body for _ in range(2)] == [b"hi", b"ho"]
    with Connection(serve(SIZED + b"?", SIZED, silent=True)) as connection:
        capture = [connection.call("GET", "/", timeout_s=5) for _ in range(2)]
    assert [each.ended for each in capture] == ["complete", "invalid"]


def test_a_look_at_the_body_is_no_copy(serve: Serve) -> None:
    """``on_body`` gets the body itself, because copies of a long body take too long."""
    shown: list[object] = []
    call(serve(CHUNKED, silent=True), "GET", "/", timeout_s=0.2, on_body=shown.append)
    assert shown
    assert all(each is shown[0] and isinstance(each, bytearray) for each in shown)


def test_patience_of_a_target(serve: Serve) -> None:
    """A call without a timeout has the timeout of its target, on a new and on an open connection."""
    patience_s = 0.2
    for reuse in (False, True):
        served = RemoteServer(Target(url=serve(silent=True), answer_s=patience_s))
        with served.connection() as connection:
            capture = (connection if reuse else served).call("GET", "/x")
        assert capture.ended == "timeout", reuse
        assert patience_s <= capture.elapsed_s < TIMEOUT_S, reuse


def test_a_reset_before_anything_is_sent_is_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset that sending reports is a reset of the exchange, although reading reports only an end."""
    really = client._connect  # noqa: SLF001 -- the moment between connecting and sending
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def connect(url: SplitResult, timeout_s: float) -> socket.socket:
            sock, (accepted, _) = really(url, timeout_s), listener.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            accepted.close()
            select.select([sock], [], [], timeout_s)  # it has arrived
            return sock

        monkeypatch.setattr(client, "_connect", connect)
        capture = call(f"http://127.0.0.1:{listener.getsockname()[1]}", "GET", "/health")
    assert (capture.ended, capture.status) == ("reset", None)
    assert "while sending" in (capture.error or "")
