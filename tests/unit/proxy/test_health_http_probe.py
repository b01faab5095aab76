"""One question of a diagnosis: what a call says of each kind of answer, and within which time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.ports import reserved_port
from lumen_proxy.health.http_probe import ask
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
def test_how_a_question_ends(gateway: ScriptedGateway, reply: Reply, status: int | None, trouble: str | None) -> None:
    """One request, no redirect, and an end at the deadline however slowly bytes come."""
    gateway.standing = reply
    found = ask("GET", f"{gateway.url}/health?key=secret", within_s=0.5)
    assert (found.status, found.trouble) == (status, trouble)
    assert found.url == f"{gateway.url}/health"
    assert len(gateway.calls) == 1
    assert found.ms is not None
    assert found.ms < 5_000  # ten times the deadline: a busy machine


def test_a_deadline_where_no_shutdown_wakes_the_reader(
    gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows the time-out of the socket ends the question."""
    monkeypatch.setattr("lumen_proxy.net.shutdown.DONT_WAIT", 0)
    monkeypatch.setattr("socket.socket.shutdown", lambda *_: None)
    gateway.standing = replies.silent
    found = ask("GET", gateway.url, within_s=0.5)
    assert found.trouble == "timeout"
    assert found.ms is not None
    assert found.ms < 5_000  # ten times the deadline: a busy machine


def test_an_address_with_a_query_and_no_path(gateway: ScriptedGateway) -> None:
    """The path of the request is `/`."""
    assert ask("GET", f"{gateway.url}?x=1", within_s=5.0).status is not None
    assert gateway.calls[0].path == "/?x=1"


@pytest.mark.parametrize("proxy", ["http://[", "socks5://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong and what to do are told apart."""
    monkeypatch.setenv("http_proxy", proxy)
    found = ask("GET", "http://gateway.invalid/", within_s=5.0)
    assert "http_proxy" in found.detail
    assert "unset" in found.remedy
    assert "unset" not in found.detail


def test_a_question_that_reaches_nobody() -> None:
    """What failed, and for an unknown name which one."""
    with reserved_port() as port:
        assert ask("GET", f"http://127.0.0.1:{port}/", within_s=5.0).trouble == "refused"
    found = ask("GET", "http://gateway.invalid/", within_s=5.0)
    assert found.trouble == "unknown_host"
    assert "'gateway.invalid'" in found.detail


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_a_compressed_answer_is_read(gateway: ScriptedGateway, compress: Callable[[bytes], bytes]) -> None:
    """Some servers compress although nobody asks for it; one byte beyond the limit is decompressed."""
    headers = (("Content-Encoding", "gzip" if compress is gzip.compress else "deflate"),)
    gateway.script(replies.respond_with(compress(b'{"status": "ok"}'), headers=headers))
    gateway.script(replies.respond_with(compress(b" " * (8 * ANSWER_BYTES)), headers=headers))
    assert ask("GET", gateway.url, within_s=5.0).json() == {"status": "ok"}
    assert len(ask("GET", gateway.url, within_s=5.0).body) == ANSWER_BYTES + 1


def test_what_is_sent(gateway: ScriptedGateway) -> None:
    """JSON in UTF-8 and the given headers; one of None is left out."""
    ask("POST", f"{gateway.url}/chat", within_s=5.0, body={"message": "안녕"}, headers={"X-API-Key": None, "X-A": "b"})
    (call,) = gateway.chats
    assert call.json() == {"message": "안녕"}
    assert call.header("content-type") == "application/json; charset=utf-8"
    assert (call.header("x-a"), call.header("x-api-key")) == ("b", None)
