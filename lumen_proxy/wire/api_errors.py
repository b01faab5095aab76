"""Everything that can go wrong with a request: one table from code to status, type and hint headers."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

BAD, SERVER = "invalid_request_error", "server_error"
AGAIN_IN_2, AGAIN_IN_5 = {"Retry-After": "2"}, {"Retry-After": "5"}
NEVER_AGAIN = {"x-should-retry": "false"}  # obeyed by the OpenAI SDKs: the answer may have been paid for


class Problem(NamedTuple):
    """A row of the table."""

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = {}


# fmt: off
PROBLEMS = {
    "invalid_http": Problem(400, BAD, "The HTTP request is malformed."),
    "https_not_supported": Problem(400, BAD, "This port speaks http, not https: use an address with http://"),
    "headers_too_large": Problem(431, BAD, "The request headers are larger than this server accepts."),
    "unsupported_encoding": Problem(501, BAD, "This Transfer-Encoding is not supported."),
    "invalid_json": Problem(400, BAD, "The request body is not valid JSON."),
    "invalid_value": Problem(400, BAD, "A value of the request is not valid."),
    "unsupported_value": Problem(400, BAD, "A value of the request is not supported."),
    "unsupported_parameter": Problem(400, BAD, "A parameter of the request is not supported."),
    "context_length_exceeded": Problem(400, BAD, "The conversation is too long."),
    # OpenAI's own first words: LiteLLM looks for them, and calls any other 401 a BadRequestError.
    "invalid_api_key": Problem(401, BAD, "Incorrect API key provided, or none. Send it as: Authorization: Bearer KEY"),
    "host_not_allowed": Problem(403, "permission_error", "This Host is not allowed."),
    "origin_not_allowed": Problem(403, "permission_error", "This Origin is not allowed."),
    "not_found": Problem(404, BAD, "This path does not exist."),
    "model_not_found": Problem(404, BAD, "The model does not exist."),
    "method_not_supported": Problem(405, BAD, "This method is not supported here."),
    "request_too_large": Problem(413, BAD, "The request body is larger than this server accepts."),
    "unsupported_media_type": Problem(415, BAD, "The Content-Type must be application/json."),
    "client_gone": Problem(499, BAD, "The client went away."),  # 499 after nginx; nobody reads it
    "concurrency_limit": Problem(429, "rate_limit_error", "Too many requests at once.", {"Retry-After": "1"}),
    "internal_error": Problem(500, SERVER, "Internal error of the proxy; its log has the request id.", NEVER_AGAIN),
    "shutting_down": Problem(503, SERVER, "The proxy is shutting down.", AGAIN_IN_2),
    "circuit_open": Problem(503, SERVER, "Circuit breaker open: repeated gateway failures. Retry later.", AGAIN_IN_5),
    "gateway_unreachable": Problem(502, SERVER, "The gateway cannot be reached.", AGAIN_IN_2),
    "gateway_misconfigured": Problem(502, SERVER, "No gateway answers at the gateway address.", NEVER_AGAIN),
    "gateway_timeout": Problem(504, SERVER, "The gateway did not answer in time.", NEVER_AGAIN),
    "gateway_connection_lost": Problem(502, SERVER, "The gateway closed the connection during the call.", NEVER_AGAIN),
    "gateway_rejected": Problem(400, BAD, "The gateway rejected the request."),
    "gateway_auth_failed": Problem(502, SERVER, "The gateway refused the proxy's access.", NEVER_AGAIN),
    "rate_limit_exceeded": Problem(429, "rate_limit_error", "The gateway's rate limit is exceeded.", AGAIN_IN_2),
    "gateway_error": Problem(502, SERVER, "The gateway failed.", NEVER_AGAIN),
    "gateway_unavailable": Problem(503, SERVER, "The gateway is unavailable.", AGAIN_IN_5),
    "gateway_invalid_response": Problem(502, SERVER, "Invalid response from the gateway.", NEVER_AGAIN),
    "gateway_declined": Problem(502, SERVER, "The gateway declined to answer.", NEVER_AGAIN),
    "gateway_empty_response": Problem(502, SERVER, "The gateway's answer is empty.", NEVER_AGAIN),
}
# fmt: on

BY_GATEWAY_STATUS = {
    **dict.fromkeys((400, 422), "gateway_rejected"),
    **dict.fromkeys((401, 403), "gateway_auth_failed"),
    **dict.fromkeys((404, 405), "gateway_misconfigured"),
    **dict.fromkeys((408, 504), "gateway_timeout"),
    413: "context_length_exceeded",
    429: "rate_limit_exceeded",
    503: "gateway_unavailable",
}
BY_GATEWAY_CLASS = {
    2: "gateway_invalid_response",  # 200 alone means an answer
    3: "gateway_misconfigured",  # a redirect is never followed
    4: "gateway_misconfigured",
    5: "gateway_error",
}
RETRY_AFTER_RANGE_S = (1, 120)  # the OpenAI SDKs hammer at 0 and give up beyond 120


def problem(
    code: str, message: str | None = None, param: str | None = None, headers: Mapping[str, str] | None = None
) -> ApiError:
    """Build the error of that code; a message or headers given here replace those of the table."""
    row = PROBLEMS[code]
    return ApiError(row.status, row.type, code, message or row.message, param, dict(headers or row.headers))


def gateway_status(status: int, retry_after: str | None, now: datetime) -> ApiError:
    """Translate an HTTP status of the gateway other than 200."""
    code = BY_GATEWAY_STATUS.get(status) or BY_GATEWAY_CLASS.get(status // 100, "gateway_invalid_response")
    error = problem(code, f"{PROBLEMS[code].message} It said {status}.")
    seconds = _seconds(retry_after, now)
    if "Retry-After" in error.headers and seconds is not None:
        low, high = RETRY_AFTER_RANGE_S
        error.headers["Retry-After"] = str(math.ceil(min(max(seconds, low), high)))
    return error


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """RFC 9110, 10.2.3: seconds, or an HTTP date."""
    try:
        return int(retry_after or "")
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(retry_after or "") - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
