"""A target that limits its requests: where it says when to ask again, the suite asks again, as client libraries do."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from lumen_conformance.http.capture import Capture

LIMITED = 429
RETRIES = 2  # openai-python 2.54.0, _constants.py: DEFAULT_MAX_RETRIES
LONGEST_WAIT_S = 60  # openai-python 2.54.0, _base_client.py: it waits no longer for a Retry-After


def wait_s(capture: Capture) -> int | None:
    """How long a refused client must wait; None for other responses, and for a time that clients do not wait."""
    said = capture.header("retry-after") or ""
    if capture.status != LIMITED or not (said.isascii() and said.isdigit()):
        return None
    return int(said) if int(said) <= LONGEST_WAIT_S else None


def ask_within_limit(ask: Callable[[], Capture], calls: Callable[[], int]) -> Capture:
    """Ask, and ask again while the target itself refuses for its limit.

    ``calls`` counts the requests of the gateway: a 429 after one of them may be the answer of the gateway.
    """
    for _ in range(RETRIES):
        before = calls()
        capture = ask()
        seconds = wait_s(capture)
        if seconds is None or calls() > before:
            return capture
        Event().wait(seconds)
    return ask()
