"""The example server: it runs without pytest, and refuses requests whose length it cannot read."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from lumen_conformance.examples.forwarder import ForwardingServer
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import call
from lumen_conformance.targets.endpoint import CHAT

WITHOUT_PYTEST = "import sys; sys.modules['pytest'] = None; import lumen_conformance.examples.forwarder"
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


@pytest.mark.parametrize(
    "header", [("Content-Length", "x"), ("Content-Length", "-1"), ("Transfer-Encoding", "chunked")], ids=str
)
def test_an_unreadable_length_is_refused(url: str, gateway: ScriptedGateway, header: tuple[str, str]) -> None:
    """A request with a length that is no number, or without one, is refused with 411, and the connection ends."""
    answer = call(url, "POST", CHAT, body=b"", headers=[header, ("Content-Type", "application/json")])
    assert (answer.status, answer.header("connection")) == (411, "close")
    assert gateway.chats == ()
