"""Clients that are slow, disconnect, or use unusual framing, with real sockets."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from lumen_conformance.waiting import until
from lumen_proxy.worker.http.server import TICK_S
from tests.unit.proxy.running_proxy import USER, RunningProxy, run_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lumen_conformance.gateway.server import ScriptedGateway

WITHIN_S = 10.0
HEADER_TIMEOUT_S = 1.0
SILENT_S = 0.9  # slightly less
LATE_S = 3 * TICK_S  # of a deadline on a busy machine, and less than the silence
BODY = json.dumps({"messages": [USER]}).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture
def served(gateway: ScriptedGateway) -> Iterator[RunningProxy]:
    """A proxy with a short time for heads."""
    with run_proxy(gateway.url, LUMEN_HEADER_TIMEOUT_S=str(HEADER_TIMEOUT_S)) as it:
        yield it


def connect(served: RunningProxy) -> socket.socket:
    """A raw connection."""
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=WITHIN_S)


def chat(*headers: str, body: bytes = BODY, length: bool = True) -> bytes:
    """The bytes of a chat request."""
    framing = [f"Content-Length: {len(body)}"] if length else []
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*lines, *framing, *headers, "", ""]).encode() + body


def closed_after_s(sock: socket.socket, drip: bytes, *, silent_s: float = 0.0) -> float:
    """Seconds until the server closes the connection of a client that repeats these bytes after a pause."""
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


def first_request_s(served: RunningProxy, drip: bytes, silent_s: float) -> float:
    """Seconds until the server closes the connection of a client whose first head has no end."""
    with connect(served) as sock:
        return closed_after_s(sock, drip, silent_s=silent_s)


def next_request_s(served: RunningProxy, drip: bytes, silent_s: float) -> float:
    """Seconds from the first byte of a third head without an end until the server closes the connection."""
    with connect(served) as sock:
        for _ in range(2):
            sock.sendall(chat())
            assert sock.recv(10_000).startswith(b"HTTP/1.1 200 ")
        return closed_after_s(sock, drip, silent_s=silent_s) - silent_s


DRIPS = {"letters": b"G", "empty lines": b"\r\n\r\n"}
DAWDLERS = {
    "at once": (first_request_s, 0.0),
    "after silence": (first_request_s, SILENT_S),
    "the next request": (next_request_s, 1.5 * HEADER_TIMEOUT_S),
}


def test_the_headers_have_one_deadline(served: RunningProxy) -> None:
    """LUMEN_HEADER_TIMEOUT_S is total: neither silence, nor letters, nor empty lines extend it.

    After an answer the connection may be idle for longer; the time begins with the first byte.
    """
    with ThreadPoolExecutor(len(DAWDLERS) * len(DRIPS)) as pool:  # they wait, and need almost no CPU
        waiting = {
            f"{how}, {what}": pool.submit(dawdle, served, drip, silent_s)
            for how, (dawdle, silent_s) in DAWDLERS.items()
            for what, drip in DRIPS.items()
        }
        took_s = {name: one.result() for name, one in waiting.items()}
    out_of_range = {
        name: s for name, s in took_s.items() if not HEADER_TIMEOUT_S - 0.1 <= s < HEADER_TIMEOUT_S + LATE_S
    }
    assert not out_of_range


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_client_that_sent_ahead_and_left_is_noticed(gateway: ScriptedGateway, stream: bool) -> None:  # noqa: FBT001 -- a row
    """With more requests than are read ahead, its connection to the gateway is closed within 5 s."""
    gateway.standing = replies.silent
    body = json.dumps({"messages": [USER], "stream": stream}).encode()
    with run_proxy(gateway.url, LUMEN_STREAM_COMMIT_S="0.1", LUMEN_SSE_KEEPALIVE_S="60") as served:
        with connect(served) as sock:
            sock.sendall(chat(body=body) * 3)
            call = gateway.until_called()
            with suppress(TimeoutError):
                sock.settimeout(0.3)
                sock.sendall(chat(body=body) * 3)
                sock.recv(10_000)
        left_s = gateway.wait_disconnect_s(call, within_s=5.0)
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
def test_one_transfer_coding_is_accepted(served: RunningProxy, name: str) -> None:
    """Exactly one `chunked`; anything that other programs may read otherwise is refused."""
    request, status = FRAMINGS[name]
    capture = client.send(served.url, request)
    assert capture.status == status
    if status != 200:
        code = "invalid_http" if status == 400 else "unsupported_encoding"
        assert json.loads(capture.body)["error"]["code"] == code
