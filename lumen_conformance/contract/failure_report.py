"""How the report shows the exchange that a failure is about, and how it is repeated."""

from __future__ import annotations

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.curl import body_file
from lumen_conformance.registry.measurement import record_evidence
from lumen_conformance.run import RUN, run_of

LAST_EXCHANGE = "last exchange"
SHOWN_BYTES = 2_000  # of an answer in a report


def exchange_told(seen: Capture) -> str:
    """How a request is repeated, and how it was answered."""
    answer = (seen.raw_head + seen.body[:SHOWN_BYTES]).decode("utf-8", errors="backslashreplace")
    trouble = f", {seen.error}" if seen.error else ""
    return f"{seen.curl()}\n\n{answer}\n({seen.ended}{trouble}, {len(seen.body)} bytes)"


def with_body(item: pytest.Item, seen: Capture | None, text: str) -> str:
    """The text, and the file that it names for a body that is too long for a command line: kept as evidence."""
    name = body_file(seen.request_body) if seen and RUN in item.config.stash else ""
    if not (seen and name and f"@{name}" in text):
        return text
    path = run_of(item.config).folder / name
    path.write_bytes(seen.request_body)
    record_evidence(item, path)
    return text.replace(f"@{name}", f"@{path}")
