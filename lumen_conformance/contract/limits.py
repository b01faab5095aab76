"""Targets that serve a limited number of clients at once, and refuse all others with 429 or 503."""

from __future__ import annotations

from lumen_conformance.contract.session import ContractSession
from lumen_conformance.http.capture import Capture
from lumen_conformance.waiting import observe

LIMITS = (429, 503)  # RFC 6585, 4; RFC 9110, 15.6.4: a temporary overload


def is_at_limit(capture: Capture) -> bool:
    """Whether a target may refuse a question because it serves others; Retry-After is optional."""
    return capture.status in LIMITS


def ask_until_served(
    session: ContractSession, text: str, *, within_s: float, timeout_s: float | None = None, **fields: object
) -> Capture:
    """Ask a question again while it is refused for a limit, at most for so long; by URL no request is repeated.

    A response to a question that the gateway has is no refusal of the target.
    """
    last: list[Capture] = []

    def is_decided() -> bool:
        last[:] = [session.ask(text, timeout_s=timeout_s, **fields)]
        forwarded = any(call.message == text for call in session.gateway.chats)
        return bool(session.target.url) or forwarded or not is_at_limit(last[0])

    observe("the target serves the question", is_decided, within_s=within_s)
    return last[0]
