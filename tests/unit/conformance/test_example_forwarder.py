"""The example server: it runs without pytest, and refuses requests whose length it cannot read."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from lumen_conformance.examples.forwarder import MAX_BODY_BYTES, ForwardingServer
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import call
from lumen_conformance.targets.endpoint import CHAT

WITHOUT_PYTEST = "import sys; sys.modules['pytest'] = None; import lumen_conformance.examples.forwarder"
JSON, CHUNKED = ("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")
BODY = {"model": "m", "messages": [{"role": "user", "content": "안녕"}]}


@pytest.fixture
def url(gateway: ScriptedGateway) -> Iterator[str]:
    """Where the example serves."""
    server = ForwardingServer("127.0.0.1", 0, gateway.url)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_is_imported_without_pytest() -> None:
    """The example needs the standard library only."""
    subprocess.run([sys.executable, "-c", WITHOUT_PYTEST], check=True)


def test_a_chat_is_forwarded(url: str, gateway: ScriptedGateway) -> None:
    """The text of the gateway is the text of the answer."""
    assert call(url, "POST", CHAT, json=BODY).json()["choices"][0]["message"]["content"] == "안녕"
    assert len(gateway.chats) == 1


UNREADABLE = {
    "no-number": [("Content-Length", "x")],
    "negative": [("Content-Length", "-1")],
    "two-lengths": [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
    "unknown-coding": [("Transfer-Encoding", "gzip")],
    "no-chunk": [CHUNKED],
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_length_is_refused(url: str, gateway: ScriptedGateway, name: str) -> None:
    """A request whose length is no number, or whose chunks are none, is refused with 400, and the connection ends."""
    answer = call(url, "POST", CHAT, body=b"x\r\n\r\n", headers=[*UNREADABLE[name], JSON])
    assert (answer.status, answer.header("connection")) == (400, "close")
    assert gateway.chats == ()


def test_a_large_chunked_body_is_refused(url: str) -> None:
    """A chunked body above the limit is read to its end, and refused with 413."""
    chunk = b"%x\r\n%b\r\n" % (MAX_BODY_BYTES, b" " * MAX_BODY_BYTES)
    body = chunk + b"1\r\n \r\n0\r\n\r\n"
    answer = call(url, "POST", CHAT, body=body, headers=[CHUNKED, JSON])
    assert (answer.status, answer.ended) == (413, "complete")
