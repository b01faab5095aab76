"""The failures of a gateway, and the error that the proxy returns for each (docs/behaviour.md).

In each row the gateway receives the request. It may have been paid for, so the proxy must send it exactly once.
"""

from dataclasses import dataclass, replace

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.replies import JSON, TIMESTAMP, answer_with, lumen, raw, respond_with

NO_RETRY = (("x-should-retry", "false"),)
OVERSIZE_BYTES = 8 * 1024 * 1024 + 1  # one beyond the limit of an answer


@dataclass(frozen=True)
class GatewayFailure:
    """A reply of the gateway, and the error that the proxy makes of it."""

    reply: Reply
    status: int
    code: str
    type: str = "server_error"
    hints: tuple[tuple[str, str], ...] = NO_RETRY


def error_status(gateway: int, status: int, code: str) -> GatewayFailure:
    """The gateway answers with an error status and an HTML page, as its hosting provider does."""
    return GatewayFailure(respond_with(replies.HTML, gateway, media_type="text/html"), status, code)


def refusal(gateway: int, code: str) -> GatewayFailure:
    """The gateway refuses the request with this status: an error of the client, which has no retry headers."""
    return replace(error_status(gateway, 400, code), type="invalid_request_error", hints=())


def redirect(gateway: int) -> GatewayFailure:
    """The gateway redirects to itself, so that a followed redirect is recorded."""

    def reply(exchange: Exchange) -> None:
        host = exchange.call.header("host") or ""
        respond_with(b"", gateway, headers=(("Location", f"http://{host}/elsewhere"),))(exchange)

    return GatewayFailure(reply, 502, "gateway_misconfigured")


def invalid_answer(body: object, media_type: str = JSON) -> GatewayFailure:
    """The gateway sends status 200 and a body that is not an answer."""
    return GatewayFailure(respond_with(body, media_type=media_type), 502, "gateway_invalid_response")


WITHOUT_RESPONSE = {"success": True, "persona": {"name": "세나"}, "sources": [], "timestamp": TIMESTAMP}
RETRY_AFTER = (("retry-after", "7"),)
LIMITED = respond_with({"error": "busy"}, 429, headers=RETRY_AFTER)
UNAVAILABLE = respond_with({"error": "away"}, 503, headers=RETRY_AFTER)

STATUSES = {
    **{f"gateway-{code}": redirect(code) for code in (301, 302, 303, 307, 308)},
    **{f"gateway-{code}": refusal(code, "gateway_rejected") for code in (400, 422)},
    **{f"gateway-{code}": error_status(code, 502, "gateway_auth_failed") for code in (401, 403)},
    **{f"gateway-{code}": error_status(code, 502, "gateway_misconfigured") for code in (404, 405)},
    **{f"gateway-{code}": error_status(code, 504, "gateway_timeout") for code in (408, 504)},
    "gateway-413": refusal(413, "context_length_exceeded"),
    "gateway-429": GatewayFailure(LIMITED, 429, "rate_limit_exceeded", "rate_limit_error", RETRY_AFTER),
    **{f"gateway-{code}": error_status(code, 502, "gateway_error") for code in (500, 502)},
    "gateway-503": GatewayFailure(UNAVAILABLE, 503, "gateway_unavailable", hints=RETRY_AFTER),
}
CONNECTIONS = {
    "reset-after-request": GatewayFailure(replies.reset_after_request, 502, "gateway_connection_lost"),
    "reset-after-headers": GatewayFailure(replies.reset_after_headers, 502, "gateway_connection_lost"),
    "reset-mid-body": GatewayFailure(replies.reset_mid_body, 502, "gateway_connection_lost"),
    "closed-without-a-word": GatewayFailure(raw(b""), 502, "gateway_connection_lost"),
    "truncated": GatewayFailure(replies.truncated, 502, "gateway_connection_lost"),
    "not-http": GatewayFailure(replies.garbage, 502, "gateway_invalid_response"),
}
ANSWERS = {
    "html": invalid_answer(replies.HTML, "text/html; charset=utf-8"),
    "not-json": invalid_answer(b"the quota is used up"),
    "empty-body": invalid_answer(b""),
    "not-utf8": invalid_answer(b'{"success": true, "response": "\xbe\xc8"}'),
    "json-null": invalid_answer(None),
    "json-list": invalid_answer([lumen("hello")]),
    "json-string": invalid_answer("hello"),
    "no-response": invalid_answer(WITHOUT_RESPONSE),
    "response-null": invalid_answer({**WITHOUT_RESPONSE, "response": None}),
    "response-number": invalid_answer({**WITHOUT_RESPONSE, "response": 1}),
    "response-object": invalid_answer({**WITHOUT_RESPONSE, "response": {"text": "hello"}}),
    "oversize": invalid_answer(lumen("x" * OVERSIZE_BYTES)),
    "declined": GatewayFailure(respond_with({"success": False, "error": "quota"}), 502, "gateway_declined"),
    "declined-with-words": GatewayFailure(answer_with("quota is used up", success=False), 502, "gateway_declined"),
    "empty-response": GatewayFailure(answer_with(""), 502, "gateway_empty_response"),
}
GATEWAY_FAILURES = STATUSES | CONNECTIONS | ANSWERS
