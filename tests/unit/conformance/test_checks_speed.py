"""The time to judge a stream is linear in its length: a real answer has thousands of chunks."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from lumen_conformance.checks import catalogue
from lumen_conformance.checks.verdict import JudgeContext
from lumen_conformance.http.capture import Capture
from tests.unit.conformance import samples as s

LONG, SHORT = 10_000, 1_000  # chunks: the constant part of the time is small for both
FLAT = 3.0  # factor of the time for a chunk: 10 for quadratic judges, 1.5 when the memory exceeds a cache
# CPU time of all judges for the long stream. It is 0.7 s to 0.9 s on the machine of `benchmarks/judges.json`; judges
# that parsed the stream again for each chunk took 57 s for 520 chunks there.
LONGEST_S = 2.0
ATTEMPTS = 3  # one must be fast enough: CPU time doubles when other programs use the caches and the other core


def stream(length: int, *, broken: bool = False) -> Capture:
    """A stream of so many chunks; each chunk of a broken one has a role, a finish_reason and a time as text."""
    chunks = s.chunks(f"word {number} " for number in range(length))
    for chunk in chunks if broken else ():
        chunk.update(created="now")
        chunk["choices"][0].update(finish_reason="done")
        chunk["choices"][0]["delta"]["role"] = "bot"
    return s.stream(chunks)


def judge_s(capture: Capture) -> float:
    """CPU seconds of all judges of streams."""
    known = JudgeContext(
        text="", finish="stop", secrets=("sk-hush-hush",), upstream=("gateway.example",), said_mono_s=1.0
    )
    began_s = time.process_time()
    for judge in {*catalogue.TOOL_STREAM, *catalogue.USAGE_STREAM, *catalogue.judges("F1", "F5")}:
        judge(capture, known)
    return time.process_time() - began_s


def refusal_s(capture: Capture) -> float:
    """CPU seconds of all judges of errors."""
    began_s = time.process_time()
    for judge in catalogue.BAD_REQUEST:
        judge(capture)
    return time.process_time() - began_s


@pytest.mark.parametrize("broken", [False, True], ids=["healthy", "broken"])
def test_long_streams(broken: bool) -> None:  # noqa: FBT001 -- a row
    """Ten thousand chunks, valid or not, are judged in two seconds, each in the time of a chunk of a short stream."""
    judge_s(stream(SHORT))  # compiles the schemas
    short_s = min(judge_s(stream(SHORT, broken=broken)) for _ in range(3))
    most_s = min(LONGEST_S, FLAT * short_s / SHORT * LONG)
    long = stream(LONG, broken=broken)
    assert any(judge_s(replace(long)) <= most_s for _ in range(ATTEMPTS))


def test_long_text() -> None:
    """One megabyte without a space is searched for file paths in two seconds."""
    capture = s.error(s.encoded({"error": {**s.ERROR["error"], "message": "x" * 1_000_000}}))
    assert any(refusal_s(replace(capture)) <= LONGEST_S for _ in range(ATTEMPTS))
