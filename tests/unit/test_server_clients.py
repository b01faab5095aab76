"""Clients that dawdle, leave, or frame their requests oddly: what the server adapter makes of them, on real sockets."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lumen_proxy.worker.server import TICK_S
from tests.fixtures import capture, replies
from tests.fixtures.waiting import until
from tests.unit.serving import USER, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.gateway import Gateway

WITHIN_S = 10.0
HEADER_TIMEOUT_S = 1.0
SILENT_S = 0.9  # a bit less
LOOKS_S = 3 * TICK_S  # how late the deadline may be seen on a busy machine, and still less than the silence
BODY = json.dumps({"messages": [USER]}).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture
def served(gateway: Gateway) -> Iterator[Serving]:
    """A proxy with little patience for headers."""
    with serving(gateway.url, LUMEN_HEADER_TIMEOUT_S=str(HEADER_TIMEOUT_S)) as it:
        yield it


def connect(served: Serving) -> socket.socket:
    """A raw connection."""
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=WITHIN_S)


def chat(*headers: str, body: bytes = BODY, length: bool = True) -> bytes:
    """The bytes of a chat request."""
    framing = [f"Content-Length: {len(body)}"] if length else []
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*lines, *framing, *headers, "", ""]).encode() + body


def closed_after_s(sock: socket.socket, drip: bytes, *, silent_s: float = 0.0) -> float:
    """Seconds until the server hangs up on a client that sends these bytes again and again, after some silence."""
    began = time.monotonic()
    sock.settimeout(0.05)

    def hung_up() -> bool:
        try:
            if time.monotonic() - began >= silent_s:
                sock.sendall(drip)
            return sock.recv(1000) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    until("closed", hung_up, within_s=WITHIN_S)
    return time.monotonic() - began


@pytest.mark.parametrize("drip", [b"G", b"\r\n\r\n"], ids=["letters", "empty-lines"])
@pytest.mark.parametrize("silent_s", [0.0, SILENT_S], ids=["at-once", "after-silence"])
def test_the_headers_have_one_deadline(served: Serving, drip: bytes, silent_s: float) -> None:
    """LUMEN_HEADER_TIMEOUT_S is total: neither silence, nor letters, nor empty lines extend it."""
    with connect(served) as sock:
        took_s = closed_after_s(sock, drip, silent_s=silent_s)
    assert HEADER_TIMEOUT_S - 0.1 <= took_s < HEADER_TIMEOUT_S + LOOKS_S


@pytest.mark.parametrize("drip", [b"G", b"\r\n\r\n"], ids=["letters", "empty-lines"])
def test_so_have_those_of_the_next_request(served: Serving, drip: bytes) -> None:
    """After an answer the connection may rest for longer, but once something comes, the time runs."""
    with connect(served) as sock:
        for _ in range(2):
            sock.sendall(chat())
            assert sock.recv(10_000).startswith(b"HTTP/1.1 200 ")
        took_s = closed_after_s(sock, drip, silent_s=1.5 * HEADER_TIMEOUT_S) - 1.5 * HEADER_TIMEOUT_S
    assert HEADER_TIMEOUT_S - 0.1 <= took_s < HEADER_TIMEOUT_S + LOOKS_S


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_client_that_sent_ahead_and_left_is_noticed(gateway: Gateway, stream: bool) -> None:  # noqa: FBT001 -- a row
    """With more requests on its connection than are read ahead; its gateway connection is closed within 5 s."""
    gateway.standing = replies.silent
    body = json.dumps({"messages": [USER], "stream": stream}).encode()
    with serving(gateway.url, LUMEN_STREAM_COMMIT_S="0.1", LUMEN_SSE_KEEPALIVE_S="60") as served:
        with connect(served) as sock:
            sock.sendall(chat(body=body) * 3)
            call = gateway.until_called()
            with suppress(TimeoutError):
                sock.settimeout(0.3)
                sock.sendall(chat(body=body) * 3)
                sock.recv(10_000)
        left_s = gateway.left_s(call, within_s=5.0)
    assert left_s is not None
    assert len(gateway.chats) == 1


FRAMINGS = {
    "twice": (chat("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKED, length=False), 400),
    "listed-twice": (chat("Transfer-Encoding: chunked, chunked", body=CHUNKED, length=False), 400),
    "empty-first": (chat("Transfer-Encoding: ,chunked", body=CHUNKED, length=False), 400),
    "empty-last": (chat("Transfer-Encoding: chunked,", body=CHUNKED, length=False), 400),
    "empty-and-length": (chat("Transfer-Encoding:"), 400),
    "empty": (chat("Transfer-Encoding: ", body=b"", length=False), 400),
    "folded": (chat("Transfer-Encoding:\r\n chunked", body=CHUNKED, length=False), 400),
    "folded-after": (chat("Transfer-Encoding: chunked\r\n\t", body=CHUNKED, length=False), 400),
    "gzip": (chat("Transfer-Encoding: gzip, chunked", body=CHUNKED, length=False), 501),
    "identity": (chat("Transfer-Encoding: identity"), 501),
    "chunked": (chat("transfer-encoding: \tChunked ", body=CHUNKED, length=False), 200),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_one_transfer_coding_is_read(served: Serving, name: str) -> None:
    """Exactly one `chunked`: what another program could read otherwise is refused."""
    request, status = FRAMINGS[name]
    got = capture.send(served.url, request)
    assert got.status == status
    if status != 200:
        code = "invalid_http" if status == 400 else "unsupported_encoding"
        assert json.loads(got.body)["error"]["code"] == code
