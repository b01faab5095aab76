"""A check does not pass without evidence: almost none passes for a target that answers nothing useful.

Such a target gives every request the same answer and never calls its gateway. `PASSES` has the checks that pass, with
the reason: their claims are about the bytes that were received. Every other check fails, or is not judged and names a
check that fails.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from typing import Any

import pytest

from lumen_conformance.targets.endpoint import Endpoint
from lumen_conformance.targets.target import Profile, Target
from tests.fixtures.faults.reference.http import ConnectionRules, Request, Response, Server
from tests.matrix.comparison import errors, untraced
from tests.matrix.contract import contract
from tests.matrix.fault_run import Outcomes, failed_checks, new_run, shorten_waits

SHOWN = 8  # of the differences: they are alike
REFUSED_S = 1.0  # a closed port refuses a connection at once
Answer = tuple[int, bytes] | None
TARGETS: dict[str, Answer] = {
    "status-500": (500, b""),
    "empty": (200, b""),
    "empty-object": (200, b"{}"),
    "closed": None,  # the connection is accepted and closed without a byte
}
ANY_BODY = frozenset({"status-500", "empty", "empty-object"})
ANY_200 = frozenset({"empty", "empty-object"})
JSON_BODY = frozenset({"empty-object"})
# Checks that pass → for which targets, and why.
PASSES: dict[str, tuple[frozenset[str], str]] = {
    "C1.1": (ANY_200, "the status is 200; other checks say what its body lacks"),
    "C1.3": (JSON_BODY, "the body is JSON, and has no key error"),
    "C1.4": (ANY_BODY, "the body ends where its Content-Length says"),
    "B1.?": (JSON_BODY, "the body is strict JSON"),
    "D7": (ANY_BODY, "the headers have one length"),
    "F1.6": (frozenset({"status-500"}), "the body of the refusal ends where its Content-Length says"),
    "F6.?": (ANY_BODY, "headers and body have no traceback, no path, no address and no key"),
    "H1-head-nowhere": (ANY_BODY, "HEAD has the status of GET, no body, and leaves the connection usable"),
    "H1-head-*": (JSON_BODY, "HEAD has the status of GET, not its body, and leaves the connection usable"),
    "H2-kept": (ANY_200, "ten requests use one connection"),
    "H2-body-*": (ANY_BODY, "the connection answers the next request with its own answer"),
    "H2-after-unknown-route": (ANY_BODY, "the connection is usable after the answer"),
    "H2-close": (ANY_BODY, "the connection ends after the answer"),
    "F3-key-body": (ANY_BODY, "the connection answers the next request with its own answer"),
    "F3-key-s*": (ANY_200, "the status is 200, as with the usual spelling"),
    "H8-unasked": (ANY_BODY, "the body is in no coding"),
    "H8-accepted-error": (ANY_BODY, "the body is in no coding"),
    "H5-no-cors-by-default": (ANY_BODY, "the responses have no header for pages"),
}


# Parts of the reasons for which checks do not apply to such a target.
SKIPPED = (
    "does not declare",
    "G11-usage compares the counts",
    "no response has a content coding",
    "the request does not require a tool call",
)


class Silent(Endpoint):
    """A target that gives every request the same answer."""

    def __init__(self, answer: Answer, target: Target) -> None:
        def same(request: Request | None, *_: object) -> Response:
            if answer is None:
                raise ConnectionAbortedError
            return Response(*answer, bare=request is not None and request.method == "HEAD")

        self.target = target
        self.server = Server(same, same, ConnectionRules())
        self.port = self.server.port

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def launches(answer: Answer, target: Target) -> Iterator[Any]:
    """A function that launches such targets; they end with the block."""
    with ExitStack() as stack:

        def launch(**_: object) -> Silent:
            silent = Silent(answer, target)
            stack.callback(silent.server.close)
            return silent

        yield launch


def test_no_server_outlives_a_failure() -> None:
    """A block that raises ends the targets that it launched."""
    with suppress(ZeroDivisionError), launches(None, Target()) as launch:
        silent = launch()
        raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", silent.port), REFUSED_S)


def run_silent(answer: Answer, profile: Profile) -> Outcomes:
    """The outcome of each check of the contract."""
    session = contract(profile)
    with shorten_waits(), launches(answer, session.target) as launch, new_run() as run:
        return session.run(session.tests, session.target, run, launch)


def may_pass(check: str, name: str) -> bool:
    """Whether a check is known to pass for such a target."""
    return any(fnmatchcase(check, pattern) and name in targets for pattern, (targets, _) in PASSES.items())


@pytest.mark.parametrize("profile", ["lumen", "openai"])
@pytest.mark.parametrize("name", TARGETS)
def test_no_evidence_is_no_pass(name: str, profile: Profile) -> None:
    """Only the checks of `PASSES` pass; the others fail, or are not judged because of one that fails."""
    outcomes = run_silent(TARGETS[name], profile)
    differences = [*errors(outcomes), *untraced(outcomes, failed_checks(outcomes))]
    for test, outcome in outcomes.items():
        if outcome.word == "passed" and not may_pass(test.check, name):
            differences.append(f"{test.name} passes")
        if outcome.word == "skipped" and not any(reason in outcome.reason for reason in SKIPPED):
            differences.append(f"{test.name} is skipped: {outcome.reason}")
    assert len(outcomes) > 0
    assert not differences, f"{len(differences)} differences, the first:\n" + "\n".join(differences[:SHOWN])


@pytest.mark.parametrize("pattern", PASSES)
def test_patterns_match(pattern: str) -> None:
    """Each entry of `PASSES` is about checks that exist."""
    known = contract("lumen").checks | contract("openai").checks
    assert any(fnmatchcase(check, pattern) for check in known)
