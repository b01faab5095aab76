"""The scripted gateway as an HTTP server: paths, methods, media types, sizes, versions, ends of connections."""

import gzip
import json
import socket

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import Connection, call
from lumen_conformance.targets.endpoint import CHAT

MODELS = "/v1/models"
JSON = ("Content-Type", "application/json")


def question(**fields: object) -> dict[str, object]:
    """Return a good request."""
    return {"model": "m", "messages": [{"role": "user", "content": "안녕"}], **fields}


ROUTES: dict[str, tuple[str, str, int, str | None]] = {
    "stored-answers": ("GET", CHAT, 405, "POST"),
    "head-of-a-chat": ("HEAD", CHAT, 405, "POST"),
    "put": ("PUT", CHAT, 405, "POST"),
    "delete-models": ("DELETE", MODELS, 405, "GET, HEAD"),
    "delete-a-model": ("DELETE", f"{MODELS}/gpt-4o-mini", 405, "GET, HEAD"),
    "post-models": ("POST", MODELS, 405, "GET, HEAD"),
    "model": ("GET", f"{MODELS}/gpt%2D4o-mini", 200, None),
    "unknown-model": ("GET", f"{MODELS}/some/other", 404, None),
    "models-slash": ("GET", f"{MODELS}/", 404, None),
    "unknown": ("POST", "/v1/chat/completion", 404, None),
    "slash": ("POST", f"{CHAT}/", 404, None),
    "v1": ("GET", "/v1", 404, None),
}


@pytest.mark.parametrize("name", ROUTES)
def test_routes(name: str, gateway: ScriptedGateway) -> None:
    """A wrong method is 405 with the allowed ones, an unknown path 404; both keep the connection and the request id."""
    method, path, status, allow = ROUTES[name]
    with Connection(gateway.url, [("X-Request-Id", "mine")]) as connection:
        capture = connection.call(method, path)
        again = connection.call("GET", MODELS)
    assert (capture.status, capture.header("allow"), capture.header("x-request-id")) == (status, allow, "mine")
    assert method == "HEAD" or status == 200 or capture.json()["error"]["message"]
    assert (again.status, gateway.connections) == (200, 1)


@pytest.mark.parametrize("path", [MODELS, "/v1/nothing", "/nothing", "/health", CHAT])
def test_head_has_no_body(path: str, gateway: ScriptedGateway) -> None:
    """HEAD is answered like GET, without the body."""
    with Connection(gateway.url) as connection:
        head, get = connection.call("HEAD", path), connection.call("GET", path)
    assert (head.status, head.raw) == (get.status, head.raw_head)
    assert head.header("content-length") == get.header("content-length")


MEDIA: dict[str, tuple[list[tuple[str, str]], int]] = {
    "json": ([("Content-Type", "Application/JSON; charset=utf-8")], 200),
    "text": ([("Content-Type", "text/plain")], 415),
    "form": ([("Content-Type", "application/x-www-form-urlencoded")], 415),
    "none": ([], 415),
    "identity": ([JSON, ("Content-Encoding", "identity")], 200),
    "gzip": ([JSON, ("Content-Encoding", "gzip")], 415),
    "unknown-coding": ([JSON, ("Content-Encoding", "rot13")], 415),
}


@pytest.mark.parametrize("name", MEDIA)
def test_media(name: str, gateway: ScriptedGateway) -> None:
    """A body that is not plain JSON is refused with 415; the answer names the supported codings."""
    headers, status = MEDIA[name]
    body = json.dumps(question()).encode()
    capture = call(gateway.url, "POST", CHAT, body=gzip.compress(body) if name == "gzip" else body, headers=headers)
    coded = status == 415 and len(headers) == 2
    assert (capture.status, capture.header("accept-encoding")) == (status, "identity" if coded else None)
    assert status == 200 or capture.json()["error"]["type"] == "invalid_request_error"


def test_too_large_is_no_reset(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body above the limit is read to its end and refused; the record keeps no more than the limit."""
    for module in ("lumen_conformance.gateway.server", "lumen_conformance.gateway.openai_routes"):
        monkeypatch.setattr(f"{module}.MAX_BODY_BYTES", 100_000)
    with Connection(gateway.url) as connection:
        capture = connection.call("POST", CHAT, body=b"x" * 1_000_000, headers=[JSON])
        assert (capture.status, capture.ended, capture.error) == (413, "complete", None)
        assert connection.call("POST", CHAT, json=question()).status == 200
    assert len(gateway.chats[0].body) == 100_001


def spoken(gateway: ScriptedGateway, request: bytes) -> bytes:
    """Return everything that the gateway sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as sock:
        sock.sendall(request)
        return sock.makefile("rb").read()


def raw(body: dict[str, object], version: str, *lines: str) -> bytes:
    """Return a chat request as bytes."""
    data = json.dumps(body).encode()
    head = [f"POST {CHAT} HTTP/{version}", "Host: x", "Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*head, *lines, "", ""]).encode() + data


def test_close_is_obeyed(gateway: ScriptedGateway) -> None:
    """A client that asks for the end of the connection gets it, with a header that announces it."""
    received = spoken(gateway, raw(question(), "1.1", "Connection: close"))
    assert b"\r\nConnection: close\r\n" in received
    assert received.count(b"HTTP/1.1 ") == 1


def test_old_http_has_no_chunks(gateway: ScriptedGateway) -> None:
    """A stream for HTTP/1.0 ends with the connection, and is not chunked."""
    head, _, body = spoken(gateway, raw(question(stream=True), "1.0")).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")


def test_expectation_is_met(gateway: ScriptedGateway) -> None:
    """A client that waits for 100 Continue gets it."""
    request = raw(question(), "1.1", "Expect: 100-continue", "Connection: close")
    head, _, body = request.partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 200 ")


def test_invalid_http_is_refused(gateway: ScriptedGateway) -> None:
    """Bytes that are not HTTP are refused with an OpenAI error and a request id."""
    head, _, body = spoken(gateway, b"GET / HTTP/1.1\r\nno colon here\r\n\r\n").partition(b"\r\n\r\n")
    assert b"x-request-id: req_" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_a_large_head_is_no_reset(gateway: ScriptedGateway) -> None:
    """A head that is too large is refused with an OpenAI error while its client still sends."""
    capture = call(gateway.url, "GET", MODELS, headers=[("X", "x" * 16_000_000)])
    assert (capture.status, capture.ended, capture.error) == (431, "complete", None)


def test_a_whole_address_is_a_path(gateway: ScriptedGateway) -> None:
    """The target of a request may contain the origin."""
    assert b'"object": "list"' in spoken(
        gateway, f"GET {gateway.url}{MODELS}?limit=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
