"""The routes of the proxy, in this process, in front of a scripted gateway."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lumen_conformance.gateway import replies
from lumen_conformance.http import client
from lumen_proxy.ipc import Identity
from lumen_proxy.logs.worker_log import WorkerLog
from tests.unit.proxy.running_proxy import USER, RunningProxy, error, run_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lumen_conformance.gateway.server import ScriptedGateway
    from lumen_conformance.http.capture import Capture

WITHIN_S = 10.0


@pytest.fixture
def served(gateway: ScriptedGateway) -> Iterator[RunningProxy]:
    """A proxy with default settings."""
    with run_proxy(gateway.url) as it:
        yield it


def events(capture: Capture) -> list[bytes]:
    """The events of a stream with a regular end."""
    assert capture.ended == "complete"
    assert capture.header("content-type") == "text/event-stream; charset=utf-8"
    return capture.body.split(b"\n\n")[:-1]


def text_of(capture: Capture) -> str:
    """The joined deltas of a stream."""
    chunks = [json.loads(event[6:]) for event in events(capture) if event.startswith(b"data: {")]
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])


def test_a_completion(served: RunningProxy, gateway: ScriptedGateway) -> None:
    """All fields of behaviour.md, and the headers."""
    capture = served.chat("안녕", model="gpt-x", temperature=1)
    body = capture.json()
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
    assert str(capture.header("openai-processing-ms")).isdigit()
    assert len(gateway.chats) == 1


@pytest.mark.parametrize(
    "text", ["안녕하세요", "한국어", "👨‍👩‍👧‍👦🌙", "a\u2028b\u0085c\rd", 'q"\\', "[DONE]\ndata: x"]
)
def test_text_is_returned_unchanged(served: RunningProxy, text: str) -> None:
    """Plain and streamed."""
    assert served.chat(text).json()["choices"][0]["message"]["content"] == text
    streamed = served.chat(text, stream=True)
    assert text_of(streamed) == text
    assert streamed.body.isascii()  # so that no reader splits a character


def test_a_large_answer_streams_whole(served: RunningProxy, gateway: ScriptedGateway) -> None:
    """One megabyte in pieces is the same megabyte."""
    text = "가나다라 마바사 👋 " * 30_000
    gateway.script(replies.answer_with(text))
    assert text_of(served.chat(stream=True)) == text


def test_a_stream_with_usage(served: RunningProxy) -> None:
    """The usage is last before [DONE], and null before."""
    capture = events(served.chat("안녕", stream=True, stream_options={"include_usage": True}))
    assert capture[-1] == b"data: [DONE]"
    chunks = [json.loads(event[6:]) for event in capture[:-1]]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert {chunk["usage"] for chunk in chunks[:-1]} == {None}


def test_stop_strings_cut_the_text(served: RunningProxy) -> None:
    """Plain and streamed."""
    assert served.chat("one two three", stop=[" three", "two"]).json()["choices"][0]["message"]["content"] == "one "
    assert text_of(served.chat("one two three", stop="two", stream=True)) == "one "


def test_a_slow_stream_is_kept_alive_then_answers(gateway: ScriptedGateway) -> None:
    """After the commit time headers and comments are sent; the chunks follow."""
    gate = threading.Event()
    gateway.script(replies.gated(gate))
    with run_proxy(gateway.url, LUMEN_STREAM_COMMIT_S="0", LUMEN_SSE_KEEPALIVE_S="0.05") as served:
        capture = served.chat(
            stream=True, timeout_s=WITHIN_S, on_body=lambda body: gate.set() if body.count(b":") > 2 else None
        )
    parts = events(capture)
    assert parts[:3] == [b": keep-alive"] * 3
    assert text_of(capture) == "안녕하세요"
    assert parts[-1] == b"data: [DONE]"


def test_a_late_failure_is_the_last_event(gateway: ScriptedGateway) -> None:
    """After the headers a failure is an error event, without a finish reason and [DONE]."""
    gateway.standing = replies.silent
    with run_proxy(gateway.url, LUMEN_STREAM_COMMIT_S="0.05", LUMEN_TIMEOUT_S="0.3") as served:
        capture = served.chat(stream=True)
        assert json.loads(events(capture)[-1][6:])["error"]["code"] == "gateway_timeout"
        assert b"[DONE]" not in capture.body
        assert b"finish_reason" not in capture.body


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_models(served: RunningProxy, path: str) -> None:
    """The list is static, with and without the prefix."""
    listed = served.get(path).json()["data"]
    assert [served.get(f"{path}/{entry['id']}").json() for entry in listed] == listed
    for name in ("nope", "vendor/nope"):
        assert error(served.get(f"{path}/{name}"))["code"] == "model_not_found"


def test_health_needs_no_gateway(served: RunningProxy, gateway: ScriptedGateway) -> None:
    """Liveness has the identity of the worker, without a gateway call."""
    gateway.down()
    served.proxy.identity = Identity(instance="abc", supervisor_pid=4711, generation=3)
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
def test_pids_are_for_this_machine(served: RunningProxy, peer: str, shown: set[str]) -> None:
    """Clients on other machines get neither PIDs nor the instance."""
    capture = served.proxy.wsgi.test_client().get("/health", environ_base={"REMOTE_ADDR": peer})
    common = {"status", "service", "version", "generation", "restarts", "uptime_s"}
    assert (capture.status_code, set(capture.json or {})) == (200, common | shown)


def test_head_has_no_body(served: RunningProxy) -> None:
    """HEAD is GET without the body."""
    capture = client.call(served.url, "HEAD", "/health")
    assert (capture.status, capture.body) == (200, b"")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_a_chat_must_be_json(served: RunningProxy, media_type: str) -> None:
    """A form or plain text, which any web page may send, is refused."""
    capture = client.call(
        served.url, "POST", "/v1/chat/completions", body=b"{}", headers=[("Content-Type", media_type)]
    )
    assert (capture.status, error(capture)["code"]) == (415, "unsupported_media_type")


def test_the_request_id_of_the_client_is_kept(served: RunningProxy) -> None:
    """A valid one, in answers, streams and errors; an invalid one is replaced."""
    mine = ("x-request-id", "mine-1")
    assert served.chat(headers=(mine,)).header("x-request-id") == "mine-1"
    assert served.chat(stream=True, headers=(mine,)).header("x-request-id") == "mine-1"
    assert served.get("/nope", mine).header("x-request-id") == "mine-1"
    assert str(served.get("/health", ("x-request-id", "a b")).header("x-request-id")).startswith("req_")


def test_a_bug_is_an_internal_error(served: RunningProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 with a request id; the log has type and line, but no details."""
    served.proxy.log = WorkerLog(tmp_path / "log", max_bytes=10_000, keep=1, days=1, level="info")
    monkeypatch.setattr("lumen_proxy.wire.openai.until_stop", lambda *_: 1 / 0)
    for stream in (False, True):
        capture = served.chat("secret", stream=stream)
        assert (capture.status, error(capture)["code"]) == (500, "internal_error")
        assert capture.header("x-should-retry") == "false"
        assert b"Zero" not in capture.body
    served.proxy.log.flush()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    bugs = [line for line in lines if line["event"] == "internal_error"]
    assert {line["error"] for line in bugs} == {"ZeroDivisionError"}
    assert {line["request_id"] for line in bugs} == {line["request_id"] for line in lines}


