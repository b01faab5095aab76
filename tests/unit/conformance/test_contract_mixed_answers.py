"""Mixed-up answers are detected by the text, the request id or the kind of another request, or by leftover bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lumen_conformance.contract.mixed_answers import SentQuestion, expect_own_answers, make_unique
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.replies import answer_with, echo
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry.refutation import Failure, Refuted
from lumen_conformance.targets.endpoint import RemoteServer
from lumen_conformance.targets.target import Target
from tests.contract.test_h_own_answers import test_own_answers as own_answers


def refused(reply: Reply, judged: Callable[[ContractSession], object]) -> Failure:
    """The failure of an assertion about a model that replies like this."""
    with model(reply) as session, pytest.raises(Refuted) as error:
        judged(session)
    return error.value.failure


@contextmanager
def model(reply: Reply) -> Iterator[ContractSession]:
    """A model that is reached by URL."""
    with ScriptedGateway(reply) as served:
        target = Target(url=served.url, profile="openai", model="m", can=frozenset(), foreign=True)
        yield ContractSession(RemoteServer(target), served)


def asked(session: ContractSession, *texts: str, streamed: bool = False) -> list[SentQuestion]:
    """Ask each question, the last one for a stream if ``streamed``."""
    return [SentQuestion(text, "", session.ask(text, stream=streamed and text == texts[-1])) for text in texts]


@pytest.mark.parametrize("reply", [echo, answer_with("always the same")], ids=["echo", "same"])
def test_own_answers_pass(reply: Reply) -> None:
    """A model that answers each request separately passes, also with equal answers."""
    with model(reply) as session:
        own_answers(session)
        expect_own_answers(session, asked(session, make_unique("a"), make_unique("a"), make_unique("b"), streamed=True))


def test_text_of_another() -> None:
    """The text of another request is detected."""

    def swapped(session: ContractSession) -> None:
        one, other = asked(session, make_unique("a"), make_unique("a"))
        expect_own_answers(
            session, [SentQuestion(one.text, "", other.capture), SentQuestion(other.text, "", one.capture)]
        )

    assert refused(echo, swapped).found.startswith("the answer to another request: status 200")


def exchanged(session: ContractSession, *, both: bool) -> None:
    """Exchange a plain answer for a stream, and with ``both`` also the stream for the plain answer."""
    one, other = asked(session, "a 1", "a 2", streamed=True)
    plain = Capture(url=other.capture.url, request=other.capture.request, status=200, headers=one.capture.headers)
    stream = Capture(url=one.capture.url, request=one.capture.request, status=200, headers=other.capture.headers)
    expect_own_answers(
        session, [SentQuestion(one.text, "", stream if both else one.capture), SentQuestion(other.text, "", plain)]
    )


def test_kind_of_another() -> None:
    """An exchanged plain answer and stream are detected, also when all texts are equal."""
    found = refused(answer_with("always the same"), lambda session: exchanged(session, both=True))
    assert found.expected == "media type text/event-stream, as requested"


def test_no_stream_is_another_defect() -> None:
    """A plain answer to a request for a stream is not an exchange by itself."""
    with model(answer_with("always the same")) as session:
        exchanged(session, both=False)


def test_request_id_of_another() -> None:
    """The request id of another request is detected."""

    def same(session: ContractSession) -> None:
        capture = session.post(question("a"), headers=[("X-Request-Id", "id-of-b")])
        expect_own_answers(session, [SentQuestion("a 1", "id-of-a", capture), SentQuestion("b 2", "id-of-b", capture)])

    assert refused(answer_with("always the same"), same).found.startswith(
        "that of another request: X-Request-Id: id-of-b"
    )


def test_bytes_after_an_answer() -> None:
    """Bytes after the end of an answer, which the next request gets, are detected."""

    def longer(exchange: Exchange) -> None:
        echo(exchange)
        exchange.send(b"}}")

    found = refused(longer, own_answers).found
    assert found.startswith("the rest of the previous answer: no response: invalid")


def test_each_answer_twice() -> None:
    """A model that sends each answer twice gives the second request the first answer."""

    def twice(exchange: Exchange) -> None:
        echo(exchange)
        echo(exchange)

    assert refused(twice, own_answers).found.startswith("that of another request: X-Request-Id: own-")


def test_a_closed_connection_is_no_mistake() -> None:
    """A connection that is closed after each answer is not a mixed-up answer."""

    def closing(exchange: Exchange) -> None:
        echo(exchange)
        exchange.close()

    with model(closing) as session:
        own_answers(session)
