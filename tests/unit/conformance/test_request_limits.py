"""A question that the target refuses for its limit is asked again, as client libraries do."""

from collections.abc import Callable, Iterator
from unittest.mock import Mock

import pytest

from lumen_conformance.contract.request_limits import ask_within_limit
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.http.capture import Capture
from lumen_conformance.targets.target import Target

OK = Capture("http://x/", b"", 200, ended="complete")


def limited(*retry_after: str) -> Capture:
    """A 429 with this Retry-After, if any."""
    return Capture("http://x/", b"", 429, tuple(("retry-after", each) for each in retry_after), ended="complete")


def statuses(*responses: Capture, calls: Iterator[int]) -> tuple[int | None, int]:
    """The status after these responses in turn, and how many of them were read."""
    left = list(responses)
    status = ask_within_limit(lambda: left.pop(0), lambda: next(calls)).status
    return status, len(responses) - len(left)


@pytest.mark.parametrize(
    ("responses", "found"),
    [
        ((OK, OK), (200, 1)),
        ((limited("0"), OK, OK), (200, 2)),
        ((limited("0"),) * 4, (429, 3)),
        ((limited(), OK), (429, 1)),
        ((limited("61"), OK), (429, 1)),
        ((limited("soon"), OK), (429, 1)),
    ],
    ids=["answered", "limited-once", "always-limited", "no-time", "a-long-time", "no-number"],
)
def test_asked_again(responses: tuple[Capture, ...], found: tuple[int, int]) -> None:
    """A question is asked three times at most, and only after a time that clients wait."""
    assert statuses(*responses, calls=iter([0] * 9)) == found


def test_a_limit_of_the_gateway_is_an_answer() -> None:
    """A 429 after a request of the gateway is what the target makes of the gateway's answer."""
    assert statuses(limited("0"), OK, calls=iter(range(9))) == (429, 1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda session: session.post({}),
        lambda session: session.post({}, "/v1//chat/completions?trace=1"),
        lambda session: session.call("GET", "/v1/models"),
        lambda session: session.call_on(session.server, "POST", "/v1/chat/completions"),
        lambda session: session.with_key("Bearer {key}"),
    ],
    ids=["chat", "other-spelling", "models", "connection", "key"],
)
def test_every_request_waits(ask: Callable[[ContractSession], Capture], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request of a session is repeated, on any path and connection, and with any key."""
    responses = Mock(side_effect=[limited("0"), OK])
    monkeypatch.setattr("lumen_conformance.contract.session.call", responses)
    server = Mock(target=Target(profile="openai"), call=responses)
    assert ask(ContractSession(server, Mock(calls=()))).status == 200
