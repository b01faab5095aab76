"""A server whose answer to the probe is not HTTP: the error has what came, what was expected, and what to do."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import call
from lumen_conformance.stages.observations import read_text
from lumen_conformance.targets.endpoint import Health
from lumen_conformance.targets.readiness import describe_answer
from tests.fixtures.suite_subprocess import run as judged
from tests.unit.conformance import plain_server

EXPECTED = "expected 'HTTP/1.1 200 OK', header lines 'Name: value' and a blank line"
OK = b"HTTP/1.1 200 OK\r\n"
ONE = ("tests/contract/test_a_process.py",)


class Speaker:
    """A server that sends these bytes to each client, and closes the connection."""

    def __init__(self) -> None:
        self.says = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(65_536)
                peer.sendall(self.says)

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    """A server whose bytes the test sets."""
    opened = Speaker()
    yield opened
    opened.close()


ANSWERS = {
    "no-colon": (OK + b"Server plain\r\nContent-Length: 0\r\n\r\n", "as line 2 b'Server plain'"),
    "control-character": (OK + b"Date: x\r\nX: a\x00b\r\n\r\n", r"as line 3 b'X: a\x00b'"),
    "space-before-colon": (OK + b"Content-Length : 0\r\n\r\n", "as line 2 b'Content-Length : 0'"),
    "bad-length": (OK + b"Content-Length: none\r\n\r\n", "as line 2 b'Content-Length: none'"),
    "status-in-words": (b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n", "as line 1 b'HTTP/1.1 OK'"),
    "another-protocol": (b"SSH-2.0-OpenSSH_9.9\r\n", "as line 1 b'SSH-2.0-OpenSSH_9.9'"),
    "two-lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", r"b'HTTP/1.1 200 OK\r\nContent-Le"),
    "long-line": (OK + b"x" * 500 + b"\r\n\r\n", f"as line 2 b'{'x' * 60}'"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_what_came(speaker: Speaker, name: str) -> None:
    """The invalid line is quoted, escaped and cut; where each line is valid, the beginning of the head is quoted."""
    speaker.says, received = ANSWERS[name]
    answer = describe_answer(call(f"http://127.0.0.1:{speaker.port}", "GET", "/health"))
    assert answer.startswith("answered with no HTTP response (invalid, ")
    assert f"received {received}" in answer
    assert answer.endswith(EXPECTED)
    assert "\n" not in answer
    assert "bytearray" not in answer


def test_an_answer_is_described_by_its_status(speaker: Speaker) -> None:
    """A response has its status, and no response its reason."""
    speaker.says = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    assert (
        describe_answer(call(f"http://127.0.0.1:{speaker.port}", "GET", "/health"))
        == "answered with status 503 (complete)"
    )
    refused = Capture("", b"", ended="refused", error="ConnectionRefusedError")
    assert describe_answer(refused) == "not answered: no program listens on this port (ConnectionRefusedError)"


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"pid": %b}' % (b"9" * 5_000), b'{"restarts": 1e999}', b"\xff"],
    ids=["deep", "long-integer", "infinity", "no-utf8"],
)
def test_health_that_python_does_not_read(body: bytes) -> None:
    """A body of the probe that Python does not read is no error: the status says whether the server is ready."""
    answer = Capture("", b"", status=200, body=body)
    health = Health.of(answer, ready=True)
    assert (health.ready, health.pid, health.restarts) == (True, 0, -1)
    assert read_text(answer) == ""


def test_by_command(tmp_path: Path) -> None:
    """The one error of a run has what came, what was expected, and the options that help."""
    command = f"--proxy-command='{sys.executable}' '{plain_server.__file__}' {{port}} no-http"
    ended = judged(tmp_path, command, "--proxy-start-timeout=3", "-k", "A1", tests=ONE)
    assert ended.ids("error") == {"A1"}, ended.output
    assert re.search(
        r"never became ready: the server was not ready within 3 s: GET http://127\.0\.0\.1:\d+/health was answered "
        r"with no HTTP response .*, expected status 200; see its log below; give a longer --proxy-start-timeout, or ",
        ended.output,
    )
    for text in ("received as line 2 b'Server plain'", EXPECTED, "--proxy-health-path", "the word is None"):
        assert text in ended.output


def test_by_url(speaker: Speaker, tmp_path: Path) -> None:
    """The error of a running server has the same texts."""
    speaker.says = ANSWERS["no-colon"][0]
    url = (f"--proxy-url=http://127.0.0.1:{speaker.port}", "--proxy-model=m", "-k", "F1.1")
    ended = judged(tmp_path, *url, tests=("tests/contract/test_f_errors.py",))
    assert len(ended.ids("error")) == 1, ended.output
    assert f"received as line 2 b'Server plain', {EXPECTED}" in ended.output
    assert "--proxy-health-path" in ended.output


NO_FILE = "your server ended with exit status 2 before it was ready: {python}: can't open file "


def test_a_server_that_ends_at_once(tmp_path: Path) -> None:
    """The end of a server is reported once: exit status, last line of its log, and what to check in the command."""
    ended = judged(tmp_path, f"--proxy-command='{sys.executable}' nope.py", "-k", "A1", tests=ONE)
    assert ended.ids("error") == {"A1"}, ended.output
    answer = f"the target never became ready: {NO_FILE.format(python=sys.executable)}"
    (line,) = (line for line in ended.output.splitlines() if line.startswith(answer))
    assert line.endswith("; check --proxy-command, which has no {port}: the port is in PROXY_PORT only")
    for text in ("During handling", "is ready:", "last seen"):
        assert text not in ended.output
