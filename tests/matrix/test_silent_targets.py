"""No check passes about nothing: of a target that answers nothing useful, hardly a claim can be seen to hold.

Such a target answers every request alike, and never asks its gateway. What passes all the same is in `SEEN`, with the
reason: the claim is about the bytes that came. Every other check fails, or is not judged and names a check that fails.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from typing import Any
from unittest import mock

import pytest

from lumen_conformance.targets.endpoint import Endpoint
from lumen_conformance.targets.target import Profile, Target
from tests.fixtures.faults.reference.http import Manners, Request, Response, Server
from tests.matrix.expectation import errors, untraced
from tests.matrix.fault_run import red_of, shortened
from tests.matrix.in_process_runner import Asked, Outcome, contract, outcomes
from tests.matrix.reference_launch import given

SHOWN = 8  # surprises are alike
NEVER_ASKED_S = 0.05  # the gateway of these targets is never asked, however long a test waits for it
Answer = tuple[int, bytes] | None
TARGETS: dict[str, Answer] = {
    "status-500": (500, b""),
    "empty": (200, b""),
    "empty-object": (200, b"{}"),
    "closed": None,  # the connection is accepted, and closed without a byte
}
ANY_BODY = frozenset({"status-500", "empty", "empty-object"})
ANY_200 = frozenset({"empty", "empty-object"})
JSON_BODY = frozenset({"empty-object"})
# Checks that pass → of which targets, and what is seen there.
SEEN: dict[str, tuple[frozenset[str], str]] = {
    "C1.1": (ANY_200, "the status is 200; other checks say what its body lacks"),
    "C1.3": (JSON_BODY, "the body is JSON, and has no key error"),
    "C1.4": (ANY_BODY, "the body ends where its Content-Length says"),
    "B1.?": (JSON_BODY, "the body is strict JSON"),
    "D7": (ANY_BODY, "the headers have one length"),
    "F1.6": (frozenset({"status-500"}), "the body of the refusal ends where its Content-Length says"),
    "F6.?": (ANY_BODY, "headers and body have no traceback, no path, no address and no key"),
    "H1.head-nowhere": (ANY_BODY, "HEAD has the status of GET, no body, and leaves the connection usable"),
    "H1.head-*": (JSON_BODY, "HEAD has the status of GET, not its body, and leaves the connection usable"),
    "H5.no-cors-by-default": (ANY_BODY, "the responses have no header for pages"),
}


class Silent(Endpoint):
    """A target that answers every request alike."""

    def __init__(self, answer: Answer, target: Target) -> None:
        def same(request: Request | None, *_: object) -> Response:
            if answer is None:
                raise ConnectionAbortedError
            return Response(*answer, bare=request is not None and request.method == "HEAD")

        self.target = target
        self.server = Server(same, same, Manners())
        self.port = self.server.port

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def launches(answer: Answer, target: Target) -> Iterator[Any]:
    """Launch such targets; end them with the block, however it ends."""
    with ExitStack() as stack:

        def launch(**_: object) -> Silent:
            silent = Silent(answer, target)
            stack.callback(silent.server.close)
            return silent

        yield launch


def test_no_server_outlives_a_failure() -> None:
    """A block that raises ends the targets that it has launched."""
    with suppress(ZeroDivisionError), launches(None, Target()) as launch:
        silent = launch()
        raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", silent.port), NEVER_ASKED_S)


def judged(answer: Answer, profile: Profile) -> dict[Asked, Outcome]:
    """The outcome of each check of the contract."""
    target, tests = contract(profile)
    never = mock.patch("tests.contract.test_g_clients.CALLED_S", NEVER_ASKED_S)
    with never, shortened(), launches(answer, target) as launch:
        found = outcomes(tests, given(launch, target))
    return {test: found[test.name] for test in tests}


def seen(check: str, name: str) -> bool:
    """Whether it is known that a check passes of such a target."""
    return any(fnmatchcase(check, pattern) and name in targets for pattern, (targets, _) in SEEN.items())


@pytest.mark.parametrize("profile", ["lumen", "openai"])
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_seen_is_never_a_pass(name: str, profile: Profile) -> None:
    """Only the checks of `SEEN` pass; the others fail, or are not judged because of one that fails."""
    found = judged(TARGETS[name], profile)
    surprises = [*errors(found), *untraced(found, red_of(found))]
    for test, outcome in found.items():
        if outcome.word == "passed" and not seen(test.check, name):
            surprises.append(f"{test.name} passes")
        if outcome.word == "skipped" and "does not declare" not in outcome.reason:
            surprises.append(f"{test.name} is skipped: {outcome.reason}")
    assert len(found) > 0
    assert not surprises, f"{len(surprises)} surprises, the first:\n" + "\n".join(surprises[:SHOWN])


@pytest.mark.parametrize("pattern", SEEN)
def test_no_exception_is_left_over(pattern: str) -> None:
    """Each entry of `SEEN` is about checks that exist."""
    known = contract("lumen").checks | contract("openai").checks
    assert any(fnmatchcase(check, pattern) for check in known)