def test_a_bug_in_mid_stream_is_an_error_event(served: RunningProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream has no regular end."""

    def chunks(*_: object, **__: object) -> Iterator[dict[str, Any]]:
        yield {"choices": []}
        raise ZeroDivisionError

    monkeypatch.setattr("lumen_proxy.wire.openai.Completion.chunks", chunks)
    capture = events(served.chat(stream=True))
    assert json.loads(capture[-1][6:])["error"]["code"] == "internal_error"


def test_while_draining_chats_are_refused(served: RunningProxy) -> None:
    """503 with Retry-After; readiness fails, liveness does not."""
    served.proxy.is_draining = True
    capture = served.chat()
    assert (capture.status, error(capture)["code"]) == (503, "shutting_down")
    assert capture.header("retry-after")
    assert served.get("/ready").status == 503
    assert served.get("/health").status == 200


@pytest.mark.parametrize("commit_s", ["10", "0"])
def test_a_cut_chat_is_an_error(gateway: ScriptedGateway, commit_s: str) -> None:
    """At the deadline of a drain: a status if headers were not sent, else an error event."""
    gateway.standing = replies.silent
    with run_proxy(gateway.url, LUMEN_STREAM_COMMIT_S=commit_s) as served:
        results: list[Capture] = []
        client_thread = threading.Thread(target=lambda: results.append(served.chat(stream=True)))
        client_thread.start()
        gateway.until_called()
        served.server.drain(0.1)
        client_thread.join(WITHIN_S)
    capture = results[0]
    assert b"shutting_down" in capture.body
    assert (capture.status, capture.ended) == (503 if commit_s == "10" else 200, "complete")


def test_a_conversation_is_folded(served: RunningProxy, gateway: ScriptedGateway) -> None:
    """Instructions and turns reach the gateway in one message."""
    messages = [{"role": "system", "content": "짧게"}, USER, {"role": "assistant", "content": "네"}, USER]
    capture = client.call(served.url, "POST", "/chat/completions", json={"messages": messages})
    assert capture.status == 200
    sent = gateway.chats[0].message
    assert [sent.index(text) for text in ("짧게", "안녕하세요", "네")] == sorted(
        sent.index(text) for text in ("짧게", "안녕하세요", "네")
    )


def test_too_long_a_conversation(gateway: ScriptedGateway) -> None:
    """The limit of the gateway is a 400, not a failure of the gateway."""
    with run_proxy(gateway.url, LUMEN_MAX_MESSAGE_CHARS="10") as served:
        assert served.chat("x" * 10).status == 200
        capture = served.chat("x" * 11)
        assert (capture.status, error(capture)["code"]) == (400, "context_length_exceeded")
        assert len(gateway.chats) == 1
