"""A request that is not HTTP/1 is answered at once, not at the deadline of the head."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http import client
from lumen_conformance.waiting import until
from lumen_proxy.logs.worker_log import WorkerLog
from tests.unit.proxy.running_proxy import run_proxy

HEAD_S = "30"  # of a silent client, so an answer within WITHIN_S was not sent at that deadline
WITHIN_S = 10.0  # an answer takes milliseconds


def client_hello() -> bytes:
    """The first bytes of a TLS client."""
    sent = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return sent.read()


NOT_HTTP_1 = {
    "tls": (client_hello(), "https_not_supported", "http://"),
    "tls-begins": (b"\x16", "https_not_supported", "http://"),
    "http-2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "invalid_http", "HTTP/2"),
    "http-0.9": (b"GET /\r\n", "invalid_http", "malformed"),
    "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n", "invalid_http", "malformed"),
    "text": (b"hello\n", "invalid_http", "malformed"),
    "binary": (b"\x00\x01\x02", "invalid_http", "malformed"),
    "json": (b'{"model": "lumen-gateway"}', "invalid_http", "malformed"),
    "endless-word": (b"A" * 100, "invalid_http", "malformed"),
}


@pytest.mark.parametrize("name", NOT_HTTP_1)
def test_not_http_1(name: str, gateway: ScriptedGateway) -> None:
    """The bytes are answered at once with a 400 that names the reason, although the head has no end."""
    sent, code, hint = NOT_HTTP_1[name]
    with run_proxy(gateway.url, LUMEN_HEADER_TIMEOUT_S=HEAD_S) as served:
        capture = client.send(served.url, sent, timeout_s=WITHIN_S)
    error = json.loads(capture.body)["error"]
    assert (capture.status, error["code"], capture.ended) == (400, code, "complete")
    assert hint in error["message"]


def test_a_tls_client(gateway: ScriptedGateway, tmp_path: Path) -> None:
    """A TLS client fails at once, and the log has one hint, however often it tries."""
    with run_proxy(gateway.url, LUMEN_HEADER_TIMEOUT_S=HEAD_S) as served:
        log = served.proxy.log = WorkerLog(tmp_path / "log", max_bytes=10_000, keep=1, days=1, level="info")
        host, port = served.url.removeprefix("http://").split(":")
        for _ in range(2):
            with socket.create_connection((host, int(port)), timeout=WITHIN_S) as sock, pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")
        until("both are counted", lambda: served.get("/metrics").body.count(b'"https_not_supported"} 2.0'), within_s=10)
        log.flush()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    hints = [line for line in lines if line["level"] == "warning"]
    assert [line["event"] for line in hints] == ["https_not_supported"]
    assert "http://" in hints[0]["hint"]


def test_a_request_byte_by_byte(gateway: ScriptedGateway) -> None:
    """A request is served if its bytes arrive one at a time, with empty lines before it."""
    request = b"\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with run_proxy(gateway.url) as served:
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for value in request:
                sock.sendall(bytes([value]))
            assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
