"""Causes that many checks share: the checks, what they found, and the cause in one sentence.

The first row that matches a failure is its cause. A failure that no row matches is grouped by its check.

A row of `WHOLE` says that a server lacks something as a whole, so that its failures have one cause. It applies only
where most of its checks fail: a server that fails two checks of failures of the gateway may have two defects, one that
fails ninety of a hundred has no such errors. A row of `PATTERNS` applies where two of its checks fail, and no check
that would fail for another reason. A row of `EXACT` applies to each failure: what was found is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, NamedTuple


class KnownCause(NamedTuple):
    """One cause.

    ``checks``  patterns of check ids, or of the names of their rows
    ``found``   a regular expression that the found value must contain
    ``unless``  checks that pass if this is the cause
    """

    name: str
    checks: tuple[str, ...]
    found: str
    sentence: str
    unless: tuple[str, ...] = ()

    def is_about(self, check: str, row: str) -> bool:
        """Return whether a check, or this row of it, is one of this cause."""
        return any(fnmatchcase(name, pattern) for pattern in self.checks for name in (check, row))

    def explains(self, judged: JudgedCheck) -> bool:
        """Return whether this is the cause of a failure."""
        if judged.found is None or not self.is_about(judged.check, judged.row):
            return False
        return re.search(self.found, judged.found, re.IGNORECASE) is not None


class JudgedCheck(NamedTuple):
    """A check that passed or failed: its id, the name of its row, and the found value; None if it passed.

    In a report of several systems, id and name are without the label of the system.
    """

    check: str
    row: str
    found: str | None


# A status is a word of its own: 200 in "status 200, complete", but not in "2000 bytes".
OK, SERVER_ERROR, NOT_FOUND = r"\b200\b", r"\b5\d\d\b", r"\bstatus 404\b"
WEB_PAGE = r"<!doctype|<html|text/html"
NO_STREAM = r"^none\b|^no such event|^'' of 0|application/json|\"chat\.completion\"|^None$|^no stream"
# The same question is answered without chunks, so a refusal for its form (RFC 9112, 6.1: 501) is about them.
UNREAD = r"^status (400|411|422|501)\b|the body of the first request is read as a request"
CHUNKED = ("H6-chunked", "H2-body-in-chunks")
UNREAD_SENTENCE = "the body of a request that is sent in chunks is not read"
SERVER_ENDED = r"^the server (ended by itself|is gone)"
FEW: Final = 3  # checks that fail: as many may have as many causes

WHOLE: Final = (
    KnownCause("gateway-failures", ("G3-*", "G8-*", "F1.*-gateway_*"), "",
               "failures of the gateway are not reported as OpenAI reports them"),
    KnownCause("hosts-not-checked", ("H5-*",), "",
               "requests with a foreign Host or from a foreign web page are not rejected"),
    KnownCause("param-not-named", ("F2-*-param",), "", "error responses do not name the invalid field"),
    KnownCause("requests-not-validated",
               ("F2-*", "F4", "F3-media*", "F3-exact-413", "F3-exact-415", "F3-oversize*", "F3-malformed",
                "G2-too-long"),
               f"{OK}|{SERVER_ERROR}",
               "requests are not validated: bad ones are answered with 200, or fail with a 5xx"),
    KnownCause("conversations", ("G1-conversation", "G2-order", "G2-parts", "G2-role*", "G2-tool-calls",
                                 "G2-no-forgery", "H4-content-parts", "H4-lenient-system-last"), "",
               "the gateway does not get the whole conversation: messages, roles or parts are missing"),
    KnownCause("fields-without-effect", ("C3.2", "J1.3", "G15-*", "H4-limit-*", "H4-stop-ends", "G2-stop", "G2-user",
                                         "G2-persona-*"), "",
               "fields of a request beside its messages have no effect"),
    KnownCause("no-chat-forwarded", ("G1-forwarded-*", "G2-forwarded-*"), r"^none\b|messages is missing",
               "no request reaches the gateway as a chat completion"),
    KnownCause("only-the-text", ("G10-*", "G11-usage"), r'^no \b|^(finish_reason: "stop"|refusal: |usage: )',
               "of an answer of the gateway only the text is kept, not its finish_reason, usage and other fields"),
    KnownCause("metadata", ("G4-*", "G2-dropped-is-disclosed", "G2-unknown-model"), "",
               "metadata is lost, and unusual forms of the gateway's answer are not understood"),
    KnownCause("texts", ("G5-*", "D4"), "", "the received text differs from the text that was sent"),
    KnownCause("late-failures", ("F5.*", "F5-*"), "", "a failure during a stream is not reported as OpenAI reports it"),
    KnownCause("error-envelope", ("F1.*", "F3-*", "H3-unknown", "H1-head-*"), "",
               "the form or the status of errors differs from OpenAI's"),
)  # fmt: skip

PATTERNS: Final = (
    KnownCause("zeros-dropped",
               ("G15-temperature-zero", "G15-top-p-zero", "G15-seed-zero", "G15-parallel-tool-calls-false"), "^no ",
               "options with the value 0 or false do not reach the gateway",
               unless=("G15-temperature", "G15-top-p", "G15-seed")),
    KnownCause("chunked-bodies", CHUNKED, rf"{UNREAD}|^status 500\b", UNREAD_SENTENCE),  # one crash may be another
)  # fmt: skip

EXACT: Final = (
    KnownCause("mixed-up", ("G7.1", "H2-own-answers"), r"another|^the rest of",
               "a request receives the answer to another request"),
    KnownCause("bad-requests-answered", ("F2-*", "F4"), OK, "bad requests are answered with 200"),
    KnownCause("bad-requests-crash", ("F2-*", "F4"), SERVER_ERROR, "bad requests are answered with a 5xx"),
    KnownCause("errors-are-web-pages",
               ("B*", "D2*", "F1.*", "F3-*", "F5.*", "F5-*", "G3-*", "G8-*", "H1-slash-*", "H3-*"), WEB_PAGE,
               "errors are web pages, not JSON"),
    KnownCause("no-stream", ("B*", "D*", "E*"), f"{NO_STREAM}|{WEB_PAGE}",
               "a request for a stream receives no stream"),
    KnownCause("no-stream", ("D1.1",), "", "a request for a stream receives no stream"),
    KnownCause("no-stream", ("D5-*",), "no response: timeout", "a request for a stream receives no stream"),
    KnownCause("length-too-short", ("B1.5",), "the body ends at its Content-Length",
               "the Content-Length of an answer is less than the length of its body"),
    KnownCause("json-cut", ("B1.5", "D2.2"), "where a whole string is expected", "JSON ends too early"),
    KnownCause("no-request-id", ("F8", "G7.3", "H2-id-*"), "^no (header )?x-request-id",
               "responses have no x-request-id"),
    KnownCause("keys-not-checked", ("F3-*key*", "F3-exact-401"), OK, "requests without the right key are answered"),
    KnownCause("media-types-not-checked", ("F3-media*", "F3-exact-415"), OK,
               "requests with another media type than JSON are answered"),
    KnownCause("sizes-not-checked", ("F3-oversize*", "F3-exact-413"), OK, "requests of any size are answered"),
    KnownCause("chunked-bodies", CHUNKED, UNREAD, UNREAD_SENTENCE),
    KnownCause("small-bodies", ("H6-large-*",), r"\bstatus [45]",
               "request bodies of an ordinary size are refused as too large"),
    KnownCause("small-headers", ("H6-long-header", "H6-many-headers"), r"\bstatus [45]|no response",
               "request headers of an ordinary size are refused as too large"),
    KnownCause("4xx-becomes-5xx", ("G3-class-4*", "G3-code-4*", "G3-message-4*", "G8-forwarded-retry-after"),
               r"^status 5\d\d\b", "errors 4xx of the gateway become 5xx"),
    KnownCause("status-as-code", ("G3-code-*", "F1.7-gateway_error"), r"^(the code|code is) [45]\d\d$",
               "the code of an error of the gateway is replaced by its status"),
    KnownCause("tool-calls-end-with-stop", ("G9-finish", "C9.6", "E8.6"), r"""["']stop["']""",
               "the finish_reason tool_calls is sent as stop"),
    KnownCause("ids-repeat", ("C8.1", "C8.4"), "", "several answers have the same id"),
    KnownCause("no-models", ("H3-*",), NOT_FOUND, "there is no list of models"),
)  # fmt: skip

