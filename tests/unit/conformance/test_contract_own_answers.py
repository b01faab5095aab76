"""Answers that are mixed up are told by the words, the request id or the kind of another request, or by a rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lumen_conformance.contract.mixed_answers import Asked as Question
from lumen_conformance.contract.mixed_answers import expect_own, nonce
from lumen_conformance.contract.session import Talk, question
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.replies import answer_with, echo
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.refutation import Failure, Refuted
from lumen_conformance.targets.endpoint import RemoteServer
from lumen_conformance.targets.target import Target
from tests.contract.test_h_own_answers import test_own_answers as own_answers


def refused(reply: Reply, judged: Callable[[Talk], object]) -> Failure:
    """What is found of a model that replies like this."""
    with model(reply) as talk, pytest.raises(Refuted) as error:
        judged(talk)
    return error.value.failure


@contextmanager
def model(reply: Reply) -> Iterator[Talk]:
    """A model that is reached by URL."""
    with ScriptedGateway(reply) as served:
        target = Target(url=served.url, profile="openai", model="m", can=frozenset(), foreign=True)
        yield Talk(RemoteServer(target), served)


def asked(talk: Talk, *texts: str, streamed: bool = False) -> list[Question]:
    """One question each, the last of them for a stream where that is said."""
    return [Question(text, "", talk.ask(text, stream=streamed and text == texts[-1])) for text in texts]


@pytest.mark.parametrize("reply", [echo, answer_with("always the same")], ids=["echo", "same"])
def test_own_answers_pass(reply: Reply) -> None:
    """Whoever answers each request by itself passes, with an answer of its own or always with the same."""
    with model(reply) as talk:
        own_answers(talk)
        expect_own(talk, asked(talk, nonce("a"), nonce("a"), nonce("b"), streamed=True))


def test_words_of_another() -> None:
    """The words of another request are found."""

    def swapped(talk: Talk) -> None:
        one, other = asked(talk, nonce("a"), nonce("a"))
        expect_own(talk, [Question(one.text, "", other.seen), Question(other.text, "", one.seen)])

    assert refused(echo, swapped).found.startswith("the answer to another: status 200")


def exchanged(talk: Talk, *, both: bool) -> None:
    """A stream in the place of a plain answer, and the other way round where both are said."""
    one, other = asked(talk, "a 1", "a 2", streamed=True)
    plain = Capture(url=other.seen.url, request=other.seen.request, status=200, headers=one.seen.headers)
    stream = Capture(url=one.seen.url, request=one.seen.request, status=200, headers=other.seen.headers)
    expect_own(talk, [Question(one.text, "", stream if both else one.seen), Question(other.text, "", plain)])


def test_kind_of_another() -> None:
    """A plain answer and a stream that were exchanged are found, also where all answers are alike."""
    found = refused(answer_with("always the same"), lambda talk: exchanged(talk, both=True))
    assert found.expected == "media type text/event-stream, as this request has asked for"


def test_no_stream_is_another_defect() -> None:
    """A plain answer to who asked for a stream alone is no exchange."""
    with model(answer_with("always the same")) as talk:
        exchanged(talk, both=False)


def test_request_id_of_another() -> None:
    """The request id of another request is found."""

    def same(talk: Talk) -> None:
        seen = talk.post(question("a"), headers=[("X-Request-Id", "id-of-b")])
        expect_own(talk, [Question("a 1", "id-of-a", seen), Question("b 2", "id-of-b", seen)])

    assert refused(answer_with("always the same"), same).found.startswith("that of another: X-Request-Id: id-of-b")


def test_a_rest_of_the_answer_before() -> None:
    """An answer that goes on behind its length leaves a rest, which the next request gets: that is found."""

    def longer(exchange: Exchange) -> None:
        echo(exchange)
        exchange.send(b"}}")

    found = refused(longer, own_answers).found
    assert found.startswith("the rest of the answer before: no response: invalid")


def test_each_answer_twice() -> None:
    """Whoever sends each answer twice gives the second request the answer to the first."""

    def twice(exchange: Exchange) -> None:
        echo(exchange)
        echo(exchange)

    assert refused(twice, own_answers).found.startswith("that of another: X-Request-Id: own-")


def test_a_closed_connection_is_no_mistake() -> None:
    """A connection that is closed after each answer mixes nothing up."""

    def closing(exchange: Exchange) -> None:
        echo(exchange)
        exchange.close()

    with model(closing) as talk:
        own_answers(talk)
