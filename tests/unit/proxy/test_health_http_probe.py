"""One request of a diagnosis: the result for each kind of response, and its deadline."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.ports import reserved_port
from lumen_proxy.health.http_probe import run_all, send_probe
from lumen_proxy.net.fetch import ANSWER_BYTES

ENDINGS: list[tuple[Reply, int | None, str | None]] = [
    (replies.respond_with({"status": "ok"}), 200, None),
    (replies.respond_with({}, 302, headers=(("Location", "http://127.0.0.1:1/"),)), 302, None),
    (replies.respond_with({}, 407), 407, None),
    (replies.respond_with(b"x" * (4 * ANSWER_BYTES)), 200, None),
    (replies.silent, None, "timeout"),
    (replies.drip(0.05, b"x" * 5000), None, "timeout"),
    (replies.truncated, None, "lost"),
    (replies.reset_after_request, None, "lost"),
    (replies.garbage, None, "lost"),
]


@pytest.mark.parametrize(("reply", "status", "trouble"), ENDINGS)
def test_results_of_a_request(gateway: ScriptedGateway, reply: Reply, status: int | None, trouble: str | None) -> None:
    """There is one request without redirects, and it ends at the deadline, however slowly bytes arrive."""
    gateway.standing = reply
    found = send_probe("GET", f"{gateway.url}/health?key=secret", within_s=0.5)
    assert (found.status, found.trouble) == (status, trouble)
    assert found.url == f"{gateway.url}/health"
    assert len(gateway.calls) == 1
    assert found.ms is not None
    assert found.ms < 5_000  # ten times the deadline: a busy machine


def test_a_deadline_without_a_shutdown(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a shutdown does not wake the reader (Windows), the time-out of the socket ends the request."""
    monkeypatch.setattr("lumen_proxy.net.response.DONT_WAIT", 0)
    monkeypatch.setattr("socket.socket.shutdown", lambda *_: None)
    gateway.standing = replies.silent
    found = send_probe("GET", gateway.url, within_s=0.5)
    assert found.trouble == "timeout"
    assert found.ms is not None
    assert found.ms < 5_000  # ten times the deadline: a busy machine


def test_an_address_with_a_query_and_no_path(gateway: ScriptedGateway) -> None:
    """The path of the request is `/` if the address has a query and no path."""
    assert send_probe("GET", f"{gateway.url}?x=1", within_s=5.0).status is not None
    assert gateway.calls[0].path == "/?x=1"


@pytest.mark.parametrize("proxy", ["http://[", "socks5://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem and the remedy are separate fields."""
    monkeypatch.setenv("http_proxy", proxy)
    found = send_probe("GET", "http://gateway.invalid/", within_s=5.0)
    assert "http_proxy" in found.detail
    assert "unset" in found.remedy
    assert "unset" not in found.detail


def test_a_request_without_a_connection() -> None:
    """The result says what failed, and which host name is unknown."""
    with reserved_port() as port:
        assert send_probe("GET", f"http://127.0.0.1:{port}/", within_s=5.0).trouble == "refused"
    found = send_probe("GET", "http://gateway.invalid/", within_s=5.0)
    assert found.trouble == "unknown_host"
    assert "'gateway.invalid'" in found.detail


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_a_compressed_response_is_read(gateway: ScriptedGateway, compress: Callable[[bytes], bytes]) -> None:
    """A compressed response is decompressed up to one byte beyond the limit."""
    headers = (("Content-Encoding", "gzip" if compress is gzip.compress else "deflate"),)
    gateway.script(replies.respond_with(compress(b'{"status": "ok"}'), headers=headers))
    gateway.script(replies.respond_with(compress(b" " * (8 * ANSWER_BYTES)), headers=headers))
    assert send_probe("GET", gateway.url, within_s=5.0).json() == {"status": "ok"}
    assert len(send_probe("GET", gateway.url, within_s=5.0).body) == ANSWER_BYTES + 1


def test_the_content_of_a_request(gateway: ScriptedGateway) -> None:
    """The request has JSON in UTF-8 and the given headers; a header of None is left out."""
    send_probe(
        "POST", f"{gateway.url}/chat", within_s=5.0, body={"message": "안녕"}, headers={"X-API-Key": None, "X-A": "b"}
    )
    (call,) = gateway.chats
    assert call.json() == {"message": "안녕"}
    assert call.header("content-type") == "application/json; charset=utf-8"
    assert (call.header("x-a"), call.header("x-api-key")) == ("b", None)


def test_a_job_that_does_not_end_is_left_out() -> None:
    """At the deadline the results so far are returned."""
    gate = threading.Event()
    # 10 s: far above the deadline. Without a deadline the result of the first job would be False.
    assert run_all({"stuck": lambda: gate.wait(10.0), "done": lambda: True}, within_s=0.5) == {"done": True}
    gate.set()
