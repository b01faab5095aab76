"""A model may give an empty answer once: by URL, where the right answer is unknown, a second question decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lumen_conformance.contract.expectations import expect_answer_with_text
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.exchange import Exchange, ReceivedRequest
from lumen_conformance.gateway.openai_requests import wants_stream
from lumen_conformance.gateway.replies import answer_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.registry.refutation import NotJudged, Refuted
from lumen_conformance.targets.endpoint import RemoteServer
from lumen_conformance.targets.target import Target
from tests.contract.test_e_stream import test_stream_has_text as stream_has_text

Silent = Callable[[ReceivedRequest], bool]


@contextmanager
def model(silent: Silent) -> Iterator[ContractSession]:
    """A model that is reached by URL, with empty answers to some calls."""

    def reply(exchange: Exchange) -> None:
        answer_with("" if silent(exchange.call) else "hello")(exchange)

    with ScriptedGateway(reply) as served:
        target = Target(url=served.url, profile="openai", model="m", can=frozenset(), foreign=True)
        yield ContractSession(RemoteServer(target), served)


def asked(session: ContractSession) -> list[tuple[str, bool]]:
    """The questions to the model, and whether they ask for a stream."""
    return [(call.message, wants_stream(call)) for call in session.gateway.chats]


def test_a_second_question_decides() -> None:
    """A model with an empty first and a non-empty second answer has answered."""
    with model(lambda call: call.message == "hi") as session:
        expect_answer_with_text(session, session.ask("hi"), "hi")
        assert asked(session) == [("hi", False), ("What is the capital of France?", False)]


def test_nothing_twice() -> None:
    """A model with two empty answers has not answered."""
    with model(lambda _: True) as session, pytest.raises(Refuted) as error:
        expect_answer_with_text(session, session.ask("hi"), "hi")
    assert error.value.failure.expected == "an answer with a text"
    assert error.value.failure.found == "status 200, complete, no text, also for a second question"


def test_a_stream_that_is_always_silent() -> None:
    """A stream without text fails when the plain answer to the same question has a text."""
    with model(wants_stream) as session, pytest.raises(Refuted) as error:
        stream_has_text(session)
    assert error.value.failure.found == "status 200, complete, no text"


@pytest.mark.parametrize("silent", [
    lambda call: wants_stream(call) and "capital" not in call.message, lambda _: False,
], ids=["once", "never"])  # fmt: skip
def test_a_stream_that_is_silent_once(silent: Silent) -> None:
    """A stream that is empty once, or never, passes."""
    with model(silent) as session:
        stream_has_text(session)


def test_a_model_that_is_always_silent() -> None:
    """A stream is not judged when the plain answer has no text."""
    with model(lambda _: True) as session, pytest.raises(NotJudged):
        stream_has_text(session)
