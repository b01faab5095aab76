"""The oracle of the soak test: which disturbance explains the outcome of a request.

`EXPLANATIONS` is the whole rule. An outcome is explained if a disturbance overlaps the request in time and names the
outcome. `answered` and `left` need no explanation. A false answer, a stream that ends without an error and without its
last event, and a request without any answer are never explained.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.sse import parse

DONE: Final = b"[DONE]"
LATE_S: Final = 10.0  # check 4.4 allows ten seconds for an answer
WELL: Final = frozenset({"answered", "left"})
CUT: Final = frozenset({"closed", "cut"})
"""A connection that ends before the first byte of a response, or within a response."""
CROWDED: Final = "429 concurrency_limit"
OF_GATEWAY: Final = frozenset({
    "error event",
    "502 gateway_connection_lost",
    "502 gateway_error",
    "502 gateway_invalid_response",
    "502 gateway_unreachable",
    "503 circuit_open",
    "504 gateway_timeout",
    CROWDED,  # calls that wait for the gateway take up all places
})  # fmt: skip

EXPLANATIONS: Final[Mapping[str, frozenset[str]]] = {
    # from the signal until the process is gone
    "worker killed": CUT,
    "worker crashed": CUT,
    "standby killed": frozenset(),
    # from the signal until the watchdog has ended the process; meanwhile requests wait
    "worker hangs": CUT | {"late", CROWDED},
    # from the signal until the processes continue
    "processes suspended": frozenset({"late", CROWDED}),
    # from the command to its end
    "restart": frozenset(),
    # from the command to the end of the next start
    "stop and start": frozenset({"refused", "503 shutting_down"}),
    # the same, from the event `draining` on, about requests that were sent after it
    "drain": frozenset({"closed"}),
    # from the signal to the end of the next start
    "supervisor killed": CUT | {"refused"},
    "all processes killed": CUT | {"refused"},
    # from its beginning until the calls that began in it have reached their deadline and the breaker has closed
    **dict.fromkeys(
        ("gateway silent", "gateway slow", "gateway answers 500", "gateway resets", "gateway sends garbage",
         "gateway down"),
        OF_GATEWAY,
    ),
    # from its beginning until its last client has ended
    "more clients": frozenset({CROWDED}),
}  # fmt: skip


@dataclass(frozen=True)
class RequestOutcome:
    """The end of one request. Times are those of `time.monotonic()`.

    A process that ends while the connection is open can cut the request: ``opened_s`` may be long before ``sent_s``.
    """

    word: str
    opened_s: float
    sent_s: float
    ended_s: float
    detail: str = ""


@dataclass(frozen=True)
class Disturbance:
    """What the soak test did, from when to when (`time.monotonic()`)."""

    name: str
    begun_s: float
    ended_s: float = inf
    detail: str = ""

    def explains(self, outcome: RequestOutcome) -> bool:
        """Return whether this disturbance overlaps the request and can have this outcome."""
        since_s = outcome.ended_s if self.name != "drain" else outcome.sent_s
        overlaps = outcome.opened_s <= self.ended_s and self.begun_s <= since_s
        return overlaps and outcome.word in EXPLANATIONS[self.name]


def find_unexplained(
    outcomes: Iterable[RequestOutcome], disturbances: Iterable[Disturbance]
) -> tuple[RequestOutcome, ...]:
    """Return the outcomes that nothing explains."""
    known = tuple(disturbances)
    return tuple(
        outcome for outcome in outcomes if outcome.word not in WELL and not any(one.explains(outcome) for one in known)
    )


def name_outcome(capture: Capture, question: str, *, is_stream: bool) -> str:
    """Return the word for the end of a chat."""
    if capture.ended in {"refused", "left"}:
        return capture.ended
    if capture.ended in {"timeout", "invalid", "unreachable"}:
        return "no answer"
    if capture.status is None:
        return "cut" if capture.raw else "closed"
    if capture.status != 200:
        return f"{capture.status} {_code(capture)}" if capture.ended == "complete" else "cut"
    word = _name_stream(capture, question) if is_stream else _name_plain(capture, question)
    return "late" if word == "answered" and capture.elapsed_s > LATE_S else word


def _code(capture: Capture) -> str:
    try:
        return str(capture.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return "without a code"


def _name_plain(capture: Capture, question: str) -> str:
    if capture.ended != "complete":
        return "cut"
    try:
        choice = capture.json()["choices"][0]
        is_right = choice["finish_reason"] == "stop" and question in choice["message"]["content"]
    except (ValueError, KeyError, TypeError, IndexError):
        is_right = False
    return "answered" if is_right else "false answer"


def _name_stream(capture: Capture, question: str) -> str:
    data = [event.data for event in parse(capture.body) if event.closed and event.data is not None]
    chunks: list[dict[str, Any]] = [json.loads(each) for each in data if each != DONE]
    choices = [choice for chunk in chunks for choice in chunk.get("choices", ())]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    has_finished = any(choice["finish_reason"] for choice in choices)
    if any("error" in chunk for chunk in chunks):
        return "false answer" if has_finished else "error event"
    if has_finished and question not in text:
        return "false answer"
    if capture.ended != "complete":
        return "cut"
    return "answered" if has_finished and data[-1:] == [DONE] else "false end"
