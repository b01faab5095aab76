"""Whatever a target answers, a check passes, is refuted in words, or is not judged: none raises anything else."""

from collections.abc import Callable

import pytest

from lumen_conformance.targets.target import Profile
from tests.fixtures.faults.changing import in_responses
from tests.fixtures.faults.fault import Fault
from tests.fixtures.faults.reference.http import Request, Response
from tests.matrix.fault_run import SHORTER, asked, judge
from tests.matrix.in_process_runner import Asked, contract

SHOWN = 8  # faults of the suite are alike
# The odd answer replaces what the gateway said, in time or not: nothing is held to these deadlines here. A target that
# reads a stream to its end before it answers makes each test wait for one of them.
SHORTEST = SHORTER | {"tests.contract.conftest.DEADLINE_S": 0.05, "lumen_conformance.contract.session.BUFFERED_S": 0.05}
# Each place where a number is due; the zeros stand for a number that clients do not read.
TOO_LARGE = (
    b'{"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "m", "pid": 0, "choices": [{"index": 0, '
    b'"message": {"role": "assistant", "content": "a", "refusal": null}, "finish_reason": "stop"}], "usage": '
    b'{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, "data": [{"id": "m", "created": 0}]}'
)


def answers(body: bytes, status: int = 200) -> Callable[[Request, Response], None]:
    """Answer everything like this."""

    def edit(_: Request, sent: Response) -> None:
        whole(sent)
        sent.status, sent.body = status, body

    return edit


def whole(sent: Response) -> bytes:
    """The body; that of a stream is read to its end, which also closes what it comes from."""
    return sent.body if isinstance(sent.body, bytes) else b"".join(sent.body)


def hangs_up(_: Request, sent: Response) -> None:
    """Close each connection without a word."""
    whole(sent)
    raise ConnectionAbortedError


def cut(_: Request, sent: Response) -> None:
    """Promise more than comes."""
    sent.body = whole(sent)
    sent.set("Content-Length", str(len(sent.body) + 5))
    sent.close = True


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
    "hangs-up": hangs_up,
    "cut": cut,
}


def asked_of(profile: Profile) -> tuple[Asked, ...]:
    """The tests of a profile; of lumen, those that openai does not have."""
    others = {test.name for test in contract("openai").tests} if profile == "lumen" else set()
    return tuple(test for test in contract(profile).tests if test.name not in others)


@pytest.mark.parametrize("profile", ["lumen", "openai"])
@pytest.mark.parametrize("name", ODD)
def test_no_check_raises(name: str, profile: Profile) -> None:
    """No check is an ERROR, and each that fails says what it expected and found."""
    odd = Fault(name, "odd", "", in_responses(ODD[name]), profile)
    found = judge(odd, tuple(asked(odd, asked_of(profile))), SHORTEST)
    raised = [f"{test.name}: {outcome.reason}" for test, outcome in found.items()
              if outcome.word == "error" or (outcome.word == "failed" and outcome.failure is None)]  # fmt: skip
    assert raised[:SHOWN] == []
    assert any(outcome.word == "failed" for outcome in found.values())
