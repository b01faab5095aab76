"""The exchange of a check in the report: its record, and for a failure a text with a command that repeats it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lumen_conformance.contract.gateway_side import gateway_side
from lumen_conformance.http.capture import LAST_CAPTURE, Capture, captures_in
from lumen_conformance.http.curl import body_file
from lumen_conformance.registry.measurement import record_evidence
from lumen_conformance.report import exchange_evidence
from lumen_conformance.run import RUN, run_of
from lumen_conformance.targets.target import target_of

LAST_EXCHANGE = "last exchange"
SHOWN_BYTES = 2_000  # of a response in a report
_JUDGED = pytest.StashKey[Sequence[Capture]]()


def describe_exchange(capture: Capture) -> str:
    """A command that repeats the request, and the response."""
    response = (capture.raw_head + capture.body[:SHOWN_BYTES]).decode("utf-8", errors="backslashreplace")
    response += "…" if len(capture.body) > SHOWN_BYTES else ""
    error = f", {capture.error}" if capture.error else ""
    return f"{capture.curl()}\n\n{response}\n({capture.ended}{error}, {len(capture.body)} bytes)"


def judge_exchanges(item: pytest.Item, captures: Sequence[Capture]) -> None:
    """Keep the exchanges that a judge decides about, for the report of the check."""
    item.stash[_JUDGED] = captures


def record_exchanges(item: pytest.Item) -> None:
    """Record the exchanges of a check that has been called: those that were judged, the last one, or its fixtures'."""
    given = getattr(item, "funcargs", {})
    last = [LAST_CAPTURE.capture] if LAST_CAPTURE.capture else captures_in(given)
    has_gateway = "gateway" in target_of(item.config).can

    def beside(capture: Capture) -> dict[str, Any]:
        return {"gateway": gateway_side(capture)} if has_gateway else {}

    exchange_evidence.record_exchanges(item, item.stash.get(_JUDGED, last), beside)


def attach_body(item: pytest.Item, capture: Capture | None, text: str) -> str:
    """Write a body that is too long for the command line to a file, attach the file, and put its path in the text."""
    name = body_file(capture.request_body) if capture and RUN in item.config.stash else ""
    if not (capture and name and f"@{name}" in text):
        return text
    path = run_of(item.config).folder / name
    path.write_bytes(capture.request_body)
    record_evidence(item, path)
    return text.replace(f"@{name}", f"@{path}")
