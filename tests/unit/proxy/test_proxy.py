"""The routes of the proxy, in this process, in front of a scripted gateway."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from lumen_conformance.waiting import until
from lumen_proxy.logs.worker_log import Log
from lumen_proxy.worker.app import Identity
from tests.unit.proxy.serving import USER, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lumen_conformance.gateway.server import ScriptedGateway
    from lumen_conformance.http.capture import Capture

WITHIN_S = 10.0
KEY = "sk-canary-0123456789"


@pytest.fixture
def served(gateway: ScriptedGateway) -> Iterator[Serving]:
    """A proxy with default settings."""
    with serving(gateway.url) as it:
        yield it


def error(got: Capture) -> dict[str, Any]:
    """The error of an envelope."""
    assert got.header("content-type") == "application/json; charset=utf-8"
    assert got.header("x-request-id")
    value: dict[str, Any] = json.loads(got.body)["error"]
    assert value.keys() == {"message", "type", "param", "code"}
    return value


def events(got: Capture) -> list[bytes]:
    """The events of a stream that ended well."""
    assert got.ended == "complete"
    assert got.header("content-type") == "text/event-stream; charset=utf-8"
    return got.body.split(b"\n\n")[:-1]


def text_of(got: Capture) -> str:
    """The joined deltas of a stream."""
    chunks = [json.loads(event[6:]) for event in events(got) if event.startswith(b"data: {")]
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])


def test_a_completion(served: Serving, gateway: ScriptedGateway) -> None:
    """All fields of behaviour.md, and headers."""
    got = served.chat("안녕", model="gpt-x", temperature=1)
    body = got.json()
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "안녕", "refusal": None}
    assert body["model"] == "lumen-gateway"
    metadata = body["lumen_metadata"]
    assert metadata | {"response_time_ms": 0, "overhead_ms": 0} == {
        "persona": {"name": "세나"},
        "sources": ["cache"],
        "timestamp": "2025-10-24T10:09:00",
        "channel": "gateway",
        "requested_model": "gpt-x",
        "attempts": 1,
        "response_time_ms": 0,
        "overhead_ms": 0,
        "ignored_parameters": ["temperature"],
        "history_dropped": 0,
        "replaced_parts": 0,
        "gateway_warnings": [],
        "usage_source": "estimated",
    }
    assert metadata["response_time_ms"] > 0
    assert 0 <= metadata["overhead_ms"] < 1000
    assert str(got.header("openai-processing-ms")).isdigit()
    assert len(gateway.chats) == 1


@pytest.mark.parametrize(
    "text", ["안녕하세요", "한국어", "👨‍👩‍👧‍👦🌙", "a\u2028b\u0085c\rd", 'q"\\', "[DONE]\ndata: x"]
)
def test_text_comes_back_as_it_went(served: Serving, text: str) -> None:
    """Plain or streamed, not a character changes."""
    assert served.chat(text).json()["choices"][0]["message"]["content"] == text
    streamed = served.chat(text, stream=True)
    assert text_of(streamed) == text
    assert streamed.body.isascii()  # so that nobody can cut a syllable


def test_a_large_answer_streams_whole(served: Serving, gateway: ScriptedGateway) -> None:
    """One megabyte in pieces is the same megabyte."""
    text = "가나다라 마바사 👋 " * 30_000
    gateway.script(replies.answer_with(text))
    assert text_of(served.chat(stream=True)) == text


def test_a_stream_with_usage(served: Serving) -> None:
    """Usage comes last before [DONE], and is null before."""
    got = events(served.chat("안녕", stream=True, stream_options={"include_usage": True}))
    assert got[-1] == b"data: [DONE]"
    chunks = [json.loads(event[6:]) for event in got[:-1]]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert {chunk["usage"] for chunk in chunks[:-1]} == {None}


def test_stop_strings_cut_the_text(served: Serving) -> None:
    """Plain and streamed alike."""
    assert served.chat("one two three", stop=[" three", "two"]).json()["choices"][0]["message"]["content"] == "one "
    assert text_of(served.chat("one two three", stop="two", stream=True)) == "one "


def test_a_slow_stream_is_kept_alive_then_answers(gateway: ScriptedGateway) -> None:
    """After the commit time headers and comments go out; the chunks follow."""
    gate = threading.Event()
    gateway.script(replies.gated(gate))
    with serving(gateway.url, LUMEN_STREAM_COMMIT_S="0", LUMEN_SSE_KEEPALIVE_S="0.05") as served:
        got = served.chat(
            stream=True, timeout_s=WITHIN_S, on_body=lambda body: gate.set() if body.count(b":") > 2 else None
        )
    parts = events(got)
    assert parts[:3] == [b": keep-alive"] * 3
    assert text_of(got) == "안녕하세요"
    assert parts[-1] == b"data: [DONE]"


def test_a_late_failure_is_the_last_event(gateway: ScriptedGateway) -> None:
    """After the headers a failure is an error event: no finish, no [DONE]."""
    gateway.standing = replies.silent
    with serving(gateway.url, LUMEN_STREAM_COMMIT_S="0.05", LUMEN_TIMEOUT_S="0.3") as served:
        got = served.chat(stream=True)
        assert json.loads(events(got)[-1][6:])["error"]["code"] == "gateway_timeout"
        assert b"[DONE]" not in got.body
        assert b"finish_reason" not in got.body


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_models(served: Serving, path: str) -> None:
    """The static list, with and without the prefix."""
    listed = served.get(path).json()["data"]
    assert [served.get(f"{path}/{entry['id']}").json() for entry in listed] == listed
    for name in ("nope", "vendor/nope"):
        assert error(served.get(f"{path}/{name}"))["code"] == "model_not_found"


def test_health_needs_no_gateway(served: Serving, gateway: ScriptedGateway) -> None:
    """Liveness tells who answers and costs nothing."""
    gateway.down()
    served.proxy.identity = Identity("abc", 3, 2, 4711, 0.0)
    body = served.get("/health").json()
    assert body | {"pid": 0, "uptime_s": 0, "version": ""} == {
        "status": "ok",
        "service": "lumen-proxy",
        "version": "",
        "instance": "abc",
        "pid": 0,
        "supervisor_pid": 4711,
        "generation": 3,
        "restarts": 2,
        "uptime_s": 0,
    }
    assert gateway.calls == ()


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        ("127.0.0.1", {"instance", "pid", "supervisor_pid"}),
        ("::1", {"instance", "pid", "supervisor_pid"}),
        ("10.0.0.7", set()),
        ("2001:db8::1", set()),
        ("", set()),
    ],
)
def test_pids_are_for_this_machine(served: Serving, peer: str, shown: set[str]) -> None:
    """Who asks from elsewhere learns that the proxy lives, and neither PIDs nor instance."""
    got = served.proxy.wsgi.test_client().get("/health", environ_base={"REMOTE_ADDR": peer})
    common = {"status", "service", "version", "generation", "restarts", "uptime_s"}
    assert (got.status_code, set(got.json or {})) == (200, common | shown)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/nope", None),
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("OPTIONS", "/v1/models", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
    ],
)
def test_wrong_turns(served: Serving, method: str, path: str, allow: str | None) -> None:
    """Unknown routes and methods are told in the envelope."""
    got = client.call(served.url, method, path, headers=[("Content-Type", "application/json")])
    expected = (405, "method_not_supported") if allow else (404, "not_found")
    assert (got.status, error(got)["code"]) == expected
    assert got.header("allow") == allow


def test_head_has_no_body(served: Serving) -> None:
    """HEAD is GET without the body."""
    got = client.call(served.url, "HEAD", "/health")
    assert (got.status, got.body) == (200, b"")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_a_chat_must_be_json(served: Serving, media_type: str) -> None:
    """A form or plain text, which any web page may send, is refused."""
    got = client.call(served.url, "POST", "/v1/chat/completions", body=b"{}", headers=[("Content-Type", media_type)])
    assert (got.status, error(got)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1, evil", "10.0.0.1", "192.0.2.1"]
)
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nope"])
def test_a_foreign_host_is_refused(served: Serving, host: str, path: str) -> None:
    """On every route: a rebound name must learn nothing."""
    got = served.get(path, ("Host", host))
    assert (got.status, error(got)["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("evil.example:8080", "evil.example"),
        ("[fe80::1]:8080", "fe80::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("evil:x", "evil:x"),
    ],
)
def test_a_refused_host_is_named(served: Serving, host: str, name: str) -> None:
    """Its whole name or address, as LUMEN_ALLOWED_HOSTS takes it; a malformed Host as it was sent."""
    told = error(served.get("/health", ("Host", host)))
    assert told["message"].startswith(f"This Host is not allowed: {name!r}. ")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:80", "[::1]:8080"])
def test_loopback_hosts_are_served(served: Serving, host: str) -> None:
    """By any port, since ports are forwarded."""
    assert served.get("/health", ("Host", host)).status == 200


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "file://", ""])
def test_an_undeclared_origin_is_refused(served: Serving, origin: str) -> None:
    """A page that is neither of loopback nor declared is refused, and the message says what to do."""
    got = served.get("/v1/models", ("Origin", origin))
    told = error(got)
    assert (got.status, told["code"]) == (403, "origin_not_allowed")
    assert told["message"].startswith(f"This Origin is not allowed: {origin!r}. Add it to LUMEN_ALLOWED_ORIGINS")
    assert got.header("access-control-allow-origin") is None


def test_declared_hosts_and_origins(gateway: ScriptedGateway) -> None:
    """What is declared is served, with CORS for that origin only, errors included."""
    page = ("Origin", "https://Page.example")
    settings = {"LUMEN_ALLOWED_HOSTS": "box.lan", "LUMEN_ALLOWED_ORIGINS": "https://page.example"}
    with serving(gateway.url, PROXY_API_KEY=KEY, **settings) as served:
        assert served.get("/health", ("Host", "box.lan:8080")).status == 200
        got = served.get("/v1/models", page)
        assert (got.status, got.header("access-control-allow-origin")) == (401, "https://Page.example")
        ask = [
            page,
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization, x-a"),
        ]
        got = client.call(served.url, "OPTIONS", "/v1/chat/completions", headers=ask)
        assert (got.status, got.header("access-control-allow-headers")) == (204, "authorization, x-a")
        assert served.get("/v1/models", ("Origin", "https://other.example")).status == 403


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer é"]
)
def test_the_key_is_needed(gateway: ScriptedGateway, header: str | None) -> None:
    """Without the right key nothing but liveness and readiness is told."""
    headers = [] if header is None else [("Authorization", header)]
    with serving(gateway.url, PROXY_API_KEY=KEY) as served:
        for path in ("/v1/models", "/models", "/metrics", "/v1/chat/completions"):
            got = served.get(path, *headers)
            assert (got.status, error(got)["code"]) == (401, "invalid_api_key")
            assert KEY.encode() not in got.raw_head + got.body
        assert [served.get(path).status for path in ("/health", "/ready", "/")] == [200] * 3
        assert served.chat(headers=(("Authorization", f"bearer {KEY}"),)).status == 200


def test_the_callers_request_id_is_kept(served: Serving) -> None:
    """A sane one on answers, streams and errors; another is replaced."""
    mine = ("x-request-id", "mine-1")
    assert served.chat(headers=(mine,)).header("x-request-id") == "mine-1"
    assert served.chat(stream=True, headers=(mine,)).header("x-request-id") == "mine-1"
    assert served.get("/nope", mine).header("x-request-id") == "mine-1"
    assert str(served.get("/health", ("x-request-id", "a b")).header("x-request-id")).startswith("req_")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 60_000, b"\xff"])
def test_no_body_is_an_error_of_ours(served: Serving, body: bytes) -> None:
    """Whatever the bytes, it is a 400, and the next request is served."""
    got = client.call(
        served.url, "POST", "/v1/chat/completions", body=body, headers=[("Content-Type", "application/json")]
    )
    assert (got.status, error(got)["code"]) == (400, "invalid_json")
    assert served.chat().status == 200


def test_our_own_bug_is_told_without_details(served: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 with an id only; the log has type and place; a stream that had begun ends with an error event."""
    served.proxy.log = Log(tmp_path / "log", max_bytes=10_000, keep=1, days=1, level="info")
    monkeypatch.setattr("lumen_proxy.worker.chat.until_stop", lambda *_: 1 / 0)
    for stream in (False, True):
        got = served.chat("secret", stream=stream)
        assert (got.status, error(got)["code"]) == (500, "internal_error")
        assert got.header("x-should-retry") == "false"
        assert b"Zero" not in got.body
    served.proxy.log.flush()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    bugs = [line for line in lines if line["event"] == "internal_error"]
    assert {line["error"] for line in bugs} == {"ZeroDivisionError"}
    assert {line["request_id"] for line in bugs} == {line["request_id"] for line in lines}


