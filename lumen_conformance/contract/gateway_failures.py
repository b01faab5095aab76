"""Every way in which a gateway fails, and what its client is told: the table of the proxy's behaviour, as rows.

In every row the gateway was asked; it may have been paid for its work, so it is asked exactly once.
"""

from dataclasses import dataclass, field

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.replies import JSON, TIMESTAMP, answer_with, lumen, raw, respond_with

NO_RETRY = (("x-should-retry", "false"),)
OVERSIZE_BYTES = 8 * 1024 * 1024 + 1  # one beyond the limit of an answer


@dataclass(frozen=True)
class Failure:
    """A reply of the gateway, and the refusal that it becomes."""

    reply: Reply
    status: int
    code: str
    type: str = "server_error"
    hints: tuple[tuple[str, str], ...] = field(default=NO_RETRY)


def status(gateway: int, status: int, code: str, **more: object) -> Failure:
    """The gateway answers with an error status and a page of HTML, as its hoster does."""
    reply = respond_with(replies.HTML, gateway, media_type="text/html")
    return Failure(reply, status, code, **more)  # type: ignore[arg-type]  # fields of a failure


def redirect(gateway: int) -> Failure:
    """The gateway sends its caller elsewhere: to itself, where a follower would be seen."""

    def reply(exchange: Exchange) -> None:
        host = exchange.call.header("host") or ""
        respond_with(b"", gateway, headers=(("Location", f"http://{host}/elsewhere"),))(exchange)

    return Failure(reply, 502, "gateway_misconfigured")


def nonsense(body: object, media_type: str = JSON) -> Failure:
    """The gateway says 200 to something that is no answer."""
    return Failure(respond_with(body, media_type=media_type), 502, "gateway_invalid_response")


BAD = "invalid_request_error"
CUT = {"success": True, "persona": {"name": "세나"}, "sources": [], "timestamp": TIMESTAMP}
AGAIN = (("retry-after", "7"),)
BUSY = respond_with({"error": "busy"}, 429, headers=AGAIN)
AWAY = respond_with({"error": "away"}, 503, headers=AGAIN)

STATUSES = {
    **{f"gateway-{code}": redirect(code) for code in (301, 302, 303, 307, 308)},
    **{f"gateway-{code}": status(code, 400, "gateway_rejected", type=BAD, hints=()) for code in (400, 422)},
    **{f"gateway-{code}": status(code, 502, "gateway_auth_failed") for code in (401, 403)},
    **{f"gateway-{code}": status(code, 502, "gateway_misconfigured") for code in (404, 405)},
    **{f"gateway-{code}": status(code, 504, "gateway_timeout") for code in (408, 504)},
    "gateway-413": status(413, 400, "context_length_exceeded", type=BAD, hints=()),
    "gateway-429": Failure(BUSY, 429, "rate_limit_exceeded", "rate_limit_error", AGAIN),
    **{f"gateway-{code}": status(code, 502, "gateway_error") for code in (500, 502)},
    "gateway-503": Failure(AWAY, 503, "gateway_unavailable", hints=AGAIN),
}
CONNECTIONS = {
    "reset-after-request": Failure(replies.reset_after_request, 502, "gateway_connection_lost"),
    "reset-after-headers": Failure(replies.reset_after_headers, 502, "gateway_connection_lost"),
    "reset-mid-body": Failure(replies.reset_mid_body, 502, "gateway_connection_lost"),
    "closed-without-a-word": Failure(raw(b""), 502, "gateway_connection_lost"),
    "truncated": Failure(replies.truncated, 502, "gateway_connection_lost"),
    "not-http": Failure(replies.garbage, 502, "gateway_invalid_response"),
}
ANSWERS = {
    "html": nonsense(replies.HTML, "text/html; charset=utf-8"),
    "not-json": nonsense(b"the quota is used up"),
    "empty-body": nonsense(b""),
    "not-utf8": nonsense(b'{"success": true, "response": "\xbe\xc8"}'),
    "json-null": nonsense(None),
    "json-list": nonsense([lumen("hello")]),
    "json-string": nonsense("hello"),
    "no-response": nonsense(CUT),
    "response-null": nonsense({**CUT, "response": None}),
    "response-number": nonsense({**CUT, "response": 1}),
    "response-object": nonsense({**CUT, "response": {"text": "hello"}}),
    "oversize": nonsense(lumen("x" * OVERSIZE_BYTES)),
    "declined": Failure(respond_with({"success": False, "error": "quota"}), 502, "gateway_declined"),
    "declined-with-words": Failure(answer_with("quota is used up", success=False), 502, "gateway_declined"),
    "empty-response": Failure(answer_with(""), 502, "gateway_empty_response"),
}
FAILURES = STATUSES | CONNECTIONS | ANSWERS
