"""A case for each error of the error table: how to cause it. Used by tests over HTTP and in a browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.server import ScriptedGateway
from tests.unit.proxy.running_proxy import RunningProxy

TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
TIMEOUT_S = 10.0  # far above the time of each case
HELD_S = 120.0  # far above the start of a browser


@dataclass(frozen=True)
class ErrorCase:
    """How to cause one error.

    ``env``      settings of the proxy
    ``reply``    the answer of the gateway
    ``fields``   fields added to the request
    ``headers``  headers of the request
    ``is_cut``   the last byte of the request body is missing
    ``before``   runs before the request; may return a context that lasts until the answer
    """

    env: Mapping[str, str] = field(default_factory=dict)
    reply: Reply | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    is_cut: bool = False
    before: Callable[[RunningProxy, ScriptedGateway], Any] | None = None


def gateway_status(status: int, **headers: str) -> ErrorCase:
    """The gateway answers with this status."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return ErrorCase(reply=replies.respond_with({}, status, headers=pairs))


@contextmanager
def limit_reached(served: RunningProxy, gateway: ScriptedGateway) -> Iterator[None]:
    """Another request uses the only slot for gateway calls, and the queue has none."""
    gate = threading.Event()
    gateway.script(replies.gated(gate))
    other = threading.Thread(target=served.chat, kwargs={"timeout_s": HELD_S})
    other.start()
    gateway.until_called()
    try:
        yield
    finally:
        gate.set()
        other.join(TIMEOUT_S)


def draining(served: RunningProxy, _: ScriptedGateway) -> None:
    """The proxy is draining."""
    served.proxy.is_draining = True


def breaker_opened(served: RunningProxy, gateway: ScriptedGateway) -> None:
    """One failure has opened the breaker."""
    gateway.script(replies.respond_with({}, 500))
    served.chat()


def gateway_down(_: RunningProxy, gateway: ScriptedGateway) -> None:
    """No program listens at the port of the gateway."""
    gateway.down()


CASES = {
    "invalid_json": ErrorCase(is_cut=True),
    "invalid_value": ErrorCase(fields={"temperature": 3}),
    "unsupported_value": ErrorCase(fields={"n": 2}),
    "unsupported_parameter": ErrorCase(fields={"tools": [TOOL], "tool_choice": "required"}),
    "context_length_exceeded": ErrorCase(env={"LUMEN_MAX_MESSAGE_CHARS": "3"}),
    "invalid_api_key": ErrorCase(env={"PROXY_API_KEY": "sk-right"}, headers=(("Authorization", "Bearer sk-wrong"),)),
    "host_not_allowed": ErrorCase(headers=(("Host", "evil.example"),)),
    "origin_not_allowed": ErrorCase(headers=(("Origin", "https://evil.example"),)),
    "model_not_found": ErrorCase(env={"LUMEN_MODEL_STRICT": "1"}, fields={"model": "nobody"}),
    "request_too_large": ErrorCase(env={"LUMEN_MAX_BODY_BYTES": "1024"}, fields={"user": "u" * 1024}),
    "unsupported_media_type": ErrorCase(headers=(("Content-Type", "text/plain"),)),
    "concurrency_limit": ErrorCase(env={"LUMEN_MAX_CONCURRENCY": "1", "LUMEN_MAX_QUEUE": "0"}, before=limit_reached),
    "shutting_down": ErrorCase(before=draining),
    "circuit_open": ErrorCase(env={"LUMEN_BREAKER_FAILURES": "1", "LUMEN_BREAKER_OPEN_S": "2"}, before=breaker_opened),
    "gateway_unreachable": ErrorCase(before=gateway_down),
    "gateway_misconfigured": gateway_status(404),
    "gateway_timeout": ErrorCase(env={"LUMEN_TIMEOUT_S": "1"}, reply=replies.silent),
    "gateway_connection_lost": ErrorCase(reply=replies.reset_after_request),
    "gateway_rejected": gateway_status(422),
    "gateway_auth_failed": gateway_status(401),
    "rate_limit_exceeded": gateway_status(429, Retry_After="2"),
    "gateway_error": gateway_status(500),
    "gateway_unavailable": gateway_status(503, Retry_After="2"),
    "gateway_invalid_response": ErrorCase(reply=replies.html),
    "gateway_declined": ErrorCase(reply=replies.answer_with("no", success=False)),
    "gateway_empty_response": ErrorCase(reply=replies.answer_with("")),
}
OTHER_TESTS = {  # an error without a case → the test that causes it
    "not_found": "test_not_found",
    "method_not_supported": "test_wrong_method",
    "invalid_http": "test_not_http_1",
    "https_not_supported": "test_not_http_1",
    "headers_too_large": "test_errors_of_the_server",
    "unsupported_encoding": "test_errors_of_the_server",
    "internal_error": "test_a_bug_is_an_internal_error",
    "client_gone": "test_a_disconnected_client_ends_its_gateway_call",
}


@contextmanager
def staged(served: RunningProxy, gateway: ScriptedGateway, case: ErrorCase) -> Iterator[None]:
    """Bring gateway and proxy into the state of the case."""
    gateway.standing = case.reply or gateway.standing
    context = case.before(served, gateway) if case.before else None
    with context or nullcontext():
        yield
