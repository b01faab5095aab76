"""The command line of a failure repeats its request: the tests run bash and curl against a recording server."""

import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.http.client import request_bytes, send
from lumen_conformance.http.curl import body_file

RUN_S = 30.0  # curl takes milliseconds, with telnet two seconds
JSON = ("Content-Type", "application/json")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CHAT = "/v1/chat/completions"
REQUESTS = {
    "get": request_bytes("http://h", "GET", "/v1/models"),
    "head": request_bytes("http://h", "HEAD", "/health"),
    "json": request_bytes("http://h", "POST", CHAT, json={"a": "it's 안녕\n"}),
    "no-media-type": request_bytes("http://h", "POST", CHAT, body=b"{}"),
    "form": request_bytes("http://h", "POST", CHAT, body=b"@a&b", headers=[("Content-Type", "text/plain")]),
    "empty-body": request_bytes("http://h", "POST", CHAT, body=b"", headers=[JSON]),
    "delete": request_bytes("http://h", "DELETE", "/v1/models"),
    "get-with-body": request_bytes("http://h", "GET", "/v1/../x?a=[1]", body=b"{}"),
    "options": request_bytes("http://h", "OPTIONS", CHAT, headers=[("Origin", "null")]),
    "host": request_bytes("http://h", "GET", "/", headers=[("Host", "attacker.example:8080")]),
    "host-empty": request_bytes("http://h", "GET", "/", headers=[("Host", "")]),
    "host-missing": b"GET / HTTP/1.1\r\nAccept: */*\r\nUser-Agent: x\r\n\r\n",
    "origin-empty": request_bytes("http://h", "GET", "/", headers=[("Origin", "")]),
    "bare": b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "odd-bytes": request_bytes("http://h", "POST", CHAT, body=b'"\xbe\xc8\x7f\\\'$(x)`"', headers=[JSON]),
    "not-ascii": request_bytes("http://h", "GET", "/", headers=[("X-Words", "열쇠")]),
    "nul": request_bytes("http://h", "POST", CHAT, body=b"a\0b", headers=[JSON]),
    "long": request_bytes("http://h", "POST", CHAT, body=b"x" * 2_000_000, headers=[JSON]),
}
RAW = {
    "two-hosts": request_bytes("http://h", "GET", "/", headers=[("Host", "a"), ("Host", "b")]),
    "no-header-line": b"GET /health HTTP/1.1\r\nHost: localhost\r\nno colon here\r\n\r\n",
    "absolute-target": b"GET http://attacker.example/health HTTP/1.1\r\nHost: h\r\n\r\n",
    "odd-length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nhi",
}
needs_curl = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="no curl, or no bash")


def _receive(listener: socket.socket, length: int) -> bytes:
    """The bytes of one client: a head, and a body of this length."""
    sock, _ = listener.accept()
    received = b""
    with sock:
        while not (b"\r\n\r\n" in received and len(received.partition(b"\r\n\r\n")[2]) >= length):
            if not (data := sock.recv(65_536)):
                break
            received += data
        sock.sendall(ANSWER)
    return received


def repeated(request: bytes, folder: Path) -> bytes:
    """The bytes that a server receives from the command line of a request; the folder has the file of its body."""
    body = request.partition(b"\r\n\r\n")[2]
    if name := body_file(body):
        (folder / name).write_bytes(body)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(RUN_S)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        received = pool.submit(_receive, listener, len(body))
        target = request.split(b" ", 2)[1].decode()
        sent = request.replace(b"Host: h\r\n", f"Host: {address}\r\n".encode())
        line = Capture(f"http://{address}{target}", sent).curl()
        done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, timeout=RUN_S, check=False)
        assert done.returncode == 0, (line, done.stderr)
        return received.result().replace(f"Host: {address}\r\n".encode(), b"Host: h\r\n")


def meaning(request: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """The request line, the sorted headers, and the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    headers = sorted((name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines))
    return start, headers, body


@needs_curl
@pytest.mark.parametrize("name", REQUESTS)
def test_repeats(name: str, tmp_path: Path) -> None:
    """The command line sends the same method, address, headers and body."""
    assert meaning(repeated(REQUESTS[name], tmp_path)) == meaning(REQUESTS[name])


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes received for invalid requests; all at once, because telnet waits for two seconds."""
    with ThreadPoolExecutor(len(RAW)) as pool:
        received = {name: pool.submit(repeated, sent, tmp_path_factory.mktemp("raw")) for name, sent in RAW.items()}
        return {name: one.result() for name, one in received.items()}


@needs_curl
@pytest.mark.parametrize("name", RAW)
def test_repeats_invalid_requests(name: str, raw: dict[str, bytes]) -> None:
    """An invalid request is repeated byte for byte."""
    assert raw[name] == RAW[name]


def test_secrets_are_masked() -> None:
    """Neither form of the command line contains a key."""
    orderly = request_bytes("http://h", "GET", "/", headers=[("Authorization", "Bearer hush")])
    disorderly = orderly.replace(b"\r\n\r\n", b"\r\nno colon\r\n\r\n")
    lines = [Capture("http://h/", request).curl() for request in (orderly, disorderly)]
    assert [("hush" in line, "***" in line) for line in lines] == [(False, True)] * 2


def test_earlier_requests_are_repeated() -> None:
    """A command repeats the requests before the last one on its connection, but not very many."""
    requests = [f"GET /{number} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for number in range(6)]
    line = Capture("http://h:81/2", requests[2], earlier=tuple(requests[:2])).curl()
    assert [f"GET /{number}" in line for number in range(4)] == [True, True, True, False]
    assert line.endswith("| curl -sS telnet://h:81")
    assert "/4" not in Capture("http://h:81/5", requests[5], earlier=tuple(requests[:5])).curl()


def test_every_request_is_recorded() -> None:
    """`LAST_CAPTURE` has the last exchange, whichever function made it."""
    LAST_CAPTURE.clear()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        capture = send(f"http://127.0.0.1:{bound.getsockname()[1]}", b"GET /here HTTP/1.1\r\n\r\n")
    assert LAST_CAPTURE.capture is capture
