"""How each row of the error table is brought about, for the tests that ask for it over HTTP and from a browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.server import ScriptedGateway
from tests.unit.proxy.serving import Serving

TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
PATIENCE_S = 10.0  # far above what any of these takes
HELD_S = 120.0  # far above the start of a browser


@dataclass(frozen=True)
class Case:
    """One row.

    ``env``      settings of the proxy
    ``reply``    what the gateway answers
    ``asked``    fields added to the request
    ``headers``  headers of the request
    ``cut``      the last byte of the request body is missing
    ``before``   runs before the request; may return a context that lasts until the answer
    """

    env: Mapping[str, str] = field(default_factory=dict)
    reply: Reply | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False
    before: Callable[[Serving, ScriptedGateway], Any] | None = None


def says(status: int, **headers: str) -> Case:
    """The gateway answers with this status."""
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Case(reply=replies.respond_with({}, status, headers=given))


@contextmanager
def crowded(served: Serving, gateway: ScriptedGateway) -> Iterator[None]:
    """Another request holds the only gateway slot, and the queue has no places."""
    gate = threading.Event()
    gateway.script(replies.gated(gate))
    other = threading.Thread(target=served.chat, kwargs={"timeout_s": HELD_S})
    other.start()
    gateway.until_called()
    try:
        yield
    finally:
        gate.set()
        other.join(PATIENCE_S)


def drained(served: Serving, _: ScriptedGateway) -> None:
    """The proxy is draining."""
    served.proxy.draining = True


def broken(served: Serving, gateway: ScriptedGateway) -> None:
    """One failure has opened the breaker."""
    gateway.script(replies.respond_with({}, 500))
    served.chat()


def down(_: Serving, gateway: ScriptedGateway) -> None:
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
    "circuit_open": Case(env={"LUMEN_BREAKER_FAILURES": "1", "LUMEN_BREAKER_OPEN_S": "2"}, before=broken),
    "gateway_unreachable": Case(before=down),
    "gateway_misconfigured": says(404),
    "gateway_timeout": Case(env={"LUMEN_TIMEOUT_S": "1"}, reply=replies.silent),
    "gateway_connection_lost": Case(reply=replies.reset_after_request),
    "gateway_rejected": says(422),
    "gateway_auth_failed": says(401),
    "rate_limit_exceeded": says(429, Retry_After="2"),
    "gateway_error": says(500),
    "gateway_unavailable": says(503, Retry_After="2"),
    "gateway_invalid_response": Case(reply=replies.html),
    "gateway_declined": Case(reply=replies.answer_with("no", success=False)),
    "gateway_empty_response": Case(reply=replies.answer_with("")),
}


@contextmanager
def staged(served: Serving, gateway: ScriptedGateway, case: Case) -> Iterator[None]:
    """The state of gateway and proxy that the case needs."""
    gateway.standing = case.reply or gateway.standing
    happened = case.before(served, gateway) if case.before else None
    if happened is None:
        yield
        return
    with happened:
        yield
