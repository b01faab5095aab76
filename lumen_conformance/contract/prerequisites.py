"""Preconditions of contract tests: a check is not judged when its exchange failed and another check reports that.

A target that does not answer a plain question, or a question for a stream, fails C1.1; the checks of `NEED_CHAT` and
`NEED_STREAM` would repeat that failure. A target whose answers have no choices fails C2.4; the checks of `NEED_CHOICES`
would repeat it. A bad request that is not refused fails one F2 check, and not the checks of the form of errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

import pytest

from lumen_conformance.checks.preconditions import (
    require_choices,
    require_error,
    require_status_200,
    require_stream_chunks,
)
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.contract.tool_requests import SCRIPTED_EXCHANGES
from lumen_conformance.http.capture import LAST_CAPTURE
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import is_stream, media_type
from lumen_conformance.registry.refutation import NotJudged
from lumen_conformance.targets.target import Target

CHAT_CHECK = "C1.1"
MIB_BYTES = 1_048_576
NEED_CHAT = (
    "F7-*",
    "J*",
    *("C3.[23]", "C8.*", "C9.*", "E10", "F2-*", "F3-oversize*"),
    *("F3-key-stays-here", "F3-limit-is-inclusive", "F3-right-key", "F4", "F7", "G*"),
    *("H1-slash-*", "H2-*", "H3-usable", "H4-[!h]*", "H5-declared-host", "H5-declared-origin", "H5-host-own-*", "H6-*"),
    *("H8-accepted-plain", "H8-accepted-stream", "H8-gateway-*"),
)
NEED_STREAM = (
    "E8.*",
    "E9*",
    "E10",
    "F5.*",
    "F5-*",
    "G12-*",
    "G6-in-mid-stream",
    *("G13-cut", "G13-long", "G13-pause*"),
    "G3-first-event",
    "G3-message-first-event",
    "G3-message-late",
    "H4-stream-*",
    "H8-accepted-stream",
    "H8-gateway-stream",
    "G4-in-streams",
    "G5-stream-*",
    "G14-*",
)  # and parameters for a stream
NEED_CHOICES = (
    "J*",
    *("E10", "F3-limit-is-inclusive", "F3-right-key", "F7", "G1-health-*", "G2-stop", "G4-drift-*", "G5-*", "G7.1"),
    *("F7-after-*", "G10-*", "G11-*", "G12-*", "G13-*", "G14-*"),
    *("H1-slash-*", "H2-ten", "H2-after-*", "H2-own-answers"),
    *("H3-usable", "H4-[!h]*", "H5-declared-host", "H5-declared-origin", "H5-host-own-*", "H6-*"),
    *("H8-accepted-plain", "H8-accepted-stream", "H8-gateway-*"),
)
# The checks that fail when the plain answer lacks its text or its finish_reason.
PLAIN_CHECKS = {"text": ("C4.2", "C4.5"), "finish": ("C4.4",)}
NO_QUESTION = ("H2-id-nowhere", "H2-id-models", "H2-after-unknown-route", "H2-close")  # and H2-body-*
# The check that fails when the exchange is not of the expected kind.
RESPONSIBLE_CHECKS = {
    "awkward": "C1.1",
    "awkward_stream": "C1.1",
    "chat": "C1.1",
    "stream": "C1.1",
    "usage_stream": "C1.1",
    "refusal": "F2-messages-empty",
    "refused_stream": "F4",
    "unparsable": "F2-not-json",
    "wrong_type": "F2-messages-string",
    "lost": "F3-unknown-route",
    "unknown_model": "F3-unknown-model",
    "wrong_method": "F3-wrong-method-put",
    "wrong_media_type": "F3-media-type-text",
    "no_key": "F3-no-key",
    "oversize": "F3-oversize",
    "models": "H3-list",
    "model": "H3-each",
    "health": "H4-health",
    "tool_call": "C9.1",
    "tool_stream": "E8.4",
    "tool_usage_stream": "E8.4",
    "named_tool_call": "C9.7",
    **{name: "C9.1" for name in SCRIPTED_EXCHANGES if not name.endswith("_stream")},
    **{name: "E8.4" for name in SCRIPTED_EXCHANGES if name.endswith("_stream")},
}
PROFILE_RESPONSIBLE_CHECKS = {
    "lumen": {
        "waited": "D5-waits",
        "malformed": "F3-malformed",
        "gateway_error": "G3-gateway-500",
        "gateway_reset": "G3-reset-after-request",
        "gateway_away": "G3-refused",
    },
    "openai": {
        "waited": "E9",
        "gateway_error": "G3-forwarded-status-500",
        "gateway_reset": "G3-forwarded-reset",
        "gateway_away": "G3-forwarded-refused",
    },
}


def responsible_checks(target: Target, exchange: str) -> tuple[str, ...]:
    """The check that fails when this exchange is not of the expected kind; empty when there is none."""
    checks = RESPONSIBLE_CHECKS | PROFILE_RESPONSIBLE_CHECKS[target.profile]
    kind = exchange.partition("-")[0]  # the text of the question follows the hyphen
    return (checks[kind],) if kind in checks else ()


def params_of(item: pytest.Item) -> dict[str, object]:
    """The parameters of a test."""
    return dict(item.callspec.params) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


@cache  # many tests share an id
def needs_chat(check: str) -> bool:
    """Whether a check requires that the target answers a plain question."""
    if check.startswith(("H2-body-", *NO_QUESTION)):
        return False
    return any(fnmatchcase(check, pattern) for pattern in NEED_CHAT)


@cache
def needs_choices(check: str) -> bool:
    """Whether a check requires an answer with choices."""
    return any(fnmatchcase(check, pattern) for pattern in NEED_CHOICES)


def need_chat(session: ContractSession, *, choices: bool) -> None:
    """Raise `NotJudged` unless the target answers a plain question, with a choice if one is needed."""
    last = LAST_CAPTURE.capture
    missing = require_choices(session.chat) if choices else require_status_200(session.chat)
    LAST_CAPTURE.capture = last  # failures are not about this exchange
    if missing:
        raise NotJudged(f"to a plain question: {missing.reason}", missing.because_of)


def need_context(session: ContractSession, what: str) -> None:
    """Raise `NotJudged` when the plain answer lacks the text or the finish_reason that a claim needs."""
    if "gateway" in session.target.can and what in PLAIN_CHECKS:
        need_chat(session, choices=True)
        raise NotJudged(f"the plain answer has no {what}", PLAIN_CHECKS[what])


def need_answers(session: ContractSession, capture: Capture) -> None:
    """Raise `NotJudged` when a request gets status 200, but the target does not answer a plain question."""
    if capture.status == 200:
        need_chat(session, choices=True)


def needs_stream(check: str, params: Mapping[str, object]) -> bool:
    """Whether a check with these parameters requires that the target answers a question for a stream."""
    streamed = params.get("stream") is True or params.get("streamed") is True
    return check != CHAT_CHECK and (streamed or always_streams(check))


@cache
def always_streams(check: str) -> bool:
    """Whether a check asks for a stream with all its parameters."""
    return any(fnmatchcase(check, pattern) for pattern in NEED_STREAM)


def need_stream(session: ContractSession, *, choices: bool) -> None:
    """Raise `NotJudged` unless the target answers a question for a stream, with a choice if one is needed."""
    last = LAST_CAPTURE.capture
    missing = require_stream_chunks(session.stream) if choices else require_status_200(session.stream)
    LAST_CAPTURE.capture = last
    if missing:
        raise NotJudged(f"to a question for a stream: {missing.reason}", missing.because_of)


def need_response(capture: Capture, because_of: tuple[str, ...]) -> None:
    """Raise `NotJudged` when there is no response and a check reports that."""
    if capture.status is None and because_of:
        raise NotJudged(f"no response: {capture.ended}", because_of)


def need_json(capture: Capture, because_of: tuple[str, ...]) -> None:
    """Raise `NotJudged` when the media type of an error is not JSON: clients show it as text, and F1.1 reports it."""
    if not is_stream(capture) and not require_error(capture) and media_type(capture) != "application/json":
        raise NotJudged(f"the media type of the error is not JSON: {media_type(capture)!r}", because_of)


def need_refusal(capture: Capture, because_of: tuple[str, ...]) -> None:
    """Raise `NotJudged` when a request that must be refused was not refused and a check reports that."""
    need_response(capture, because_of)
    if capture.status == 200 and because_of == (RESPONSIBLE_CHECKS["oversize"],):
        sent = f"a request of {len(capture.request_body) / MIB_BYTES:.1f} MiB was sent and answered with status 200"
        pytest.skip(f"{sent}: it is not too large for this target")  # allowed; F3-oversize only forbids a reset
    if capture.status is not None and capture.status < 400 and because_of:
        raise NotJudged(f"the request is not refused: status {capture.status}", because_of)
    if capture.is_server_error and because_of and because_of[0].startswith("F2-"):
        crashed = tuple(
            f"{check}-never-fails" for check in because_of
        )  # the error page of a framework is not a refusal
        raise NotJudged(f"the request is not refused: status {capture.status}", crashed)
