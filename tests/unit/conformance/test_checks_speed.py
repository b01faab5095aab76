"""A long stream is judged in the time that its length deserves: a real answer has thousands of chunks."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from lumen_conformance.checks import catalogue
from lumen_conformance.checks.verdict import JudgeContext
from lumen_conformance.http.capture import Capture
from tests.unit.conformance import samples as s

LONG, SHORT = 8_000, 800  # chunks: the shorter is long enough that what is done once does not count
FLAT = 3.0  # times the cost of a chunk: quadratic judges take 10, memory that no longer fits in a cache 1.5
LONGEST = 10_000  # chunks
# CPU time of all judges. It is 0.7 s to 0.9 s where `benchmarks/judges.json` was made; judges that read the stream
# again for each chunk took 57 s for 520 chunks there, and the square of it for more.
LONGEST_S = 2.0
LOOKS = 3  # one of them has to do: CPU time, too, doubles where other programs fill the caches and the other core


def stream(length: int, *, broken: bool = False) -> Capture:
    """A stream of so many pieces; a broken one has a role, a finish and a time in words in each."""
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
    """CPU seconds of all judges of refusals."""
    began_s = time.process_time()
    for judge in catalogue.BAD_REQUEST:
        judge(capture)
    return time.process_time() - began_s


@pytest.mark.parametrize("broken", [False, True], ids=["healthy", "broken"])
def test_long_streams(broken: bool) -> None:  # noqa: FBT001 -- a row
    """Ten thousand chunks are judged in two seconds of CPU time, whether they are healthy or not."""
    capture = stream(LONGEST, broken=broken)
    assert any(judge_s(replace(capture)) <= LONGEST_S for _ in range(LOOKS))


@pytest.mark.parametrize("broken", [False, True], ids=["healthy", "broken"])
def test_cost_per_chunk(broken: bool) -> None:  # noqa: FBT001 -- a row
    """A chunk of a long stream costs what one of a short stream costs."""
    judge_s(stream(SHORT))  # schemas are compiled
    short_s = min(judge_s(stream(SHORT, broken=broken)) for _ in range(3))
    long = stream(LONG, broken=broken)
    assert any(judge_s(replace(long)) / LONG <= FLAT * short_s / SHORT for _ in range(LOOKS))


def test_long_words() -> None:
    """A megabyte without a space is searched for names of files in two seconds."""
    capture = s.error(s.encoded({"error": {**s.ERROR["error"], "message": "x" * 1_000_000}}))
    assert any(refusal_s(replace(capture)) <= LONGEST_S for _ in range(LOOKS))