ENDED: Final = KnownCause("server-ends", ("*",), SERVER_ENDED, "the server ends during the run")
STALE: Final = KnownCause("baseline-out-of-date", (), "",
               "the baseline is out of date: it lists checks that pass; remove their lines")  # fmt: skip
SENTENCES: Final = {each.name: each.sentence for each in (ENDED, *WHOLE, *PATTERNS, *EXACT)}


def applicable_causes(judged: Iterable[JudgedCheck]) -> tuple[KnownCause, ...]:
    """Return the causes of a run in the order in which they apply: without those of which most checks pass."""
    every = list(judged)
    failed = [each for each in every if each.found is not None]
    whole = (cause for cause in WHOLE if _is_missing(cause, failed, every))
    patterns = (cause for cause in PATTERNS if _is_pattern(cause, failed))
    return (ENDED, *whole, *patterns, *EXACT)


def _is_missing(cause: KnownCause, failed: Iterable[JudgedCheck], every: Iterable[JudgedCheck]) -> bool:
    """Return whether at least half of the checks of a cause fail for it, and more than a few."""
    explained = _explained(cause, failed)
    if len(explained) <= FEW:
        return False
    return 2 * len(explained) >= len({each.check for each in every if cause.is_about(each.check, each.row)})


def _is_pattern(cause: KnownCause, failed: Iterable[JudgedCheck]) -> bool:
    """Return whether several checks fail for a cause, and none that would pass then."""
    return len(_explained(cause, failed)) > 1 and not {each.check for each in failed} & {*cause.unless}


def _explained(cause: KnownCause, failed: Iterable[JudgedCheck]) -> set[str]:
    return {each.check for each in failed if cause.explains(each)}


def find_known_cause(causes: Iterable[KnownCause], failure: JudgedCheck) -> KnownCause | None:
    """Return the first of these causes that explains a failure, or None."""
    return next((each for each in causes if each.explains(failure)), None)
