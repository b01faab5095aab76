"""Whatever a target answers, no check raises an unexpected exception."""

from collections.abc import Callable

import pytest

from lumen_conformance.targets.target import Profile
from tests.fixtures.check_session import CheckItem
from tests.fixtures.faults.edits import in_responses
from tests.fixtures.faults.fault import Fault
from tests.fixtures.faults.reference.http import Request, Response
from tests.matrix.contract import contract
from tests.matrix.fault_run import SHORTER, run_fault
from tests.matrix.selection import select

SHOWN = 8  # of the errors: they are alike
# The odd answer replaces the answer of the gateway, so no check needs these deadlines. A target that reads a stream to
# its end before it answers makes each test wait for one of them.
SHORTEST = SHORTER | {"tests.contract.conftest.DEADLINE_S": 0.05, "lumen_conformance.contract.session.BUFFERED_S": 0.05}
# Each field that has a number; the zeros are replaced by numbers that clients cannot read.
TOO_LARGE = (
    b'{"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "m", "pid": 0, "choices": [{"index": 0, '
    b'"message": {"role": "assistant", "content": "a", "refusal": null}, "finish_reason": "stop"}], "usage": '
    b'{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, "data": [{"id": "m", "created": 0}]}'
)


def answers(body: bytes, status: int = 200) -> Callable[[Request, Response], None]:
    """Answer every request with this body."""

    def edit(_: Request, response: Response) -> None:
        read(response)
        response.status, response.body = status, body

    return edit


def read(response: Response) -> bytes:
    """The whole body; reading a stream to its end also closes its source."""
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def close(_: Request, response: Response) -> None:
    """Close each connection without a response."""
    read(response)
    raise ConnectionAbortedError


def cut(_: Request, response: Response) -> None:
    """Send fewer bytes than Content-Length says."""
    response.body = read(response)
    response.set("Content-Length", str(len(response.body) + 5))
    response.close = True


ODD = {
    "empty": answers(b""),
    "html": answers(b"<html>hello</html>"),
    "null": answers(b"null"),
    "list": answers(b"[1]"),
    "choices-of-numbers": answers(b'{"choices": [1], "usage": 1, "error": 1, "data": [1], "lumen_metadata": 1}'),
    "choices-of-nothing": answers(b'{"id": 1, "choices": [{}], "usage": {}, "error": {}, "data": [{"id": {}}]}'),
    "odd-error": answers(b'{"error": {"message": 1, "param": [], "code": {}, "type": 0}}', 500),
    "numbers-too-large": answers(TOO_LARGE.replace(b"0", b"1e999")),
    "numbers-too-long": answers(TOO_LARGE.replace(b"0", b"9" * 5_000)),
    "numbers-of-400-digits": answers(TOO_LARGE.replace(b"0", b"9" * 400)),
    "events-of-numbers": answers(b'data: 1\n\ndata: {"choices": [{"delta": 1}]}\n\ndata: [DONE]\n\n'),
    "hangs-up": close,
    "cut": cut,
}


def checks_of(profile: Profile) -> tuple[CheckItem, ...]:
    """The checks of a profile; for lumen those that openai does not have."""
    others = {test.name for test in contract("openai").tests} if profile == "lumen" else set()
    return tuple(test for test in contract(profile).tests if test.name not in others)


@pytest.mark.parametrize("profile", ["lumen", "openai"])
@pytest.mark.parametrize("name", ODD)
def test_no_check_raises(name: str, profile: Profile) -> None:
    """No check ends with an error, and each failure says what was expected and found."""
    odd = Fault(name, "odd", "", in_responses(ODD[name]), profile)
    outcomes = run_fault(odd, tuple(select(odd, checks_of(profile))), SHORTEST)
    raised = [f"{test.name}: {outcome.reason}" for test, outcome in outcomes.items()
              if outcome.word == "error" or (outcome.word == "failed" and outcome.failure is None)]  # fmt: skip
    assert raised[:SHOWN] == []
    # Of the few checks that only one profile has, none may be about the oddity.
    assert len(outcomes) > 0
