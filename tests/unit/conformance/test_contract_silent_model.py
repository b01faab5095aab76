"""A model may once say nothing: by URL, where nobody knows the right answer, a second question decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lumen_conformance.contract.expectations import expect_words
from lumen_conformance.contract.session import Talk
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
def model(silent: Silent) -> Iterator[Talk]:
    """A model that is reached by URL, and says nothing to some calls."""

    def reply(exchange: Exchange) -> None:
        answer_with("" if silent(exchange.call) else "hello")(exchange)

    with ScriptedGateway(reply) as served:
        target = Target(url=served.url, profile="openai", model="m", can=frozenset(), foreign=True)
        yield Talk(RemoteServer(target), served)


def asked(talk: Talk) -> list[tuple[str, bool]]:
    """What the model was asked, and whether for a stream."""
    return [(call.message, wants_stream(call)) for call in talk.gateway.chats]


def test_a_second_question_decides() -> None:
    """A model that says nothing to the first question and something to the second has answered."""
    with model(lambda call: call.message == "hi") as talk:
        expect_words(talk, talk.ask("hi"), "hi")
        assert asked(talk) == [("hi", False), ("What is the capital of France?", False)]


def test_nothing_twice() -> None:
    """A model that says nothing to both questions has not answered."""
    with model(lambda _: True) as talk, pytest.raises(Refuted) as error:
        expect_words(talk, talk.ask("hi"), "hi")
    assert error.value.failure.expected == "an answer with a text"
    assert error.value.failure.found == "status 200, complete, no text, the second time, too"


def test_a_stream_that_is_always_silent() -> None:
    """A stream without any text is refuted where the plain answer to the same question has some."""
    with model(wants_stream) as talk, pytest.raises(Refuted) as error:
        stream_has_text(talk)
    assert error.value.failure.found == "status 200, complete, no text"


@pytest.mark.parametrize("silent", [
    lambda call: wants_stream(call) and "capital" not in call.message, lambda _: False,
], ids=["once", "never"])  # fmt: skip
def test_a_stream_that_is_silent_once(silent: Silent) -> None:
    """A stream that is silent once, or never, passes."""
    with model(silent) as talk:
        stream_has_text(talk)


def test_a_model_that_is_always_silent() -> None:
    """Nothing is judged of a stream where the plain answer has no text, either."""
    with model(lambda _: True) as talk, pytest.raises(NotJudged):
        stream_has_text(talk)
