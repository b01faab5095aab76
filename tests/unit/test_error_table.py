"""The error table of `docs/behaviour.md`, row by row over a real socket, plain and streamed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from lumen_proxy.wire.problems import PROBLEMS
from tests.fixtures import capture, replies
from tests.fixtures.captured import Capture
from tests.fixtures.exchange import Reply
from tests.fixtures.gateway import Gateway
from tests.unit.behaviour import rows
from tests.unit.serving import USER, Serving, serving

TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
PATIENCE_S = 10.0  # far above what any of these takes


@dataclass(frozen=True)
class Case:
    """How a row is brought about: settings, what the gateway does, what is asked, and what happens before."""

    env: Mapping[str, str] = field(default_factory=dict)
    reply: Reply | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False
    before: Callable[[Serving, Gateway], Any] | None = None


def says(status: int, **headers: str) -> Case:
    """The gateway answers with this status."""
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Case(reply=replies.says({}, status, headers=given))


@contextmanager
def crowded(served: Serving, gateway: Gateway) -> Iterator[None]:
    """The one place at the gateway is taken, and nobody may wait."""
    gate = threading.Event()
    gateway.script(replies.gated(gate))
    other = threading.Thread(target=served.chat)
    other.start()
    gateway.until_called()
    try:
        yield
    finally:
        gate.set()
        other.join(PATIENCE_S)


def drained(served: Serving, _: Gateway) -> None:
    """The proxy is about to stop."""
    served.proxy.draining = True


def broken(served: Serving, gateway: Gateway) -> None:
    """One failure is enough here to open the breaker."""
    gateway.script(replies.says({}, 500))
    served.chat()


def down(_: Serving, gateway: Gateway) -> None:
    """Nobody listens at the gateway's port."""
    gateway.down()


CASES = {
    "invalid_json": Case(cut=True),
    "invalid_value": Case(asked={"temperature": 3}),
    "unsupported_value": Case(asked={"n": 2}),
    "unsupported_parameter": Case(asked={"tools": [TOOL], "tool_choice": "required"}),
    "context_length_exceeded": Case(env={"LUMEN_MAX_MESSAGE_CHARS": "3"}),
    "invalid_api_key": Case(env={"PROXY_API_KEY": "sk-right"}, headers=(("Authorization", "Bearer sk-wrong"),)),
    "host_not_allowed": Case(headers=(("Host", "evil.example"),)),
    "origin_not_allowed": Case(headers=(("Origin", "https://evil.example"),)),
    "model_not_found": Case(env={"LUMEN_MODEL_STRICT": "1"}, asked={"model": "nobody"}),
    "request_too_large": Case(env={"LUMEN_MAX_BODY_BYTES": "1024"}, asked={"user": "u" * 1024}),
    "unsupported_media_type": Case(headers=(("Content-Type", "text/plain"),)),
    "concurrency_limit": Case(env={"LUMEN_MAX_CONCURRENCY": "1", "LUMEN_MAX_QUEUE": "0"}, before=crowded),
    "shutting_down": Case(before=drained),
    "circuit_open": Case(env={"LUMEN_BREAKER_FAILURES": "1"}, before=broken),
    "gateway_unreachable": Case(before=down),
    "gateway_misconfigured": says(404),
    "gateway_timeout": Case(env={"LUMEN_TIMEOUT_S": "0.3"}, reply=replies.silent),
    "gateway_connection_lost": Case(reply=replies.reset_after_request),
    "gateway_rejected": says(422),
    "gateway_auth_failed": says(401),
    "rate_limit_exceeded": says(429, Retry_After="7"),
    "gateway_error": says(500),
    "gateway_unavailable": says(503, Retry_After="300"),
    "gateway_invalid_response": Case(reply=replies.html),
    "gateway_declined": Case(reply=replies.answers("no", success=False)),
    "gateway_empty_response": Case(reply=replies.answers("")),
}
# Brought about elsewhere: what has no stream, what needs bytes that are no HTTP, and a bug of ours.
ELSEWHERE = {"not_found", "method_not_supported", "invalid_http", "headers_too_large", "unsupported_encoding"}
ELSEWHERE |= {"internal_error", "client_gone"}
TABLE = {row["code"]: row for row in rows("Errors")}


def ask(served: Serving, case: Case, *, stream: bool) -> Capture:
    """The request of a case."""
    body = json.dumps({"messages": [USER], "stream": stream, **case.asked}).encode()
    headers = case.headers
    if not any(name == "Content-Type" for name, _ in headers):
        headers = (*headers, ("Content-Type", "application/json"))
    return capture.call(
        served.url, "POST", "/v1/chat/completions", body=body[:-1] if case.cut else body, headers=headers,
        timeout_s=PATIENCE_S,
    )  # fmt: skip


@contextmanager
def staged(served: Serving, gateway: Gateway, case: Case) -> Iterator[None]:
    """What happens before the request."""
    if case.reply:
        gateway.script(case.reply)
    happened = case.before(served, gateway) if case.before else None
    if happened is None:
        yield
        return
    with happened:
        yield


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("code", CASES)
def test_error(gateway: Gateway, code: str, stream: bool) -> None:  # noqa: FBT001 -- a row
    """Status, type, code and hint are those of the table, in the envelope, with a request id."""
    case, row = CASES[code], TABLE[code]
    with serving(gateway.url, **case.env) as served, staged(served, gateway, case):
        got = ask(served, case, stream=stream)
    told = json.loads(got.body)["error"]
    assert (str(got.status), told["type"], told["code"]) == (row["status"], row["type"], code)
    assert set(told) == {"message", "type", "param", "code"}
    assert got.header("content-type") == "application/json; charset=utf-8"
    assert got.header("x-request-id")
    assert hint(got) == row["hint"]


def hint(got: Capture) -> str:
    """The hint headers, in the words of the table."""
    again, after = got.header("x-should-retry"), got.header("retry-after")
    told = [f"x-should-retry: {again}"] if again else []
    return " · ".join([*told, "Retry-After"] if after else told)


def test_every_code_has_a_row_and_a_case() -> None:
    """No code of the library is missing in the table or untested."""
    assert set(PROBLEMS) == set(CASES) | ELSEWHERE
    assert set(TABLE) == set(PROBLEMS) - {"client_gone"}  # nobody is there to read it
