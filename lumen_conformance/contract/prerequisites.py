"""When a check cannot be judged: what it asks for did not come, and another check says so.

A target that answers no plain question, or no question for a stream, fails C1.1, and the checks of `NEED_CHAT` and
`NEED_STREAM` would only repeat it; one whose answers have no choices fails claims about those, and the checks of
`NEED_CHOICES` would repeat them. A refusal that did not come is the failure of the check that asks for it, and none of
its envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

import pytest

from lumen_conformance.checks.preconditions import answered, error_sent, plain_choices, stream_chunks
from lumen_conformance.contract.session import Talk
from lumen_conformance.http.capture import WITNESS
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import is_stream, media_type
from lumen_conformance.registry.refutation import NotJudged
from lumen_conformance.targets.target import Target

CHAT_CHECK = "C1.1"
MIB_BYTES = 1_048_576
CRASH = 500  # and above: no refusal of a bad request
NEED_CHAT = (
    *("C8.*", "E10", "F2.*", "F3.key-stays-here", "F3.limit-is-inclusive", "F3.right-key", "F4", "F7", "G*"),
    *("H1.slash-*", "H2.*", "H3.usable", "H4.[!h]*", "H5.declared-host", "H5.declared-origin", "H5.host-own-*"),
)
NEED_STREAM = ("E8.*", "E9", "E10", "F5.*", "H4.stream-*", "G4.in-streams", "G5.stream-*")  # and rows for a stream
NEED_CHOICES = (
    *("E10", "F3.limit-is-inclusive", "F3.right-key", "F7", "G1.health-*", "G2.stop", "G4.drift-*", "G5.*", "G7.1"),
    *("H1.slash-*", "H2.ten", "H2.after-*", "H2.own-answers"),
    *("H3.usable", "H4.[!h]*", "H5.declared-host", "H5.declared-origin", "H5.host-own-*"),
)
# The checks that fail where the plain answer lacks what is to be known of it.
PLAIN_CHECKS = {"text": ("C4.2", "C4.5"), "finish": ("C4.4",)}
ASK_NOTHING = ("H2.id-nowhere", "H2.id-models")
# The check that fails where an exchange is not what it is meant to be.
RESPONSIBLE = {
    "awkward": "C1.1",
    "awkward_stream": "C1.1",
    "chat": "C1.1",
    "stream": "C1.1",
    "usage_stream": "C1.1",
    "refusal": "F2.messages-empty",
    "refused_stream": "F4",
    "unparsable": "F2.not-json",
    "wrong_type": "F2.messages-string",
    "lost": "F3.unknown-route",
    "unknown_model": "F3.unknown-model",
    "wrong_method": "F3.wrong-method-put",
    "wrong_media_type": "F3.media-type-text",
    "no_key": "F3.no-key",
    "oversize": "F3.oversize",
    "models": "H3.list",
    "model": "H3.each",
    "health": "H4.health",
}
RESPONSIBLE_OF_PROFILE = {
    "lumen": {
        "waited": "D5.waits",
        "malformed": "F3.malformed",
        "gateway_error": "G3.gateway-500",
        "gateway_reset": "G3.reset-after-request",
        "gateway_away": "G3.refused",
    },
    "openai": {
        "waited": "E9",
        "gateway_error": "G3.forwarded-status-500",
        "gateway_reset": "G3.forwarded-reset",
        "gateway_away": "G3.forwarded-refused",
    },
}


def responsible(target: Target, exchange: str) -> tuple[str, ...]:
    """The check that fails where this exchange is not what it is meant to be; none where no check does."""
    known = RESPONSIBLE | RESPONSIBLE_OF_PROFILE[target.profile]
    kind = exchange.partition("-")[0]  # what follows is the text that was asked
    return (known[kind],) if kind in known else ()


def params_of(item: pytest.Item) -> dict[str, object]:
    """The parameters of a test; empty when it has none."""
    return dict(item.callspec.params) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


@cache  # this and the next ones: of an id, which many rows share
def needs_chat(check: str) -> bool:
    """Whether a check means nothing where no plain question is answered."""
    return check not in ASK_NOTHING and any(fnmatchcase(check, pattern) for pattern in NEED_CHAT)


@cache
def needs_choices(check: str) -> bool:
    """Whether a check reads what an answer says."""
    return any(fnmatchcase(check, pattern) for pattern in NEED_CHOICES)


def need_chat(talk: Talk, *, choices: bool) -> None:
    """Raise `NotJudged` unless a plain question is answered, with a choice where one is needed."""
    asked = WITNESS.last
    missing = plain_choices(talk.chat) if choices else answered(talk.chat)
    WITNESS.last = asked  # no failure is about this exchange
    if missing:
        raise NotJudged(f"of a plain question, {missing.reason}", missing.because_of)


def need_known(talk: Talk, what: str) -> None:
    """Raise `NotJudged` where the plain answer, by which more is known, lacks its text or its finish."""
    if "gateway" in talk.target.can and what in PLAIN_CHECKS:
        need_chat(talk, choices=True)
        raise NotJudged(f"the plain answer has no {what}", PLAIN_CHECKS[what])


def need_answers(talk: Talk, seen: Capture) -> None:
    """Raise `NotJudged` where a request seems to be accepted, but not even a plain question gets an answer."""
    if seen.status == 200:
        need_chat(talk, choices=True)


def needs_stream(check: str, params: Mapping[str, object]) -> bool:
    """Whether a check, with these parameters, means nothing where no question for a stream is answered."""
    row = params.get("stream") is True or params.get("streamed") is True
    return check != CHAT_CHECK and (row or asks_stream(check))


@cache
def asks_stream(check: str) -> bool:
    """Whether a check asks for a stream in each of its rows."""
    return any(fnmatchcase(check, pattern) for pattern in NEED_STREAM)


def need_stream(talk: Talk, *, choices: bool) -> None:
    """Raise `NotJudged` unless a question for a stream is answered, with a choice where one is needed."""
    asked = WITNESS.last
    missing = stream_chunks(talk.stream) if choices else answered(talk.stream)
    WITNESS.last = asked
    if missing:
        raise NotJudged(f"of a question for a stream, {missing.reason}", missing.because_of)


def need_response(seen: Capture, because_of: tuple[str, ...]) -> None:
    """Raise `NotJudged` where no response came at all, if a check is known that says so."""
    if seen.status is None and because_of:
        raise NotJudged(f"no response: {seen.ended}", because_of)


def need_json(seen: Capture, because_of: tuple[str, ...]) -> None:
    """Raise `NotJudged` where an error says itself that it is no JSON: clients show it as text, and F1.1 tells."""
    if not is_stream(seen) and not error_sent(seen) and media_type(seen) != "application/json":
        raise NotJudged(f"the error says that it is no JSON: {media_type(seen)!r}", because_of)


def need_refusal(seen: Capture, because_of: tuple[str, ...]) -> None:
    """Raise `NotJudged` where a request that must be refused was not, if a check is known that says so."""
    need_response(seen, because_of)
    if seen.status == 200 and because_of == (RESPONSIBLE["oversize"],):
        sent = f"a request of {len(seen.request_body) / MIB_BYTES:.1f} MiB was sent and answered with status 200"
        pytest.skip(f"{sent}: it is not too large for this target")  # its own affair; F3.oversize asks for no reset
    if seen.status is not None and seen.status < 400 and because_of:
        raise NotJudged(f"the request is not refused: status {seen.status}", because_of)
    if seen.status is not None and seen.status >= CRASH and because_of and because_of[0].startswith("F2."):
        crashed = tuple(f"{check}.never-fails" for check in because_of)  # what a framework says then is no refusal
        raise NotJudged(f"the request is not refused: status {seen.status}", crashed)