def test_a_bug_in_mid_stream_is_an_error_event(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a clean early end."""

    def chunks(*_: object, **__: object) -> Iterator[dict[str, Any]]:
        yield {"choices": []}
        raise ZeroDivisionError

    monkeypatch.setattr("lumen_proxy.wire.openai.Completion.chunks", chunks)
    got = events(served.chat(stream=True))
    assert json.loads(got[-1][6:])["error"]["code"] == "internal_error"


def test_while_draining_chats_are_refused(served: Serving) -> None:
    """503 with a hint, readiness is gone, liveness stays."""
    served.proxy.draining = True
    got = served.chat()
    assert (got.status, error(got)["code"]) == (503, "shutting_down")
    assert got.header("retry-after")
    assert served.get("/ready").status == 503
    assert served.get("/health").status == 200


@pytest.mark.parametrize("commit_s", ["10", "0"])
def test_a_cut_stream_is_told(gateway: ScriptedGateway, commit_s: str) -> None:
    """At the drain's deadline: a status where there was none yet, else an error event."""
    gateway.standing = replies.silent
    with serving(gateway.url, LUMEN_STREAM_COMMIT_S=commit_s) as served:
        results: list[Capture] = []
        asking = threading.Thread(target=lambda: results.append(served.chat(stream=True)))
        asking.start()
        gateway.until_called()
        served.server.drain(0.1)
        asking.join(WITHIN_S)
    got = results[0]
    assert b"shutting_down" in got.body
    assert (got.status, got.ended) == (503 if commit_s == "10" else 200, "complete")


def counted(served: Serving, what: str) -> Capture | None:
    """The page of metrics, once that is on it: a request is counted after its last byte."""
    got = served.get("/metrics")
    return got if what in got.body.decode() else None


def test_metrics(served: Serving) -> None:
    """Counts, times, means and gauges, by route template only."""
    served.chat()
    served.get("/v1/models/secret-name")
    got = until("counted", lambda: counted(served, 'code="model_not_found"'), within_s=WITHIN_S)
    assert str(got.header("content-type")).startswith("text/plain")
    page = got.body.decode()
    for line in (
        'lumen_requests_total{route="/chat/completions",status="200"} 1.0',
        'lumen_rejections_total{code="model_not_found"} 1.0',
        'lumen_request_seconds_count{route="/chat/completions"} 1.0',
        'lumen_gateway_seconds_count{channel="gateway"} 1.0',
        "lumen_overhead_seconds_count 1.0",
        'lumen_tokens_total{kind="prompt"} 4.0',
        "lumen_in_flight 0.0",
        "lumen_queued 0.0",
        "lumen_breaker_open 0.0",
        "lumen_restarts 0.0",
        "lumen_retries_total 0.0",
        "lumen_fallbacks_total 0.0",
    ):
        assert line in page.splitlines()
    assert 'lumen_request_seconds_mean{route="/chat/completions"}' in page
    assert "secret-name" not in page


def test_the_log_has_no_words_of_users(served: Serving, tmp_path: Path) -> None:
    """Metadata only, ASCII, one JSON object a line."""
    log = served.proxy.log = Log(tmp_path / "log", max_bytes=10_000, keep=1, days=1, level="info")
    served.chat("비밀", user="secret-user", headers=(("Authorization", "Bearer secret-key"),))
    until("logged", lambda: log.flush() or (tmp_path / "log").exists(), within_s=WITHIN_S)  # type: ignore[func-returns-value]
    text = (tmp_path / "log").read_text("ascii")
    line = json.loads(text)
    assert {"route": "/chat/completions", "status": 200, "channel": "gateway", "stream": False}.items() <= line.items()
    assert "secret" not in text
    assert json.dumps("비밀")[1:-1] not in text


def test_a_conversation_is_folded(served: Serving, gateway: ScriptedGateway) -> None:
    """Instructions and turns reach the gateway in one message."""
    messages = [{"role": "system", "content": "짧게"}, USER, {"role": "assistant", "content": "네"}, USER]
    got = client.call(served.url, "POST", "/chat/completions", json={"messages": messages})
    assert got.status == 200
    sent = gateway.chats[0].message
    assert [sent.index(text) for text in ("짧게", "안녕하세요", "네")] == sorted(
        sent.index(text) for text in ("짧게", "안녕하세요", "네")
    )


def test_too_long_a_message_is_told(gateway: ScriptedGateway) -> None:
    """The limit of the gateway is a 400, not a failure of the gateway."""
    with serving(gateway.url, LUMEN_MAX_MESSAGE_CHARS="10") as served:
        assert served.chat("x" * 10).status == 200
        got = served.chat("x" * 11)
        assert (got.status, error(got)["code"]) == (400, "context_length_exceeded")
        assert len(gateway.chats) == 1
