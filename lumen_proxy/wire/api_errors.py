"""The error table: all errors that a client can get, as data. `docs/tables.py` writes it into the guides."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

BAD, RATE, PERMISSION, SERVER = "invalid_request_error", "rate_limit_error", "permission_error", "server_error"
RETRY_IN_1, RETRY_IN_2, RETRY_IN_5 = {"Retry-After": "1"}, {"Retry-After": "2"}, {"Retry-After": "5"}
NO_RETRY = {"x-should-retry": "false"}  # for the OpenAI SDKs: the gateway may have answered, and the answer is paid for


class ErrorRow(NamedTuple):
    """A row of the table.

    `gateway`: the statuses of the gateway that become this error; a number below 10 is a class, 4 means any other 4xx.
    `note`: more for the docs.
    """

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = {}
    gateway: tuple[int, ...] = ()
    note: str = ""

    @property
    def hint(self) -> str:
        """The header that tells a client whether to send the request again; empty if there is none."""
        return "Retry-After" if "Retry-After" in self.headers else ", ".join(map(": ".join, self.headers.items()))


# fmt: off
ERROR_TABLE = {
    "invalid_http": ErrorRow(400, BAD, "The HTTP request is malformed."),
    "https_not_supported": ErrorRow(400, BAD, "This port speaks http, not https: use an address with http://",
                                   note="one warning in the log"),
    "headers_too_large": ErrorRow(431, BAD, "The request headers are larger than this server accepts."),
    "unsupported_encoding": ErrorRow(501, BAD, "This Transfer-Encoding is not supported."),
    "invalid_json": ErrorRow(400, BAD, "The request body is not valid JSON.", note="also a body that is not UTF-8"),
    "invalid_value": ErrorRow(400, BAD, "A value of the request is not valid.", note="OpenAI refuses it, too"),
    "unsupported_value": ErrorRow(400, BAD, "A value of the request is not supported."),
    "unsupported_parameter": ErrorRow(400, BAD, "A parameter of the request is not supported."),
    "context_length_exceeded": ErrorRow(400, BAD, "The conversation is too long.", gateway=(413,)),
    # OpenAI's first words: LiteLLM searches for them, and reports any other 401 as a BadRequestError.
    "invalid_api_key": ErrorRow(401, BAD, "Incorrect API key provided, or none. Send it as: Authorization: Bearer KEY"),
    "host_not_allowed": ErrorRow(403, PERMISSION, "This Host is not allowed."),
    "origin_not_allowed": ErrorRow(403, PERMISSION, "This Origin is not allowed."),
    "not_found": ErrorRow(404, BAD, "This path does not exist."),
    "model_not_found": ErrorRow(404, BAD, "The model does not exist.", note="`LUMEN_MODEL_STRICT=1` only"),
    "method_not_supported": ErrorRow(405, BAD, "This method is not supported here.", note="`Allow` lists the methods"),
    "request_too_large": ErrorRow(413, BAD, "The request body is larger than this server accepts.",
                                 note="`LUMEN_MAX_BODY_BYTES`"),
    "unsupported_media_type": ErrorRow(415, BAD, "The Content-Type must be application/json.",
                                      note="also a compressed body"),
    "client_gone": ErrorRow(499, BAD, "The client went away.", note="in the log only; the status is that of nginx"),
    "concurrency_limit": ErrorRow(429, RATE, "Too many requests at once.", RETRY_IN_1),
    "internal_error": ErrorRow(500, SERVER, "Internal error of the proxy; its log has the request id.", NO_RETRY),
    "shutting_down": ErrorRow(503, SERVER, "The proxy is shutting down.", RETRY_IN_2),
    "circuit_open": ErrorRow(503, SERVER, "Circuit breaker open: repeated gateway failures. Retry later.", RETRY_IN_5),
    "gateway_unreachable": ErrorRow(502, SERVER, "The gateway cannot be reached.", RETRY_IN_2,
                                   note="the message names the cause: DNS, refused, time-out"),
    "gateway_misconfigured": ErrorRow(502, SERVER, "No gateway answers at the gateway address.", NO_RETRY,
                                     note="also TLS errors and refusals of an HTTP proxy", gateway=(3, 4)),
    "gateway_timeout": ErrorRow(504, SERVER, "The gateway did not answer in time.", NO_RETRY, gateway=(408, 504)),
    "gateway_connection_lost": ErrorRow(502, SERVER, "The gateway closed the connection during the call.", NO_RETRY),
    "gateway_rejected": ErrorRow(400, BAD, "The gateway rejected the request.", gateway=(400, 422)),
    "gateway_auth_failed": ErrorRow(502, SERVER, "The gateway refused the proxy's access.", NO_RETRY,
                                   gateway=(401, 403)),
    "rate_limit_exceeded": ErrorRow(429, RATE, "The gateway's rate limit is exceeded.", RETRY_IN_2, gateway=(429,)),
    "gateway_error": ErrorRow(502, SERVER, "The gateway failed.", NO_RETRY, gateway=(5,)),
    "gateway_unavailable": ErrorRow(503, SERVER, "The gateway is unavailable.", RETRY_IN_5, gateway=(503,)),
    "gateway_invalid_response": ErrorRow(502, SERVER, "Invalid response from the gateway.", NO_RETRY,
                                        note="the message names the field, or the limit", gateway=(2,)),
    "gateway_declined": ErrorRow(502, SERVER, "The gateway declined to answer.", NO_RETRY, note="`success` is false"),
    "gateway_empty_response": ErrorRow(502, SERVER, "The gateway's answer is empty.", NO_RETRY),
}
# fmt: on
BY_GATEWAY_STATUS = {status: code for code, row in ERROR_TABLE.items() for status in row.gateway}
RETRY_AFTER_RANGE_S = (1, 120)  # the OpenAI SDKs retry without a pause at 0, and ignore more than 120


def api_error(
    code: str, message: str | None = None, param: str | None = None, headers: Mapping[str, str] | None = None
) -> ApiError:
    """The error of this code; `message` and `headers` replace those of the table."""
    row = ERROR_TABLE[code]
    return ApiError(row.status, row.type, code, message or row.message, param, dict(headers or row.headers))


def gateway_status(status: int, retry_after: str | None, now: datetime) -> ApiError:
    """The error for an HTTP status of the gateway other than 200."""
    code = BY_GATEWAY_STATUS.get(status) or BY_GATEWAY_STATUS.get(status // 100, "gateway_invalid_response")
    error = api_error(code, f"{ERROR_TABLE[code].message} Its status is {status}.")
    seconds = _seconds(retry_after, now)
    if "Retry-After" in error.headers and seconds is not None:
        low, high = RETRY_AFTER_RANGE_S
        error.headers["Retry-After"] = str(math.ceil(min(max(seconds, low), high)))
    return error


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Seconds until then. The header has seconds or an HTTP date (RFC 9110, 10.2.3)."""
    try:
        return int(retry_after or "")
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(retry_after or "") - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
