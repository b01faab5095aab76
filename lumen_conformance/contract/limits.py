"""Targets that serve a limited number of clients at once, and refuse all others with 429."""

from __future__ import annotations

from collections.abc import Callable

from lumen_conformance.contract.session import ContractSession
from lumen_conformance.http.capture import Capture
from lumen_conformance.waiting import observe

LIMIT = 429


def is_limited(capture: Capture) -> bool:
    """Whether a target refuses a question for a limit, and says when to ask again."""
    return capture.status == LIMIT and bool(capture.header("retry-after"))


def ask_until_served(
    session: ContractSession,
    text: str,
    *,
    within_s: float,
    timeout_s: float | None = None,
    is_refused: Callable[[Capture], bool] = is_limited,
    **fields: object,
) -> Capture:
    """Ask a question again while it is refused for a limit, at most for so long; by URL no request is repeated."""
    last: list[Capture] = []

    def is_decided() -> bool:
        last[:] = [session.ask(text, timeout_s=timeout_s, **fields)]
        return bool(session.target.url) or not is_refused(last[0])

    observe("the target serves the question", is_decided, within_s=within_s)
    return last[0]
