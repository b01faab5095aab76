"""Causes that many checks share: the checks, what they found, and the cause in one sentence.

The first row that matches a failure is its cause. A failure that no row matches is grouped by its check.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Final, NamedTuple


class KnownCause(NamedTuple):
    """One cause.

    ``checks``  patterns of check ids
    ``found``   a regular expression that the found value must contain
    """

    name: str
    checks: tuple[str, ...]
    found: str
    sentence: str


# A status is a word of its own: 200 in "status 200, complete", but not in "2000 bytes".
OK, SERVER_ERROR, WEB_PAGE = r"\b200\b", r"\b5\d\d\b", r"<!doctype|<html|text/html"
NO_STREAM = r"^none\b|^no such event|^'' of 0|application/json|\"chat\.completion\"|^None$|^no stream"
SERVER_ENDED = r"^the server (ended by itself|is gone)"

KNOWN_CAUSES: Final = (
    KnownCause("server-ends", ("*",), SERVER_ENDED, "the server ends during the run"),
    KnownCause("mixed-up", ("G7.1", "H2-own-answers"), r"another|^the rest of",
               "a request receives the answer to another request"),
    KnownCause("param-not-named", ("F2-*-param",), "", "error responses do not name the invalid field"),
    KnownCause("bad-requests-answered", ("F2-*", "F4", "F7*"), OK, "bad requests are answered with 200"),
    KnownCause("bad-requests-crash", ("F2-*", "F4", "F7*"), SERVER_ERROR, "bad requests are answered with a 5xx"),
    KnownCause("errors-are-web-pages", ("B*", "D2*", "F1.*", "F3-*", "F5.*", "F5-*", "G3-*", "G8-*", "H3-*"), WEB_PAGE,
               "errors are web pages, not JSON"),
    KnownCause("no-stream", ("B*", "D*", "E*"), f"{NO_STREAM}|{WEB_PAGE}",
               "a request for a stream receives no stream"),
    KnownCause("no-stream", ("D1.1", "D5*"), "", "a request for a stream receives no stream"),
    KnownCause("events-cut", ("B1.5", "D2.2"), "where a whole string is expected",
               "events end inside their JSON"),
    KnownCause("no-request-id", ("F8", "G7.3", "H2-id-*"), "", "responses have no x-request-id"),
    KnownCause("requests-not-checked", ("F3-media*", "F3-*key*", "F3-exact-*", "F3-oversize*"), OK,
               "requests that must be rejected are answered with 200"),
    KnownCause("hosts-not-checked", ("H5-*",), "",
               "requests with a foreign Host or from a foreign web page are not rejected"),
    KnownCause("error-envelope", ("F1.*", "F3-*", "H3-unknown", "H1-head-*"), "",
               "the form or the status of an error differs from OpenAI's"),
    KnownCause("leaks", ("F6.*",), "", "responses contain an internal address, path or key"),
    KnownCause("late-failures", ("F5.*", "F5-*"), "", "a failure during a stream is not reported as OpenAI reports it"),
    KnownCause("gateway-failures", ("G3-*", "G8-*"), "",
               "failures of the gateway are not reported as OpenAI reports them"),
    KnownCause("options", ("G15-*", "H4-limit-*", "H4-stop-ends"), "",
               "options of a request have no effect, or another value"),
    KnownCause("forwarded-requests", ("G1-*", "G2-*"), "",
               "the request to the gateway differs from the request of the client"),
    KnownCause("metadata", ("G4-*",), "", "metadata in the gateway's answer is lost or wrong"),
    KnownCause("texts", ("G5-*", "D4"), "", "the received text differs from the text that was sent"),
    KnownCause("ids-repeat", ("C8.*", "G7.2"), "", "several answers have the same id"),
    KnownCause("stream-headers", ("D6.*",), "", "streams lack the headers that prevent buffering"),
    KnownCause("connections", ("H1-*", "H2-*"), "",
               "paths, methods or connections are not handled as HTTP clients expect"),
    KnownCause("models", ("H3-*",), "", "the list of models is missing or wrong"),
    KnownCause("client-libraries", ("H4-*", "C7"), "", "requests of client libraries are not accepted"),
)  # fmt: skip

STALE: Final = KnownCause("baseline-out-of-date", (), "",
               "the baseline is out of date: it lists checks that pass; remove their lines")  # fmt: skip


def find_known_cause(check: str, found: str) -> KnownCause | None:
    """Return the cause that matches a failure, or None."""
    matching = (each for each in KNOWN_CAUSES if any(fnmatchcase(check, pattern) for pattern in each.checks))
    return next((each for each in matching if re.search(each.found, found, re.IGNORECASE)), None)
