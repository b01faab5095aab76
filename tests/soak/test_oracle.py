"""The oracle of the soak test explains what a disturbance can cause, and nothing else."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from lumen_conformance.http.capture import Capture, Ended
from tests.soak import plan
from tests.soak.oracle import EXPLANATIONS, LATE_S, Disturbance, RequestOutcome, find_unexplained, name_outcome

DISTURBANCE_S = (10.0, 12.0)
WORDS = sorted(frozenset().union(*EXPLANATIONS.values()))
CHUNK = {"choices": [{"delta": {"content": "안녕"}, "finish_reason": None}]}
LAST = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
ERROR = {"error": {"code": "gateway_timeout"}}


def outcome(word: str, opened_s: float, sent_s: float, ended_s: float) -> RequestOutcome:
    """An outcome at these times."""
    return RequestOutcome(word, opened_s, sent_s, ended_s)


def is_explained(name: str, one: RequestOutcome) -> bool:
    """Whether one disturbance explains an outcome."""
    return not find_unexplained([one], [Disturbance(name, *DISTURBANCE_S)])


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_what_a_disturbance_explains(name: str) -> None:
    """A disturbance explains its outcomes at its time, no other outcomes, and none before or after it."""
    for word in WORDS:
        assert is_explained(name, outcome(word, 11.0, 11.0, 11.5)) == (word in EXPLANATIONS[name])
        assert not is_explained(name, outcome(word, 8.0, 8.0, 9.9))
        assert not is_explained(name, outcome(word, 12.1, 12.1, 13.0))


def test_open_connections() -> None:
    """A kill explains the end of a connection that was open before; a drain explains only requests that follow it."""
    assert is_explained("worker killed", outcome("cut", 5.0, 9.0, 10.1))
    assert not is_explained("drain", outcome("closed", 5.0, 9.9, 10.1))
    assert is_explained("drain", outcome("closed", 5.0, 10.1, 10.2))


@pytest.mark.parametrize("word", ["false answer", "false end", "no answer"])
def test_what_nothing_explains(word: str) -> None:
    """A false answer, a stream that only stops, and a request without an answer are never explained."""
    every = [Disturbance(name, *DISTURBANCE_S) for name in EXPLANATIONS]
    assert find_unexplained([outcome(word, 11.0, 11.0, 11.5)], every)


def plain(text: str, finish: str = "stop") -> bytes:
    """The body of an answer."""
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": finish}]}).encode()


def stream(*data: object) -> bytes:
    """The body of a stream."""
    return b"".join(f"data: {one if one == '[DONE]' else json.dumps(one)}\n\n".encode() for one in data)


@pytest.mark.parametrize(
    ("body", "ended", "word"),
    [
        (plain("안녕"), "complete", "answered"),
        (plain("안녕")[:-5], "aborted", "cut"),
        (plain("다른 답"), "complete", "false answer"),
        (plain("안녕", "length"), "complete", "false answer"),
        (b"{}", "complete", "false answer"),
        (stream(CHUNK, LAST, "[DONE]"), "complete", "answered"),
        (stream(CHUNK), "aborted", "cut"),
        (stream(CHUNK), "complete", "false end"),
        (stream(CHUNK, LAST), "complete", "false end"),
        (stream(LAST, "[DONE]"), "complete", "false answer"),
        (stream(LAST), "aborted", "false answer"),
        (stream(CHUNK, ERROR), "complete", "error event"),
        (stream(CHUNK, LAST, ERROR), "complete", "false answer"),
    ],
)
def test_names_of_answers(body: bytes, ended: Ended, word: str) -> None:
    """The end of an answer with status 200 has the right name."""
    is_stream = body.startswith(b"data:")
    capture = Capture("", b"", 200, raw=b"HTTP/1.1 200 OK", body=body, ended=ended)
    assert name_outcome(capture, "안녕", is_stream=is_stream) == word


def test_names_of_other_ends() -> None:
    """Without an answer the name says how the exchange ended; an answer after the limit is late."""
    error = json.dumps({"error": {"code": "circuit_open"}}).encode()
    ends = [
        (Capture("", b"", ended="refused"), "refused"),
        (Capture("", b"", ended="reset"), "closed"),
        (Capture("", b"", raw=b"HTTP", ended="reset"), "cut"),
        (Capture("", b"", ended="timeout"), "no answer"),
        (Capture("", b"", 200, body=plain("안녕"), ended="left"), "left"),
        (Capture("", b"", 503, body=error, ended="complete"), "503 circuit_open"),
        (Capture("", b"", 502, body=b"<html>", ended="complete"), "502 without a code"),
        (Capture("", b"", 200, body=plain("안녕"), ended="complete", elapsed_s=LATE_S + 1), "late"),
    ]
    assert [name_outcome(capture, "안녕", is_stream=False) for capture, _ in ends] == [word for _, word in ends]


def test_plan() -> None:
    """The same seed gives the same plan, another seed another one, and each disturbance comes."""
    first, again, other = (list(islice(plan.steps("processes", seed), 300)) for seed in ("1", "1", "2"))
    assert first == again != other
    assert {step.name for step in first} == set(plan.WEIGHTS["processes"])
    assert {name for weights in plan.WEIGHTS.values() for name in weights} | {"drain"} == set(EXPLANATIONS)
