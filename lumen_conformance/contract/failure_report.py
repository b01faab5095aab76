"""The text of an exchange in the report of a failure, with a command that repeats it."""

from __future__ import annotations

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.curl import body_file
from lumen_conformance.registry.measurement import record_evidence
from lumen_conformance.run import RUN, run_of

LAST_EXCHANGE = "last exchange"
SHOWN_BYTES = 2_000  # of a response in a report


def describe_exchange(capture: Capture) -> str:
    """A command that repeats the request, and the response."""
    response = (capture.raw_head + capture.body[:SHOWN_BYTES]).decode("utf-8", errors="backslashreplace")
    error = f", {capture.error}" if capture.error else ""
    return f"{capture.curl()}\n\n{response}\n({capture.ended}{error}, {len(capture.body)} bytes)"


def attach_body(item: pytest.Item, capture: Capture | None, text: str) -> str:
    """Write a body that is too long for the command line to a file, attach the file, and put its path in the text."""
    name = body_file(capture.request_body) if capture and RUN in item.config.stash else ""
    if not (capture and name and f"@{name}" in text):
        return text
    path = run_of(item.config).folder / name
    path.write_bytes(capture.request_body)
    record_evidence(item, path)
    return text.replace(f"@{name}", f"@{path}")
