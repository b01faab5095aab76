"""The failures of a gateway that has the OpenAI API, and the exchanges of a target with each: made once for all checks.

The gateway fails for every request in the same way, because a proxy may retry.
"""

from __future__ import annotations

from lumen_conformance.contract.exchanges import ask_failing_gateway
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.openai_requests import error
from lumen_conformance.gateway.replies import respond_with
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import assistant_text, error_documents

INVALID, SERVER, LIMIT = "invalid_request_error", "server_error", "rate_limit_error"
# Clients know some of them: langchain-openai by the code of 400, LiteLLM by its message. The messages have no key and
# no address, which a target may hide.
REFUSALS: dict[int, tuple[str, str]] = {
    400: ("context_length_exceeded", "This model's maximum context length is 8192 tokens: scripted failure 400."),
    404: ("model_not_found", "The model does not exist: scripted failure 404."),
    409: ("conflict", "The resource is in use: scripted failure 409."),
    413: ("request_too_large", "The request has too many images: scripted failure 413."),
    422: ("unprocessable_entity", "The image cannot be decoded: scripted failure 422."),
    429: ("rate_limit_exceeded", "The limit of requests is reached, try again in 7 s: scripted failure 429."),
}
BROKEN = (500, 502, 503, 504)
# A target may report these as failures of its own: its key for the gateway is not that of the client.
OF_THE_KEY = (401, 403)


def _reply_with(status: int) -> Reply:
    kind = LIMIT if status == 429 else SERVER if status in BROKEN else INVALID
    code, message = REFUSALS.get(status, (None, f"scripted failure {status}"))
    headers = (("Retry-After", "7"),) if status == 429 else ()
    return respond_with(error(message, kind, code=code), status, headers=headers)


FAILURES: dict[str, Reply] = {
    **{f"status-{status}": _reply_with(status) for status in sorted((*OF_THE_KEY, *REFUSALS, *BROKEN))},
    "html-502": respond_with(replies.HTML, 502, media_type="text/html"),
    "reset": replies.reset_after_request,
}
FIRST_EVENT = "first-event"
"""An error as the first event of a stream; the name of its exchange."""
LATE = "forwarded-error"
"""An error event after the first content."""


def failed_exchange(proxy: ContractSession, name: str, *, stream: bool) -> Capture:
    """The response while the gateway fails, plain or for a stream."""
    reply = replies.error_as_first_event if name == FIRST_EVENT else FAILURES[name]
    return proxy.once(f"forwarded {name} {stream}", lambda: ask_failing_gateway(proxy, reply, stream=stream))


def is_error_in_stream(capture: Capture) -> bool:
    """Whether a stream with status 200 has an error event and no text; clients raise for it as for an error status."""
    return capture.status == 200 and bool(error_documents(capture)) and not assistant_text(capture)


def late_failure_exchange(proxy: ContractSession, name: str, reply: Reply) -> Capture:
    """The stream that fails with this reply after its first byte."""
    return proxy.once(f"late {name}", lambda: proxy.ask_and_wait(reply, proxy.question_text))
